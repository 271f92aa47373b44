"""After a table has got a new version: small files become larger ones, and what is older than it keeps goes (D20)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from deltalake import DeltaTable

from b24lake.lake import compacting, retention
from b24lake.lake.files import reopened
from b24lake.lake.place import Place
from b24lake.sync.report import RunReport


@dataclass(slots=True)
class Upkeep:
    """What was done for the tables of a run; where it fails, the run only says so.

    now   the time of the run
    """

    report: RunReport
    now: datetime
    tables: int = 0
    files: int = 0
    bytes: int = 0
    one_by_one: Lock = field(default_factory=Lock)

    def after(self, name: str, path: Place) -> None:
        """Look after the table of stream `name`, while its lock is held."""
        try:
            table = reopened(path)
            self._compact(name, path, table)
            self._tidy(path, table)
        except Exception as error:  # noqa: BLE001  the rows are there, whatever is wrong with the old ones
            self.report.notes.append(f"{name}: could not be tidied up, the next run that writes tries again: {error}")

    def told(self) -> None:
        """Note in the report what went."""
        if self.files:
            files, tables = _counted(self.files, "file"), _counted(self.tables, "table")
            size = f"{self.bytes / 1e6:,.1f} MB"
            self.report.notes.append(f"{files} of {tables} removed ({size}): older versions only needed them")

    def _compact(self, name: str, path: Place, table: DeltaTable) -> DeltaTable:
        """The table as it is afterwards."""
        plan = compacting.planned(path, table)
        if plan is None:
            return table
        compacting.compact(path, table, plan, self.report.run_id)
        self.report.notes.append(f"{name}: {plan.files:,} small files became about {plan.into:,}")
        return reopened(path)

    def _tidy(self, path: Place, table: DeltaTable) -> None:
        if not retention.due(table, self.now):
            return
        gone = retention.apply(path, table, self.now)
        if not gone.nothing:
            self.tables, self.files, self.bytes = self.tables + 1, self.files + len(gone.files), self.bytes + gone.bytes


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"

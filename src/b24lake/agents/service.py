"""Sources and runs as agents see them: nothing that could be changed, and nothing of tables out of their reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from b24lake.control import runs, sources, summaries
from b24lake.control.claims import Installation
from b24lake.control.database import Database
from b24lake.control.models import Source
from b24lake.control.moments import Clock
from b24lake.control.secrets import Keyring
from b24lake.control.source_settings import webhook_of
from b24lake.errors import NotFoundError
from b24lake.lake.reach import Reach
from b24lake.portal.webhook import Webhook

MOST_RUNS = 100


def _ask_anybody(_webhook: Webhook) -> None:
    """On the command line whoever asks may ask every portal."""


@dataclass(frozen=True)
class Service:
    """What an installation reads.

    only       ids of the sources that alone are there; None = all
    may_ask    raises UsageError for a portal that this service may not ask
    """

    database: Database
    keyring: Keyring
    here: Installation
    clock: Clock
    only: frozenset[str] | None = None
    may_ask: Callable[[Webhook], None] = _ask_anybody

    def sources(self, reach: Reach) -> list[dict[str, Any]]:
        """The sources in a line each, with their streams and tables."""
        with self.database.reading() as session:
            seen = self._seen(session, reach)
            lines = summaries.sources(session, self.clock(), list(seen))
            return [
                {name: line[name] for name in _OF_SOURCE} | {"tables": _reached(seen[line["id"]], reach)}
                for line in lines
            ]

    def runs(self, reach: Reach, source: str, state: str, limit: int) -> list[dict[str, Any]]:
        """The newest runs. Raises NotFoundError and UsageError for a source or a state that there is not."""
        with self.database.reading() as session:
            seen = self._seen(session, reach)
            which = _named(seen, source).id if source else None
        states = (state,) if state else ()
        found = runs.listed(
            self.database, source_id=which, states=states, limit=min(limit, MOST_RUNS), among=list(seen)
        )
        return [{name: one[name] for name in _OF_RUN} for one in found]

    def run(self, reach: Reach, run_id: str) -> dict[str, Any]:
        """One run, stream by stream; of streams whose tables are out of reach, nothing. Raises NotFoundError."""
        with self.database.reading() as session:
            seen = self._seen(session, reach)
            source = seen.get(runs.found(session, run_id).source_id)
            if source is None:
                raise NotFoundError(f"There is no run {run_id!r}", fix="list the runs first")
            told = _reached(source, reach)
        shown = runs.shown(self.database, run_id)
        kept = {name: shown[name] for name in (*_OF_RUN, "notes")}
        lines = {what: [one for one in shown[what] if one["stream"] in told] for what in ("streams", "schema_changes")}
        return kept | lines

    def check(self, reach: Reach, name: str) -> dict[str, Any]:
        """All named checks of a source. Asks its portal, and keeps nothing. Raises NotFoundError and UsageError."""
        with self.database.reading() as session:
            source = _named(self._seen(session, reach), name)
        self.may_ask(webhook_of(source, self.keyring))
        checked = sources.check(source, self.keyring, self.here, self.clock())
        return {"source": source.id, "status": checked.status, "checks": [asdict(one) for one in checked.checks]}

    def _seen(self, session: Session, reach: Reach) -> dict[str, Source]:
        """The sources that are there for this reader: of a limited one, those that write a table in reach."""
        found = [one for one in sources.listed(session) if self.only is None or one.id in self.only]
        return {one.id: one for one in found if not reach.limits or _reached(one, reach)}


_OF_SOURCE = (
    "id",
    "name",
    "description",
    "state",
    "health",
    "portal",
    "last_state",
    "last_ended_at",
    "fresh_at",
    "next_at",
)
_OF_RUN = (
    "id",
    "source",
    "source_name",
    "state",
    "cause",
    "full",
    "attempt",
    "queued_at",
    "started_at",
    "ended_at",
    "rows_read",
    "requests",
    "portal_seconds",
    "rests",
    "error",
)


def _named(seen: dict[str, Source], name: str) -> Source:
    """A source by its id or name. Raises NotFoundError where there is none for this reader."""
    source = seen.get(name) or next((one for one in seen.values() if one.name == name), None)
    if source is None:
        raise NotFoundError(f"There is no source {name!r}", fix="list the sources first")
    return source


def _reached(source: Source, reach: Reach) -> dict[str, str]:
    """Stream -> its table, of those that are read and may be read."""
    tables = {one.stream: f"{source.layer}.{one.table_name}" for one in source.streams if one.selected}
    return {stream: table for stream, table in tables.items() if reach.allows(table)}

"""The portal: its tables, what it counts, and how it is changed while it runs."""

import time as clock
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from b24lake.sandbox.data.columns import Row
from b24lake.sandbox.data.custom import custom_column, custom_part
from b24lake.sandbox.data.table import Table
from b24lake.sandbox.data.tables import Tables
from b24lake.sandbox.data.world import World
from b24lake.sandbox.limits import Bucket
from b24lake.sandbox.lists.find import Finder
from b24lake.sandbox.lists.render import Renderer
from b24lake.sandbox.replies import RESET_AFTER
from b24lake.sandbox.settings import Settings

BOOLEANS = {"leads": (False, True), "contacts": (0, 1)}


@dataclass
class Counters:
    """What was asked since the start or the last reset: HTTP requests, calls per method, refusals for too many."""

    requests: int = 0
    refused: int = 0
    commands: Counter[str] = field(default_factory=Counter)


class Portal:
    """A Bitrix24 portal in memory; `lock` is held while it answers or changes.

    settings   see Settings
    now        the portal's clock: a function giving unix seconds
    """

    def __init__(self, settings: Settings | None = None, now: Callable[[], float] = clock.time) -> None:
        self.settings = settings or Settings()
        self.now = now
        self.world = World(self.settings)
        self.tables = Tables(self.world)
        self.finder, self.renderer = Finder(self.settings.server_offset), Renderer()
        self.bucket = Bucket(self.settings.threshold, self.settings.drain)
        self.counters = Counters()
        self.lock = RLock()

    def granted(self, scope: str) -> bool:
        """Whether the webhook has this scope."""
        return not scope or scope in self.settings.scopes

    def time(self, started: float) -> dict[str, Any]:
        """The `time` object of a call that began at `started`."""
        finish = self.now()
        told: dict[str, Any] = {
            "start": started,
            "finish": finish,
            "duration": finish - started,
            "processing": finish - started,
            "date_start": self.world.show(int(started)),
            "date_finish": self.world.show(int(finish)),
        }
        if self.settings.operating == "present":
            told |= {"operating_reset_at": int(finish) + RESET_AFTER, "operating": 0}
        elif self.settings.operating == "zero":
            told["operating"] = 0
        return told

    def truth(self, table: str) -> Iterator[Row]:
        """All rows of a table as its list method sends them with everything selected, in id order."""
        return self.tables[table].rows()

    def create(self, table: str, fields: Row | None = None) -> int:
        """Add a row; returns its id."""
        with self.lock:
            return self.tables[table].create(fields or {}, self._moment())

    def change(self, table: str, id_: int, fields: Row) -> None:
        """Change a row and set its modification date to now."""
        with self.lock:
            self.tables[table].change(id_, fields, self._moment())

    def delete(self, table: str, id_: int) -> None:
        """Delete a row."""
        with self.lock:
            self.tables[table].delete(id_)

    def set_field(self, table: str, name: str, kind: str, *, title: str = "", multiple: bool = False) -> None:
        """Add a custom field, or give an existing one another type."""
        if not name.startswith("UF_CRM_"):
            raise ValueError("a custom field's name starts with UF_CRM_")
        with self.lock:
            column = custom_column(name, kind, title or name, multiple=multiple)
            maker = self.world.maker(table, BOOLEANS.get(table, ("0", "1")))
            self._owned(table).set_column(column, custom_part([column], maker, self.settings.seed))

    def drop_field(self, table: str, name: str) -> None:
        """Remove a custom field."""
        with self.lock:
            self._owned(table).drop_column(name)

    def reset_counters(self) -> None:
        """Start counting anew."""
        with self.lock:
            self.counters = Counters()

    def _owned(self, table: str) -> Table:
        found = self.tables[table]
        if not found.user_entity:
            raise ValueError(f"{table} has no custom fields")
        return found

    def _moment(self) -> str:
        return self.world.show(int(self.now()))

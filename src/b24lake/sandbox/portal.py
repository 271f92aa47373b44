"""The portal: its tables, what it counts, and how it is changed while it runs."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from threading import RLock
from typing import Any

from b24lake.sandbox import errors
from b24lake.sandbox.churn import Churn, Step
from b24lake.sandbox.clock import Clock, Course
from b24lake.sandbox.counters import Counters
from b24lake.sandbox.data.columns import Row
from b24lake.sandbox.data.custom import custom_column, custom_part
from b24lake.sandbox.data.table import Table
from b24lake.sandbox.data.tables import Tables
from b24lake.sandbox.data.world import World
from b24lake.sandbox.faults import Fault, Faults
from b24lake.sandbox.limits import Bucket
from b24lake.sandbox.lists.find import Finder
from b24lake.sandbox.lists.render import Renderer
from b24lake.sandbox.operating import Budgets
from b24lake.sandbox.settings import LIVE, Settings

BOOLEANS = {"leads": (False, True), "contacts": (0, 1)}
Gauge = tuple[float, int]  # operating seconds, and when the oldest of them leave (portal seconds)


class Portal:
    """A Bitrix24 portal in memory; `lock` is held while it answers or changes, never while it waits.

    settings   see Settings; `set` changes some of them while it runs
    now        the real clock: a function giving unix seconds
    sleep      how to wait for some real seconds
    """

    def __init__(
        self,
        settings: Settings | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings or Settings()
        self.clock = Clock(now, sleep, self.settings.acceleration)
        self.world = World(self.settings)
        self.tables = Tables(self.world)
        self.finder, self.renderer = Finder(self.settings.server_offset), Renderer()
        self.bucket = Bucket(self.settings.threshold, self.settings.drain)
        self.budgets, self.counters = Budgets(self.settings.operating_window), Counters()
        self.faults = Faults(self.settings.seed, self.clock.now)
        self.churn = Churn(self.settings.seed, self.tables.__getitem__, self._act)
        self.lock = RLock()

    def now(self) -> float:
        """Unix seconds as the portal's clock shows them, which may be wrong."""
        return self.clock.now() + self.skew

    @property
    def skew(self) -> float:
        """How far ahead its clock is shown, in seconds."""
        fault = self.faults.standing("clock_off")
        return fault.skew if fault else 0.0

    def granted(self, scope: str) -> bool:
        """Whether the webhook has this scope."""
        return not scope or scope in self.settings.scopes

    def course(self) -> Course:
        """The way of a request that arrives now."""
        return Course(self.clock, self.settings)

    def travel(self) -> None:
        """Half of a round trip."""
        if not self.settings.book:
            self.clock.nap(self.settings.round_trip_ms / 2000)

    def check(self, method: str, at: float, *, billed: bool) -> None:
        """Raise OPERATION_TIME_LIMIT where the budget of a `billed` method is used up, or a fault says so."""
        if self.faults.fires("operation_limit", method):
            raise errors.no_time()
        limit = self.settings.operating_limit if billed else 0.0
        if limit and self.budgets.used(method, at) >= limit:
            self.counters.blocked += 1
            raise errors.no_time()

    def book(self, method: str, seconds: float, at: float) -> None:
        """Add work to a method's budget, unless it was too short."""
        if seconds and seconds >= self.settings.operating_floor:
            self.budgets.book(method, seconds, at)

    def gauge(self, method: str, at: float) -> Gauge:
        """A method's budget as answers tell it."""
        return self.budgets.used(method, at), self.budgets.reset_at(method, at)

    def time(self, started: float, finish: float, gauge: Gauge, *, told: bool = True) -> dict[str, Any]:
        """The `time` object of a call, in portal seconds; without the gauge where it is not `told`."""
        skew = self.skew
        started, finish = started + skew, finish + skew
        shown: dict[str, Any] = {
            "start": started,
            "finish": finish,
            "duration": finish - started,
            "processing": finish - started,
            "date_start": self.world.show(int(started)),
            "date_finish": self.world.show(int(finish)),
        }
        return shown | self.shown(gauge) if told else shown

    def shown(self, gauge: Gauge) -> dict[str, Any]:
        """The two keys of `time` that tell a gauge; which are there, and how, is a setting."""
        used, reset_at = gauge
        if self.settings.operating == "present":
            reset_at = int(reset_at + self.skew)
            reset: int | str = self.world.show(reset_at) if self.settings.resets == "iso" else reset_at
            return {"operating_reset_at": reset, "operating": used or 0}
        return {"operating": 0} if self.settings.operating == "zero" else {}

    def set(self, **options: Any) -> None:
        """Change settings while it runs. Raises ValueError for those that only hold from the start."""
        fixed = [name for name in options if name not in LIVE]
        if fixed:
            raise ValueError(f"cannot be set while the portal runs: {', '.join(fixed)}; can: {', '.join(sorted(LIVE))}")
        with self.lock:
            self.settings = replace(self.settings, **options)
            self.bucket.share(self.bucket.foreign, self.clock.now())
            self.bucket.threshold, self.bucket.drain = self.settings.threshold, self.settings.drain
            self.clock.accelerate(self.settings.acceleration)

    def fault(self, kind: str, **options: Any) -> None:
        """Switch a fault on; see faults.Fault for the options."""
        with self.lock:
            self.faults.on(Fault(kind=kind, **options))
            self.share()

    def mend(self, kind: str = "") -> None:
        """Switch one kind of fault off, or all."""
        with self.lock:
            self.faults.off(kind)
            self.share()

    def plan(self, do: str, table: str, **options: Any) -> None:
        """Have rows change after some request or page; see churn.Step for the options."""
        with self.lock:
            self.churn.plan(Step(do=do, table=table, **options))

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

    def lay(self, kind: str, table: str, id_: int, rows: list[Any], *, quiet: bool = False) -> None:
        """Put other comments, product rows or contacts in the place of those of one record.

        Comments move its LAST_ACTIVITY_TIME, the others its modification date; where it is `quiet`, nothing moves.
        """
        with self.lock:
            self.tables.lay(kind, table, id_, rows)
            dates = ("LAST_ACTIVITY_TIME",) if kind == "comments" else self.tables[table].stamps
            if not quiet:
                self.tables[table].touch(id_, dates, self._moment())

    def set_field(
        self, table: str, name: str, kind: str, *, title: str = "", multiple: bool = False, options: Sequence[str] = ()
    ) -> None:
        """Add a custom field, or give an existing one another type, label, or other options.

        A field that keeps its type keeps its values.
        """
        if not name.startswith("UF_CRM_"):
            raise ValueError("a custom field's name starts with UF_CRM_")
        with self.lock:
            column = custom_column(name, kind, title or name, multiple=multiple, labels=options)
            owned = self._owned(table)
            if owned.keeps(column):
                owned.describe_column(column)
                return
            maker = self.world.maker(table, BOOLEANS.get(table, ("0", "1")))
            owned.set_column(column, custom_part([column], maker, self.settings.seed))

    def drop_field(self, table: str, name: str) -> None:
        """Remove a custom field."""
        with self.lock:
            self._owned(table).drop_column(name)

    def create_type(self, entity_type: int, title: str = "New process") -> None:
        """Add a smart process without records; its table is `spa_{entity_type}`."""
        with self.lock:
            self.tables.add_type(entity_type, title)

    def delete_type(self, entity_type: int) -> None:
        """Delete a smart process with all its records."""
        with self.lock:
            self.tables.drop_type(entity_type)

    def reset_counters(self) -> None:
        """Start counting anew."""
        with self.lock:
            self.counters = Counters()
            self.faults.fired.clear()

    def told(self) -> dict[str, Any]:
        """All counters, ready for JSON: those of Counters, faults that happened, operating seconds in use."""
        with self.lock:
            used = self.budgets.all(self.clock.now())
            return {**self.counters.told(), "faults": dict(self.faults.fired), "operating": used}

    def known_settings(self) -> dict[str, Any]:
        """The settings that can be changed while it runs."""
        return {name: value for name, value in asdict(self.settings).items() if name in LIVE}

    def share(self) -> None:
        """Tell the bucket how much another program takes of it."""
        fault = self.faults.standing("other_program")
        foreign = fault.per_second if fault else 0.0
        if foreign != self.bucket.foreign:
            self.bucket.share(foreign, self.clock.now())

    def _act(self, step: Step, id_: int | None) -> int:
        """Do what a planned step says to one row."""
        if id_ is None:
            return self.create(step.table, step.fields)
        if step.do == "drop":
            self.delete_type(id_)
        elif step.do == "delete":
            self.delete(step.table, id_)
        else:
            self.change(step.table, id_, step.fields)
        return id_

    def _owned(self, table: str) -> Table:
        found = self.tables[table]
        if not found.user_entity:
            raise ValueError(f"{table} has no custom fields")
        return found

    def _moment(self) -> str:
        return self.world.show(int(self.now()))

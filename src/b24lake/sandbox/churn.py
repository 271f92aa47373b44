"""Rows that change under a read: creations, changes and deletions after the Nth request or page."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from b24lake.sandbox.data.chance import generator
from b24lake.sandbox.data.columns import Row
from b24lake.sandbox.data.table import Table

DEEDS = ("create", "change", "delete", "drop")
UNITS = ("request", "page")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change to come.

    do       "create", "change" or "delete"; "drop" deletes the smart process whose records the table holds
    id       which row; None = rows chosen by the seed among those that exist then
    count    how many rows at a time, where `id` is None
    after    once so many requests were answered (or pages sent) since the step was planned
    every    and again after each so many more; 0 = once
    times    this often at most; 0 = without end
    unit     "request" or "page"; pages may be those of one `method`
    """

    do: str
    table: str
    id: int | None = None
    fields: Row = field(default_factory=dict)
    count: int = 1
    after: int = 1
    every: int = 0
    times: int = 0
    unit: str = "request"
    method: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if self.do not in DEEDS:
            raise ValueError(f"do is one of {', '.join(DEEDS)}")
        if self.unit not in UNITS:
            raise ValueError(f"unit is one of {', '.join(UNITS)}")
        if self.after < 1 or min(self.every, self.times, self.count) < 0:
            raise ValueError("after is at least 1; every, times and count are not negative")

    def due(self, number: int) -> bool:
        """Whether it is done after the `number`-th request or page."""
        over = number - self.after
        if over < 0 or not self.every:
            return over == 0
        return over % self.every == 0 and (not self.times or over // self.every < self.times)


@dataclass(frozen=True)
class Done:
    """A change made: after how many requests and pages since the first step was planned, and to which row."""

    do: str
    table: str
    id: int
    requests: int
    pages: int


@dataclass
class _Planned:
    step: Step
    dice: Random
    seen: int = 0


Act = Callable[[Step, int | None], int]  # what a step does to a row (None: a new one); returns its id


class Churn:
    """The steps planned, and the log of what was done."""

    def __init__(self, seed: int, table: Callable[[str], Table], act: Act) -> None:
        self._seed, self._table, self._act = seed, table, act
        self._planned: list[_Planned] = []
        self.log: list[Done] = []
        self.requests = self.pages = 0

    def __bool__(self) -> bool:
        return bool(self._planned)

    def plan(self, step: Step) -> None:
        """Add a step."""
        self._table(step.table)
        dice = generator(self._seed, f"churn {len(self._planned)} {step.do} {step.table}")
        self._planned.append(_Planned(step, dice))

    def clear(self) -> None:
        """Forget all steps and the log."""
        self._planned, self.log, self.requests, self.pages = [], [], 0, 0

    def tick(self, unit: str, method: str) -> None:
        """A request was answered, or a page is on its way: do what is due."""
        self.requests += unit == "request"
        self.pages += unit == "page"
        for planned in self._planned:
            if planned.step.unit == unit and planned.step.method in ("", method):
                planned.seen += 1
                if planned.step.due(planned.seen):
                    self._do(planned)

    def touched(self, table: str) -> set[int]:
        """Ids of the rows of a table created, changed or deleted so far."""
        return {done.id for done in self.log if done.table == table}

    def told(self) -> list[dict[str, Any]]:
        """The log, ready for JSON."""
        return [asdict(done) for done in self.log]

    def _do(self, planned: _Planned) -> None:
        step = planned.step
        table = self._table(step.table)
        for id_ in self._chosen(step, table, planned.dice):
            changed = self._act(step, id_)
            self.log.append(Done(step.do, step.table, changed, self.requests, self.pages))

    def _chosen(self, step: Step, table: Table, dice: Random) -> list[int | None]:
        """The rows a step is for; a row that is gone already is left alone."""
        if step.do == "drop":
            return [table.entity_type]
        if step.do == "create":
            return [None] * step.count
        if step.id is not None:
            return [step.id] if step.id in table else []
        return [table.ids[at] for at in dice.sample(range(len(table.ids)), min(step.count, len(table.ids)))]

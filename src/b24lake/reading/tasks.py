"""One stream being read: what it wants to ask next, and what it makes of the answers. No connection, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from b24lake.errors import BrokenOffError, RestError, RetryError, StreamError
from b24lake.portal.connection import MAX_COMMANDS, Command
from b24lake.portal.replies import Answer
from b24lake.reading.packing import Want
from b24lake.reading.paging import (
    Chain,
    Row,
    Since,
    chain_commands,
    each_command,
    newest_command,
    next_offset,
    offset_command,
    rows_of,
    unanswered,
    value_of,
    whole_row,
)
from b24lake.reading.tally import MOST, Tally
from b24lake.reading.walk import NOTHING, PATIENCE, Closed, Done, Stretch, Walk, remaining
from b24lake.streams.definitions import Stream


@dataclass(slots=True)
class Order:
    """Commands of one task in one request; `stretch` and `chain` are a keyset stream's, `calls` those of others."""

    task: Task
    commands: dict[str, Command]
    stretch: Stretch | None = None
    chain: Chain | None = None
    calls: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose want it is."""

    task: Task
    stretch: Stretch | None = None


class Task(Protocol):
    """What the reading loop needs of a stream."""

    stream: Stream

    @property
    def finished(self) -> bool:
        """Whether everything has been read."""

    @property
    def wasted(self) -> int:
        """Pages asked beyond an end."""

    @property
    def left(self) -> float:
        """Pages still to be read; infinite if that cannot be told."""

    @property
    def total(self) -> int | None:
        """The portal's own count, where it told one."""

    def hurry(self) -> None:
        """The method rests: do without what is not needed to be complete."""

    def wants(self, ways: int) -> list[Want[Wanted]]:
        """What could be asked now, at most `ways` orders being on their way at once."""

    def order(self, stretch: Stretch | None, pages: int, prefix: str) -> Order:
        """The commands for one of the wants."""

    def lost(self, order: Order) -> None:
        """An order did not get through; it will be wanted again."""

    def take(self, order: Order, answers: Sequence[Answer]) -> tuple[list[Row], Closed]:
        """The rows that an order's answers brought. Raises the StreamError that ends the stream."""


class KeysetTask:
    """A stream that is paged by its key."""

    def __init__(self, stream: Stream, since: Since | None, done: Done = NOTHING, *, proven: bool = False) -> None:
        self.stream, self.since = stream, since
        self.walk = Walk(stream, since, remaining(done), rows=done.rows, span=done.span, counted=done.rows)
        self.tally = Tally(stream) if proven and since is None else None

    @property
    def finished(self) -> bool:
        """Whether every id has been read, and the portal has counted them where it should."""
        return self.walk.finished and not self._counts()

    def _counts(self) -> bool:
        """Whether the portal's own count is still worth asking for."""
        small = self.walk.newest is not None and self.walk.counted <= MOST
        return self.tally is not None and self.tally.open and small

    @property
    def total(self) -> int | None:
        """The portal's count of the rows up to the newest id of when the reading began."""
        return self.tally.total if self.tally else None

    def hurry(self) -> None:
        """A count is not worth a rest of minutes."""
        if self.tally is not None and self.walk.finished and not self.tally.busy:
            self.tally.open = False

    @property
    def wasted(self) -> int:
        """Pages asked beyond an end."""
        return self.walk.wasted

    @property
    def left(self) -> float:
        """Pages still to be read; infinite if that cannot be told."""
        return self.walk.left

    def wants(self, ways: int) -> list[Want[Wanted]]:
        """The next chain of each idle stretch; with the first one goes the question for the newest id."""
        if self.walk.finished:
            return [Want(Wanted(self), 1)] if self._counts() and self.tally and not self.tally.busy else []
        wants = [Want(Wanted(self, stretch), pages) for stretch, pages in self.walk.wanted(ways)]
        if wants and not self.walk.begun:
            wants[0] = replace(wants[0], pages=wants[0].pages + 1, least=2)
        return wants

    def order(self, stretch: Stretch | None, pages: int, prefix: str) -> Order:
        """A chain of `pages` pages; the last of those of the walk's first order asks for the newest id."""
        if stretch is None:
            return Order(self, {f"{prefix}total": self._tally().ask(self.walk.newest)})
        first = not self.walk.begun
        chain = self.walk.send(stretch, pages - first)
        commands = chain_commands(self.stream, chain, self.since, prefix)
        if first:
            commands[f"{prefix}newest"] = newest_command(self.stream, self.since)
        return Order(self, commands, stretch, chain)

    def lost(self, order: Order) -> None:
        """The stretch is idle again."""
        if order.stretch is None:
            self._tally().busy = False
        else:
            self.walk.lost(order.stretch)

    def _tally(self) -> Tally:
        assert self.tally is not None
        return self.tally

    def take(self, order: Order, answers: Sequence[Answer]) -> tuple[list[Row], Closed]:
        """Rows of the chain as far as it can be trusted. Raises where the portal counts more rows than came."""
        if order.stretch is None:
            self._tally().take(answers[0], self.walk.counted)
            return [], ()
        assert order.chain is not None
        if len(answers) > order.chain.pages:
            self.walk.note_newest(answers[-1])
            answers = answers[:-1]
        return self.walk.settle(order.stretch, order.chain, answers)


@dataclass(slots=True)
class ListTask:
    """A stream that comes as a whole, or in pages by position: few rows, kept apart by their keys."""

    stream: Stream
    start: int | None = 0
    busy: bool = False
    failures: int = 0
    wasted: int = 0
    left: float = 1.0
    seen: set[str] = field(default_factory=set)
    total: int | None = None

    @property
    def finished(self) -> bool:
        """Whether the last page has been read."""
        return self.start is None

    def hurry(self) -> None:
        """Every page is needed."""

    def wants(self, ways: int) -> list[Want[Wanted]]:
        """One command, unless it is on its way."""
        return [] if self.busy or self.finished or not ways else [Want(Wanted(self), 1)]

    def order(self, stretch: Stretch | None, pages: int, prefix: str) -> Order:  # noqa: ARG002
        """The next page."""
        assert self.start is not None
        self.busy = True
        return Order(self, {f"{prefix}0": offset_command(self.stream, self.start)})

    def lost(self, order: Order) -> None:  # noqa: ARG002
        """The page is wanted again."""
        self.busy = False

    def take(self, order: Order, answers: Sequence[Answer]) -> tuple[list[Row], Closed]:  # noqa: ARG002
        """The rows that had not come before. Fails where the portal says there are more than it gives."""
        self.busy = False
        (answer,) = answers
        if unanswered(answer) or isinstance(answer.error, RetryError):
            return self._again(answer)
        if answer.error is not None:
            if isinstance(answer.error, StreamError):
                raise answer.error
            return [], ()
        self.failures, self.total = 0, answer.total or self.total
        page = rows_of(self.stream, answer.result)
        fresh = self._fresh(page)
        assert self.start is not None
        self.start = (
            next_offset(self.stream, self.start, page, answer, len(self.seen)) if fresh and self._paged() else None
        )
        if self.finished and self._paged() and answer.total is not None and len(self.seen) < answer.total:
            raise StreamError(
                f"{self.stream.method} says that there are {answer.total} rows, but gives {len(self.seen)}",
                why="rows were removed while they were read, or the portal cuts the list",
                fix="run it again; if it stays, the rest of the rows is hidden from the webhook's owner",
            )
        return fresh, ()

    def _paged(self) -> bool:
        return self.stream.paging != "fields"

    def _fresh(self, page: list[Row]) -> list[Row]:
        fresh = []
        for row in page:
            key = str(value_of(row, self.stream.key))
            if key not in self.seen:
                self.seen.add(key)
                fresh.append(row)
        return fresh

    def _again(self, answer: Answer) -> tuple[list[Row], Closed]:
        self.failures += 1
        if self.failures >= PATIENCE:
            why = answer.error.why if answer.error else "the portal left the command unanswered"
            raise StreamError(f"{self.stream.method} failed again and again", why=why, fix="run it again later")
        return [], ()


@dataclass(slots=True)
class EachTask:
    """A stream that takes one call per row, as many in a request as fit. Calls that are refused bring no row."""

    stream: Stream
    waiting: list[int] = field(default_factory=list)
    flying: int = 0
    failures: int = 0
    wasted: int = 0
    total: int | None = None

    def __post_init__(self) -> None:
        """All calls are still to be made."""
        self.waiting = list(range(len(self.stream.each)))

    @property
    def finished(self) -> bool:
        """Whether every call has been answered."""
        return not self.waiting and not self.flying

    @property
    def left(self) -> float:
        """Calls without an answer."""
        return float(len(self.waiting) + self.flying)

    def hurry(self) -> None:
        """Every call is needed."""

    def wants(self, ways: int) -> list[Want[Wanted]]:
        """As many calls as a request may have."""
        return [Want(Wanted(self), min(MAX_COMMANDS, len(self.waiting)))] if self.waiting and ways else []

    def order(self, stretch: Stretch | None, pages: int, prefix: str) -> Order:  # noqa: ARG002
        """The next calls."""
        numbers, self.waiting = self.waiting[:pages], self.waiting[pages:]
        self.flying += len(numbers)
        return Order(
            self, {f"{prefix}{number}": each_command(self.stream, number) for number in numbers}, calls=numbers
        )

    def lost(self, order: Order) -> None:
        """The calls are wanted again."""
        self.flying -= len(order.calls)
        self.waiting = [*order.calls, *self.waiting]

    def take(self, order: Order, answers: Sequence[Answer]) -> tuple[list[Row], Closed]:
        """The rows that came. Calls that were left unanswered are made again."""
        self.flying -= len(order.calls)
        rows: list[Row] = []
        for number, answer in zip(order.calls, answers, strict=True):
            if unanswered(answer) or isinstance(answer.error, RetryError | RestError):
                self.waiting.append(number)
            elif answer.error is None:
                rows.append(whole_row(self.stream, answer.result))
        self.failures = self.failures + 1 if len(self.waiting) >= len(order.calls) and not rows else 0
        if self.failures >= PATIENCE:
            raise BrokenOffError(f"{self.stream.method} failed again and again", fix="run it again later")
        return rows, ()


def task(stream: Stream, since: Since | None, done: Done = NOTHING, *, proven: bool = False) -> Task:
    """The task that reads a stream, from `since` on where that is given, without the ids that are `done`.

    proven   the portal counts the rows of a full read when it is complete
    """
    if stream.paging == "keyset":
        return KeysetTask(stream, since, done, proven=proven)
    return EachTask(stream) if stream.paging == "each" else ListTask(stream)

"""A portal that only keeps time: it answers the reader's own schedule with seconds, gauges and numbers of rows. Pure.

Operating time is kept as the vendor's docs tell it (settings/performance/limits.md): seconds of work per method in ten
buckets, of which the oldest leaves when the window has passed.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from b24lake.errors import OverlongError, RestError
from b24lake.portal.connection import Batch
from b24lake.portal.limits import BATCH, PLANS, Gauges, Plan
from b24lake.portal.replies import Answer, Timing
from b24lake.reading.children import ChildrenTask, Parents
from b24lake.reading.paging import PAGE, Chain, Read, Row
from b24lake.reading.schedule import Ask, Sent
from b24lake.reading.tasks import KeysetTask, ListTask, Order, Task
from b24lake.reading.walk import Closed
from b24lake.streams.definitions import Stream

WINDOW, BUCKETS = 600.0, 10  # seconds in which a portal adds up operating time, and the parts in which they leave
LIMIT = 480.0  # operating seconds at which a method is blocked: the figure of the docs' example
CUT = 60.0  # seconds after which a request is cut off


@dataclass(frozen=True, slots=True)
class Size:
    """What the probes told of one stream.

    rows      to be read: all, or those changed since
    seconds   of the portal's work per page; `newest` of the page of newest ids (None = as much), `total` of a page for
              which it counts all rows (None = twice as much)
    counted   whether the portal counted the rows; otherwise they are guessed from their ids
    low       the ids of the first page, rising; `high` those of the newest page
    pages     commands of a stream that is not paged by id: of children, the parents
    own       seconds of our own work per row: parsing, decoding, writing
    booked    whether the portal adds commands this short to its operating time
    """

    rows: int
    seconds: float
    newest: float | None = None
    total: float | None = None
    counted: bool = True
    low: tuple[int, ...] = ()
    high: tuple[int, ...] = ()
    pages: int = 1
    own: float = 0.0
    booked: bool = True


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which a run reads.

    plan          the request limits of the portal's tariff
    concurrency   requests on their way at once
    threshold     operating seconds above which a method rests; 0 = off
    gauges        what the portal has booked by now
    told          whether its answers carry these gauges
    window        seconds in which it adds up operating time
    round_trip    seconds there and back of a request, beside the portal's work
    landing       seconds of our own to make a version of a table of what was read
    """

    plan: Plan = PLANS["standard"]
    concurrency: int = 4
    threshold: float = 200.0
    gauges: Gauges = field(default_factory=Gauges)
    told: bool = True
    window: float = WINDOW
    round_trip: float = 0.0
    landing: float = 0.0


class Ids:
    """The ids of a stream, rising: those of its first and last page as the portal told them, in between spread evenly.

    >>> ids = Ids(Size(rows=7, seconds=0, low=(10, 12), high=(40, 41)))
    >>> [ids.key(place) for place in range(7)], ids.upto(12)
    ([10, 12, 19, 26, 33, 40, 41], 2)
    """

    def __init__(self, size: Size) -> None:
        self.low = size.low
        self.high = tuple(key for key in size.high if not size.low or key > size.low[-1])
        self._base = self.low[-1] if self.low else 0
        known = len(self.low) + len(self.high)
        if self.high:
            self._span = self.high[0] - self._base
            self.count = known + min(max(0, size.rows - known), self._span - 1)
        else:
            self.count = max(known, size.rows)
            self._span = (self.count - known + 1) * max(1, (self._base - self.low[0]) // known if known else 1)

    def key(self, place: int) -> int:
        """The id at a place, counted from 0."""
        return self.keys(place, 1)[0]

    def keys(self, place: int, count: int) -> list[int]:
        """The ids at so many places from one on, as far as there are any."""
        last, begins, ends = place + count, len(self.low), max(len(self.low), self.count - len(self.high))
        middle = range(max(place, begins) - begins + 1, min(last, ends) - begins + 1)
        base, span, parts = self._base, self._span, ends - begins + 1
        return [
            *self.low[place:last],
            *[base + span * beyond // parts for beyond in middle],
            *self.high[max(0, place - self.count + len(self.high)) : max(0, last - self.count + len(self.high))],
        ]

    def upto(self, key: int) -> int:
        """How many ids are not above this one."""
        return bisect_right(range(self.count), key, key=self.key)

    def read(self, stream: Stream, chain: Chain, answers: Sequence[Answer]) -> Read:
        """What a chain brings, as `paging.read_chain` would judge it."""
        problem = next((number for number, answer in enumerate(answers) if answer.error), None)
        asked = len(answers) if problem is None else problem
        first = self.upto(chain.after)
        count = min(self.count - first, asked * PAGE)
        keys = self.keys(first, count)
        rows: list[Row] = [{stream.key: key} for key in keys]
        reached = keys[-1] if keys else chain.after
        if count < asked * PAGE:
            return Read(rows, reached, finished=True, wasted=max(0, len(answers) - count // PAGE - 1))
        return Read(rows, reached, problem=None if problem is None else answers[problem].error)


class TimedKeyset(KeysetTask):
    """A stream that is paged by its key, its rows known by number only."""

    def __init__(self, ask: Ask, size: Size) -> None:
        super().__init__(ask.stream, None, ask.done, proven=ask.proven and ask.since is None)
        self.ids, self.newest = Ids(size), Answer([{ask.stream.key: key} for key in reversed(size.high)])

    def take(self, order: Order, answers: Sequence[Answer]) -> tuple[list[Row], Closed]:
        """As many rows as the chain would bring."""
        if order.stretch is None:
            return super().take(order, [replace(answers[0], total=self.walk.counted)])
        assert order.chain is not None
        if len(answers) > order.chain.pages:
            if not answers[-1].error:
                self.walk.note_newest(self.newest)
            answers = answers[:-1]
        return self.walk.use(order.stretch, order.chain, self.ids.read(self.stream, order.chain, answers))


class TimedList(ListTask):
    """A stream that comes as a whole or in pages by position, its rows known by number only."""

    def __init__(self, stream: Stream, size: Size) -> None:
        super().__init__(stream)
        self.rows, self.pages = size.rows, max(1, size.pages)

    def take(self, order: Order, answers: Sequence[Answer]) -> tuple[list[Row], Closed]:  # noqa: ARG002
        """The rows of one page."""
        self.busy = False
        if answers[0].error:
            return [], ()
        came = -(-self.rows // self.pages)
        self.rows, self.pages = self.rows - came, self.pages - 1
        self.start = (self.start or 0) + PAGE if self.pages else None
        return [{}] * came, ()


class TimedChildren(ChildrenTask):
    """The children of so many parents as there are pages, their rows known by number only."""

    def __init__(self, stream: Stream, size: Size) -> None:
        super().__init__(stream, Parents(np.arange(size.pages)))
        self.rows, self.came = size.rows, 0

    def take(self, order: Order, answers: Sequence[Answer]) -> tuple[list[Row], Closed]:
        """The rows of the parents that were answered for, spread evenly."""
        self.flying -= len(order.calls)
        refused = [call for call, answer in zip(order.calls, answers, strict=True) if answer.error]
        self.again.extend(refused)
        self.answered += len(order.calls) - len(refused)
        before, self.came = self.came, self.rows * self.answered // len(self.parents.ids)
        return [{}] * (self.came - before), ()


def timed_task(ask: Ask, size: Size) -> Task:
    """The task that stands for reading a stream."""
    if ask.parents is not None:
        return TimedChildren(ask.stream, size)
    return TimedKeyset(ask, size) if ask.stream.paging == "keyset" else TimedList(ask.stream, size)


class Meter:
    """Operating seconds of one method; moments are asked for in rising order."""

    def __init__(self, window: float) -> None:
        self.window = window
        self._coming: list[tuple[float, float]] = []  # (ends at, seconds), a heap
        self._buckets: deque[tuple[float, float]] = deque()  # (opened at, seconds), oldest first

    def book(self, seconds: float, at: float) -> None:
        """Work that ends at a moment, which may still be ahead."""
        if seconds:
            heapq.heappush(self._coming, (at, seconds))

    def used(self, now: float) -> float:
        """Seconds booked in the window before `now`."""
        while self._coming and self._coming[0][0] <= now:
            at, seconds = heapq.heappop(self._coming)
            if self._buckets and at < self._buckets[-1][0] + self.window / BUCKETS:
                opened, booked = self._buckets.pop()
                self._buckets.append((opened, booked + seconds))
            else:
                self._buckets.append((at, seconds))
        while self._buckets and self._buckets[0][0] + self.window <= now:
            self._buckets.popleft()
        return sum(seconds for _, seconds in self._buckets)

    def reset_at(self, now: float) -> float:
        """When the oldest bucket leaves."""
        return (self._buckets[0][0] if self._buckets else now) + self.window


class Timekeeper:
    """Takes requests, says how long they take, and books that."""

    def __init__(self, sizes: Iterable[tuple[Ask, Size]], terms: Terms) -> None:
        self.sizes, self.terms = {ask.stream.name: size for ask, size in sizes}, terms
        self.by_batch = terms.gauges.by_batch
        self._meters: dict[str, Meter] = defaultdict(lambda: Meter(terms.window))
        for method, gauge in terms.gauges.by_method.items():
            if gauge.reset_at is not None and (method == BATCH) == self.by_batch:
                self._meters[method].book(gauge.operating, gauge.reset_at - terms.window)

    def serve(self, sent: Sent, at: float) -> tuple[float, set[str]]:
        """A request that arrives: the seconds it takes, and the keys of the commands that are refused.

        Raises RestError where batches are blocked, OverlongError where it takes too long and is cut off.
        """
        if self.by_batch and self._meters[BATCH].used(at) >= LIMIT:
            raise RestError("batch is blocked", code="OPERATION_TIME_LIMIT")
        taken, refused = 0.0, set[str]()
        booked = {order.task.stream.method: self._booked(order, at) for order in sent.orders}
        for order in sent.orders:
            size, method = self.sizes[order.task.stream.name], order.task.stream.method
            for key in order.commands:
                if booked[method] >= LIMIT:
                    refused.add(key)
                    continue
                seconds = _seconds(size, key)
                taken += seconds
                if size.booked and not self.by_batch:
                    booked[method] += seconds
                    self._meters[method].book(seconds, at + taken)
        if self.by_batch:
            self._meters[BATCH].book(taken, at + taken)
        if taken > CUT:
            raise OverlongError("The request took too long")
        return taken, refused

    def _booked(self, order: Order, at: float) -> float:
        return 0.0 if self.by_batch else self._meters[order.task.stream.method].used(at)

    def answers(self, sent: Sent, refused: set[str], now: float) -> Batch:
        """What the portal says of a request's commands when they are done."""
        answers: dict[str, Answer] = {}
        told: dict[str, Timing] = {}
        for order in sent.orders:
            size, method = self.sizes[order.task.stream.name], order.task.stream.method
            timing = told.setdefault(method, self._timing(BATCH if self.by_batch else method, now))
            for key in order.commands:
                if key in refused:
                    answers[key] = Answer(error=RestError(f"{method} is blocked", code="OPERATION_TIME_LIMIT"))
                else:
                    answers[key] = Answer([], timing=_lasting(timing, _seconds(size, key)))
        outer = self._timing(BATCH, now) if self.by_batch else Timing(finish=now)
        return Batch(answers, outer)

    def _timing(self, method: str, now: float) -> Timing:
        if not self.terms.told:
            return Timing(finish=now)
        meter = self._meters[method]
        return Timing(operating=meter.used(now), reset_at=meter.reset_at(now), finish=now)


def _seconds(size: Size, key: str) -> float:
    """Of the portal's work for the command of this key."""
    if key.endswith("newest") and size.newest is not None:
        return size.newest
    if key.endswith("total"):
        return 2 * size.seconds if size.total is None else size.total
    return size.seconds


def _lasting(timing: Timing, seconds: float) -> Timing:
    return Timing(seconds, timing.operating, timing.reset_at, timing.finish)

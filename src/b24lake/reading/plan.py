"""What a read will take, before it begins: requests, the portal's seconds, rests and time. Pure.

The plan is a rehearsal: the reader's own schedule asks a portal that only keeps time (`timekeeper.py`), on a simulated
clock. So it packs, paces and rests as the run will. What it cannot know is how evenly ids are spread, and whether the
portal will be as quick later on.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from b24lake.errors import B24LakeError, OverlongError, RestError, StopError
from b24lake.portal import limits
from b24lake.portal.connection import MAX_COMMANDS
from b24lake.portal.limits import BATCH, Bucket
from b24lake.reading.paging import PAGE
from b24lake.reading.schedule import Active, Ask, Schedule, Sent, Taken
from b24lake.reading.timekeeper import CUT, LIMIT, Size, Terms, Timekeeper, timed_task

LOOK = 1.0  # seconds between two looks at resting methods while requests are on their way
PARSING = 0.35  # of our own work on a row is done before the answer can be judged


@dataclass(slots=True)
class Expected:
    """What one stream will take.

    commands   pages, those included that turn out to lie beyond an end
    seconds    from the beginning of the reading until its table is there
    failure    why it would not be read to its end; "" = it would
    """

    rows: int = 0
    commands: int = 0
    portal_seconds: float = 0.0
    rests: int = 0
    rest_seconds: float = 0.0
    seconds: float = 0.0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the reading will take in all; `streams` by name."""

    requests: int
    seconds: float
    streams: Mapping[str, Expected]

    @property
    def portal_seconds(self) -> float:
        """The portal's work for all streams."""
        return sum(stream.portal_seconds for stream in self.streams.values())


def together(parts: Sequence[Expected]) -> Expected:
    """What a stream takes that is read in several parts, of which only the last brings rows."""
    return Expected(
        rows=parts[-1].rows,
        commands=sum(part.commands for part in parts),
        portal_seconds=sum(part.portal_seconds for part in parts),
        rests=sum(part.rests for part in parts),
        rest_seconds=sum(part.rest_seconds for part in parts),
        seconds=max(part.seconds for part in parts),
        failure=next((part.failure for part in parts if part.failure), ""),
    )


def estimate(sizes: Iterable[tuple[Ask, Size]], terms: Terms, now: float) -> Estimate:
    """What reading streams of these sizes takes from `now` (unix seconds) on."""
    return _Rehearsal(list(sizes), terms, now).run()


@dataclass(slots=True)
class _Flight:
    """A request on its way: the commands that the portal refuses, or the error that hits it as a whole."""

    sent: Sent
    refused: set[str]
    error: B24LakeError | None = None


class _Rehearsal:
    """One run in simulated time: one of us at work, several requests on their way."""

    def __init__(self, sizes: list[tuple[Ask, Size]], terms: Terms, now: float) -> None:
        self.terms, self.began, self.now, self.requests = terms, now, now, 0
        self.portal = Timekeeper(sizes, terms)
        self.expected = {ask.stream.name: Expected(rows=max(0, size.rows - ask.done.rows)) for ask, size in sizes}
        self.schedule = Schedule(concurrency=terms.concurrency, threshold=terms.threshold)
        self.schedule.gauges = replace(terms.gauges, threshold=terms.threshold)
        for ask, size in sizes:
            self.schedule.add(ask)
            self.schedule.active[ask.stream.name] = active = Active(ask, timed_task(ask, size))
            if active.task.finished:  # children of nobody
                self.schedule.drop(active.name)
        self._bucket = Bucket(0.0, now)
        self._flying: list[tuple[float, int, _Flight]] = []  # (arrives at, number, what), a heap

    def run(self) -> Estimate:
        """All of it."""
        try:
            while self.schedule.active:
                self._launch()
                self._go_on()
        except StopError as error:
            for name in self.schedule.active:
                self.expected[name].failure = str(error)
        for name, expected in self.expected.items():
            stats = self.schedule.stats[name]
            expected.commands, expected.portal_seconds = stats.commands, stats.portal_seconds
            expected.rests, expected.rest_seconds = stats.rests, stats.rest_seconds
        return Estimate(self.requests, self.now - self.began, self.expected)

    def _launch(self) -> None:
        while len(self._flying) < self.terms.concurrency:
            sent = self.schedule.next(self.now)
            if not sent.orders:
                return
            flight = _Flight(sent, set())
            heapq.heappush(self._flying, (self._send(flight), self.requests, flight))

    def _send(self, flight: _Flight) -> float:
        """Wait for room in the request bucket, and let the portal work. Returns when the answer is here."""
        at = max(self.now, self._bucket.at)
        at += limits.wait(self._bucket, at, self.terms.plan)
        self._bucket = limits.take(self._bucket, at, self.terms.plan)
        self.requests += 1
        taken = 0.0
        try:
            taken, flight.refused = self.portal.serve(flight.sent, at + self.terms.round_trip / 2)
        except (RestError, OverlongError) as error:
            flight.error = error
            taken = CUT if isinstance(error, OverlongError) else 0.0
        return at + self.terms.round_trip + taken

    def _go_on(self) -> None:
        """To the next answer, or to the moment at which something can be asked again."""
        if not self._flying:
            self.now = max(self.now + 0.01, self.schedule.ready_at())
            return
        arrives = self._flying[0][0]
        if arrives > self.now + LOOK:
            self.now += LOOK
            return
        self.now = max(self.now, arrives)
        _, _, flight = heapq.heappop(self._flying)
        taken = self._judge(flight)
        own = [self.portal.sizes[one.active.name].own * len(one.rows) for one in taken]
        self.now += PARSING * sum(own)
        self._launch()
        for one, seconds in zip(taken, own, strict=True):
            self.now += (1 - PARSING) * seconds
            self._finish(one)

    def _judge(self, flight: _Flight) -> list[Taken]:
        if isinstance(flight.error, RestError):
            self.schedule.rest(flight.sent, self.now)
            return []
        if isinstance(flight.error, OverlongError):
            return list(self.schedule.ask_for_less(flight.sent, flight.error, self.now))
        batch = self.portal.answers(flight.sent, flight.refused, self.now)
        return list(self.schedule.take(flight.sent, batch, self.now))

    def _finish(self, taken: Taken) -> None:
        name = taken.active.name
        if taken.error is None and not taken.active.task.finished:
            return
        if self.schedule.active.get(name) is taken.active:
            self.schedule.drop(name)
            self.now += self.terms.landing
            self.expected[name].seconds = self.now - self.began
            self.expected[name].failure = str(taken.error or "")


@dataclass(frozen=True, slots=True)
class Left:
    """Rows of one stream that are still to be read; `seconds` of the portal's work per page, `own` of ours per row."""

    method: str
    rows: int
    seconds: float
    own: float = 0.0


def remaining(left: Iterable[Left], terms: Terms, now: float, *, level: float = 0.0) -> float:
    """About how many seconds a run still takes: whatever holds it up longest of requests, portal, rests and ourselves.

    For a display that is drawn several times a second; `estimate` is the careful one.

    level   requests in the bucket now

    >>> remaining([Left("crm.deal.list", rows=250_000, seconds=0.02)], Terms(), now=0.0)
    27.0
    """
    by_method: dict[str, float] = defaultdict(float)
    pages, own = 0, 0.0
    for one in left:
        pages += math.ceil(one.rows / PAGE)
        by_method[BATCH if terms.gauges.by_batch else one.method] += math.ceil(one.rows / PAGE) * one.seconds
        own += one.rows * one.own
    requests = math.ceil(pages / MAX_COMMANDS)
    free = max(1.0, terms.plan.threshold - limits.RESERVE * terms.plan.drain) - level
    work = (sum(by_method.values()) + requests * terms.round_trip) / terms.concurrency
    rests = [_resting(method, seconds, terms, now) for method, seconds in by_method.items()]
    return max((requests - free) / terms.plan.drain, work, own, *rests, 0.0)


def _resting(method: str, seconds: float, terms: Terms, now: float) -> float:
    """How long a method takes for so many seconds of work: a threshold's worth in each window."""
    gauge = terms.gauges.by_method.get(method, limits.Gauge())
    used = gauge.operating if gauge.reset_at is not None and gauge.reset_at > now else 0.0
    most = terms.threshold if terms.threshold and terms.told else LIMIT
    windows = max(0, math.ceil((used + seconds) / most) - 1)
    waits = max(0.0, terms.gauges.resting_until(method) - now)
    return max(waits, windows * terms.window - (terms.window - gauge.reset_at + now if used and gauge.reset_at else 0))

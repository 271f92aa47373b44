"""Reading in simulated time: the schedule and the request bucket against a simulated portal, without threads.

What the reader, the budget and the connection do with threads and sockets is done here by events on a heap: several
requests on their way, a wait for the bucket before each attempt, pauses before the next. The decisions are the
product's own. No time passes for decoding and writing.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count

from b24lake.errors import B24LakeError, BusyError, OverlongError, RestError, RetryError, StopError, StreamError
from b24lake.portal import limits, replies
from b24lake.portal.connection import ATTEMPTS, BUSY_ATTEMPTS, LONGEST_PAUSE, Batch
from b24lake.portal.limits import Bucket, Plan
from b24lake.reading.paging import FilterIgnoredError, Row, key_of, value_of
from b24lake.reading.reader import LONGEST_NAP
from b24lake.reading.schedule import Ask, Schedule, Sent, Stats, Taken
from b24lake.reading.walk import Closed
from benchmarks.simulated_portal import SimulatedPortal

EPOCH = 1_767_225_600.0
Flight = Generator[float, None, Batch]
Watch = Callable[["Simulation", Sent], None]


@dataclass(slots=True)
class Brought:
    """What came of one stream: its keys in the order they came, closed stretches, its end and when it ended."""

    keys: list[int | str] = field(default_factory=list)
    closed: list[tuple[int, int]] = field(default_factory=list)
    ended: bool = False
    error: StreamError | None = None
    seconds: float = 0.0


@dataclass(order=True, slots=True)
class _Event:
    """A request that goes on at a moment."""

    at: float
    number: int
    flight: Flight = field(compare=False)
    sent: Sent = field(compare=False)


class Simulation:
    """One run.

    travel      seconds there and back of each request; `jitter`: up to so many more on the way there
    most        requests after which the run counts as endless; `longest`, seconds
    launched    called with each request that sets out; `answered`: with each whose answer has been used
    """

    def __init__(
        self,
        portal: SimulatedPortal,
        schedule: Schedule,
        plan: Plan,
        chance: random.Random,
        *,
        travel: float = 0.1,
        jitter: float = 0.0,
        most: float = 10_000,
        longest: float = 500_000.0,
        launched: Watch = lambda _simulation, _sent: None,
        answered: Watch = lambda _simulation, _sent: None,
    ) -> None:
        self.portal, self.schedule, self.plan, self.chance = portal, schedule, plan, chance
        self.travel, self.jitter, self.most, self.longest = travel, jitter, most, longest
        self.launched, self.answered = launched, answered
        self.now, self.bucket = EPOCH, Bucket()
        self.brought: dict[str, Brought] = {}
        self.sent: list[float] = []  # moments at which requests were let through by our own bucket
        self._events: list[_Event] = []
        self._numbers = count()
        portal.now = lambda: self.now

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return self.now - EPOCH

    @property
    def stats(self) -> dict[str, Stats]:
        """What each stream took, by name."""
        return self.schedule.stats

    def read(self, asks: Iterable[Ask]) -> Mapping[str, Brought]:
        """Everything asked for. Raises StopError as the reader does, AssertionError where there is no end."""
        for ask in asks:
            self.schedule.add(ask)
            self.brought[ask.stream.name] = Brought()
        while self.schedule.active:
            assert self.seconds <= self.longest, "the run does not end"
            self._launch()
            if self._events:
                self._await(self.now + LONGEST_NAP)
            else:
                self.now = max(self.now + 0.01, self.schedule.ready_at())
        return self.brought

    def _launch(self) -> None:
        while len(self._events) < self.schedule.concurrency:
            sent = self.schedule.next(self.now)
            if not sent.orders:
                return
            self.launched(self, sent)
            heapq.heappush(self._events, _Event(self.now, next(self._numbers), self._fly(sent), sent))

    def _await(self, until: float) -> None:
        """Let requests go on until one has ended or a moment is reached."""
        while self._events and self._events[0].at <= until:
            event = heapq.heappop(self._events)
            self.now = event.at
            try:
                event.at += next(event.flight)
            except StopIteration as end:
                self._use(event.sent, end.value)
                return
            except B24LakeError as error:
                self._use(event.sent, error)
                return
            heapq.heappush(self._events, event)
        self.now = until

    # --- what the connection does -------------------------------------------------------------------------------------

    def _fly(self, sent: Sent) -> Flight:
        """Ask until the portal answers, as the connection does: passing faults are asked again after a pause."""
        failed = busy = 0
        patience = 1 if len(sent.commands) > 1 else ATTEMPTS
        methods = {key: command.method for key, command in sent.commands.items()}
        while True:
            try:
                answer = yield from self._post(sent)
                return Batch(replies.read_batch(answer, methods), answer.timing)
            except BusyError as error:
                self.bucket = limits.refused(self.bucket, self.now, self.plan)
                busy += 1
                self._give_up(error, spent=busy >= BUSY_ATTEMPTS)
                yield self._pause(busy)
            except RetryError as error:
                failed += 1
                if isinstance(error, OverlongError) and failed >= patience:
                    raise
                self._give_up(error, spent=failed >= ATTEMPTS)
                yield self._pause(failed)

    def _post(self, sent: Sent) -> Generator[float, None, replies.Answer]:
        while (seconds := limits.wait(self.bucket, self.now, self.plan)) > 0:
            self.bucket = limits.rebased(self.bucket, self.now, self.plan)
            yield min(max(seconds, 0.01), 1.0)
        self.bucket = limits.take(self.bucket, self.now, self.plan)
        self.sent.append(self.now)
        assert len(self.sent) <= self.most, "the run asks without end"
        yield self.travel / 2 + self.jitter * self.chance.random()
        try:
            answer = yield from self.portal.serve(sent.commands, halt=sent.halt)
        except B24LakeError:
            yield self.travel / 2
            raise
        yield self.travel / 2
        return answer

    def _give_up(self, error: RetryError, *, spent: bool) -> None:
        if spent:
            raise StopError(f"{error.what}, again and again", why=error.why, fix=error.fix)

    def _pause(self, attempt: int) -> float:
        return min(LONGEST_PAUSE, 0.5 * 2.0**attempt) * (0.5 + self.chance.random() / 2)

    # --- what the reader does -----------------------------------------------------------------------------------------

    def _use(self, sent: Sent, result: Batch | B24LakeError) -> None:
        taken = list(self._take(sent, result))
        self.answered(self, sent)
        self._launch()
        for one in taken:
            self._emit(one)

    def _take(self, sent: Sent, result: Batch | B24LakeError) -> Iterable[Taken]:
        if isinstance(result, Batch):
            return self.schedule.take(sent, result, self.now)
        if isinstance(result, RestError):
            self.schedule.rest(sent, self.now)
            return ()
        if isinstance(result, OverlongError):
            return self.schedule.ask_for_less(sent, result, self.now)
        raise result

    def _emit(self, taken: Taken) -> None:
        active, rows, closed, error = taken
        name, brought = active.name, self.brought[active.name]
        if self.schedule.active.get(name) is not active:
            return
        if isinstance(error, FilterIgnoredError):
            self.schedule.ask_otherwise(active)
            brought.keys.clear()
            brought.closed.clear()
            return
        self._keep(brought, active.ask, rows, closed)
        if error is not None or active.task.finished:
            self.schedule.stats[name].wasted = active.task.wasted
            brought.ended, brought.error, brought.seconds = True, error, self.seconds
            self.schedule.drop(name)

    def _keep(self, brought: Brought, ask: Ask, rows: list[Row], closed: Closed) -> None:
        stream = ask.stream
        if stream.paging == "keyset":
            brought.keys += [key_of(stream, row) or 0 for row in rows]
        else:
            brought.keys += [str(value_of(row, stream.key)) for row in rows]
        brought.closed += closed

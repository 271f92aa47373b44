"""The loop where paging, packing, limits and connection meet: streams in, typed Arrow batches out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo

import pyarrow as pa

from b24lake.errors import OverlongError, RestError, RetryError, StopError, StreamError
from b24lake.portal import limits
from b24lake.portal.connection import ATTEMPTS, LONGEST_PAUSE, MAX_COMMANDS, Batch, Command, Connection
from b24lake.portal.limits import Gauges
from b24lake.portal.replies import Answer
from b24lake.reading.decode import Decoder
from b24lake.reading.packing import fill
from b24lake.reading.paging import FilterIgnoredError, Row, Since, unanswered
from b24lake.reading.tasks import Closed, Order, Task, task
from b24lake.streams.definitions import Stream
from b24lake.streams.fields import Column

GIVE_UP = 2 * ATTEMPTS  # attempts in a row, none of which the portal answered in time
LONGEST_NAP = 1.0  # seconds between two looks at a resting method, so that a run can be cancelled


@dataclass(frozen=True, slots=True)
class Ask:
    """One stream to read: all rows, or those changed at or after `since` by `replication_key`."""

    stream: Stream
    columns: tuple[Column, ...]
    replication_key: str | None = None
    since: datetime | None = None


@dataclass(slots=True)
class Stats:
    """What reading one stream took so far.

    started        the portal's clock when its first page was asked
    began, ended   our own clock (unix seconds) then, and when its last row came; 0 = not yet
    """

    rows: int = 0
    misfits: int = 0
    commands: int = 0
    wasted: int = 0
    portal_seconds: float = 0.0
    rests: int = 0
    rest_seconds: float = 0.0
    resting_until: float = 0.0
    started: datetime | None = None
    began: float = 0.0
    ended: float = 0.0
    portal_total: int | None = None
    filter_ignored: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of one stream, and the stretches of ids that are complete with it."""

    name: str
    batch: pa.RecordBatch
    closed: Closed


@dataclass(frozen=True, slots=True)
class Restarted:
    """A stream begins anew: what came of it so far is void."""

    name: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream is complete (`error` None), or cannot go on."""

    name: str
    error: StreamError | None = None


Event = Rows | Restarted | Ended


@dataclass(slots=True)
class _Active:
    """A stream being read; `broken` ones ask for nothing more.

    failures     rounds in a row in which the portal left it unanswered
    not_before   asks for nothing until then (our clock)
    """

    ask: Ask
    task: Task
    decoder: Decoder
    filter_form: int = 0
    broken: bool = False
    failures: int = 0
    not_before: float = 0.0


# what an answer brought for a stream: rows, the stretches that are complete with them, the error that ends it
_Taken = tuple[_Active, list[Row], Closed, StreamError | None]


@dataclass(slots=True)
class _Sent:
    """One request on its way: its orders, each with its keys; `in_memory` once its answer has been parsed."""

    orders: list[Order] = field(default_factory=list)
    in_memory: bool = False

    @property
    def commands(self) -> dict[str, Command]:
        return {key: command for order in self.orders for key, command in order.commands.items()}

    def lost(self) -> None:
        """The request did not get through: its orders are wanted again."""
        for order in self.orders:
            order.task.lost(order)


class Reader:
    """Reads streams side by side through one connection.

    concurrency   requests on their way at once
    threshold     operating seconds above which a method rests; 0 = off
    zone          the server's, for times without an offset
    """

    def __init__(
        self,
        connection: Connection,
        *,
        concurrency: int = 4,
        threshold: float = 200.0,
        zone: tzinfo = UTC,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection, self.concurrency, self.zone = connection, concurrency, zone
        self.gauges = Gauges(threshold)
        self.stats: dict[str, Stats] = {}
        self._clock, self._sleep = clock, sleep
        self._active: dict[str, _Active] = {}
        self._first = 0
        self._room = MAX_COMMANDS  # commands of one request; fewer after one that took too long
        self._pace: dict[str, float] = {}  # seconds of the portal's work that a command of a method takes
        self._not_before = 0.0
        self._overlong = 0  # requests in a row that took too long
        self._memory = threading.Semaphore(1)  # one large answer is parsed at a time, when the one before is decoded

    def read(self, asks: Sequence[Ask]) -> Iterator[Event]:
        """Everything asked for, as it comes. Raises StopError where nothing can go on."""
        for ask in asks:
            self.stats[ask.stream.name] = Stats()
            self._active[ask.stream.name] = self._begin(ask, 0)
        flying: dict[Future[Batch], _Sent] = {}
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="portal")
        try:
            while self._active:
                self._launch(pool, flying)
                if not flying:
                    self._nap()
                    continue
                done, _ = wait(flying, timeout=LONGEST_NAP, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from self._use(flying.pop(future), future, lambda: self._launch(pool, flying))
        finally:
            for _waiting in range(self.concurrency):
                self._memory.release()
            pool.shutdown(wait=not flying, cancel_futures=True)  # who is interrupted does not wait for the portal

    def drop(self, name: str) -> None:
        """Read no more of a stream: nobody can take its rows."""
        self._active.pop(name, None)

    def _use(self, sent: _Sent, future: Future[Batch], launch: Callable[[], None]) -> Iterator[Event]:
        """Judge an answer, ask for more at once so that the portal works while we decode, then decode."""
        try:
            taken = list(self._take(sent, future))
            launch()
            while taken:
                yield from self._emit(*taken.pop(0))
        finally:
            if sent.in_memory:
                self._memory.release()

    def _begin(self, ask: Ask, form: int) -> _Active:
        since = _since(ask, form, self.zone)
        return _Active(ask, task(ask.stream, since), Decoder(ask.columns, ask.stream.key, self.zone), form)

    def _launch(self, pool: ThreadPoolExecutor, flying: dict[Future[Batch], _Sent]) -> None:
        while len(flying) < self.concurrency:
            sent = self._next()
            if not sent.orders:
                return
            halt = len(sent.orders) == 1  # nothing after an error of a lone chain is worth the portal's time
            flying[pool.submit(self._fetch, sent, halt)] = sent

    def _fetch(self, sent: _Sent, halt: bool) -> Batch:
        """In a thread: send a request, and parse its answer when there is room for it in memory."""

        def turn() -> None:
            if not sent.in_memory:
                self._memory.acquire()
                sent.in_memory = True

        return self.connection.batch(sent.commands, halt=halt, turn=turn, splits=True)

    def _next(self) -> _Sent:
        """The next request: what the streams want, in turns, without those whose method rests."""
        now = self._clock()
        ready = [active for active in self._turns() if self._may_ask(active, now)]
        ways = max(1, self.concurrency // max(1, len(ready)))
        wants = [
            replace(want, seconds=self._pace.get(active.ask.stream.method, 0.0))
            for active in ready
            for want in active.task.wants(ways)
        ]
        sent = _Sent()
        for want, pages in fill(wants, self._room):
            wanted = want.owner
            stats = self.stats[wanted.task.stream.name]
            stats.began = stats.began or now
            sent.orders.append(wanted.task.order(wanted.stretch, pages, f"c{len(sent.orders)}p"))
        return sent

    def _may_ask(self, active: _Active, now: float) -> bool:
        waits = max(active.not_before, self._not_before) > now
        return not (active.broken or waits or self._rests(active, now))

    def _turns(self) -> list[_Active]:
        """The streams, beginning with another one at each request."""
        streams = list(self._active.values())
        self._first += 1
        first = self._first % len(streams) if streams else 0
        return streams[first:] + streams[:first]

    def _rests(self, active: _Active, now: float) -> bool:
        until = self.gauges.resting_until(active.ask.stream.method)
        stats = self.stats[active.ask.stream.name]
        if until <= now:
            return False
        if until > stats.resting_until:
            stats.rests += 1
            stats.rest_seconds += until - max(now, stats.resting_until)
            stats.resting_until = until
        return True

    def _nap(self) -> None:
        """Every stream rests or waits: sleep until the first may go on, or for a second."""
        now = self._clock()
        until = min(
            max(self.gauges.resting_until(active.ask.stream.method), active.not_before, self._not_before)
            for active in self._active.values()
        )
        self._sleep(min(LONGEST_NAP, max(0.01, until - now)))

    def _take(self, sent: _Sent, future: Future[Batch]) -> Iterator[_Taken]:
        try:
            batch = future.result()
        except RestError:
            self.gauges = limits.blocked(self.gauges, limits.BATCH, self._clock())
            sent.lost()
            return
        except OverlongError as error:
            sent.lost()
            yield from self._ask_for_less(sent, error)
            return
        self._measure(sent, batch)
        for order in sent.orders:
            active = self._active.get(order.task.stream.name)
            if active is None or active.task is not order.task:
                continue  # the stream ended or began anew while this order was on its way
            answers = [batch.answers.pop(key) for key in order.commands]  # popped: rows are large, and used once
            try:
                rows, closed = order.task.take(order, answers)
            except StreamError as error:
                active.broken = True
                yield active, [], (), error
            else:
                stats = self.stats[active.ask.stream.name]
                stats.portal_total = next((one.total for one in answers if one.total), stats.portal_total)
                self._back_off(active, answers, progress=bool(rows or closed) or order.task.finished)
                yield active, rows, closed, None

    def _ask_for_less(self, sent: _Sent, error: OverlongError) -> Iterator[_Taken]:
        """The request took too long: after a pause the next ones have half as many commands.

        A single command that takes too long, again and again, ends its stream.
        """
        alone = len(sent.commands) == 1
        self._overlong += ATTEMPTS if alone else 1
        if self._overlong >= GIVE_UP:
            raise StopError(f"{error.what}, again and again", why=error.why, fix=error.fix)
        active = self._active.get(sent.orders[0].task.stream.name)
        if alone and active is not None:
            active.broken = True
            yield active, [], (), StreamError(error.what, why=error.why, fix=error.fix)
            return
        self._room = max(1, len(sent.commands) // 2)
        self._not_before = self._clock() + _pause(self._overlong)

    def _back_off(self, active: _Active, answers: Sequence[Answer], *, progress: bool) -> None:
        """A portal that leaves a stream unanswered is overloaded: ask again later, and later still."""
        now = self._clock()
        if progress:
            active.failures = 0
        elif active.not_before <= now and any(unanswered(one) or isinstance(one.error, RetryError) for one in answers):
            active.failures += 1
            active.not_before = now + _pause(active.failures)

    def _measure(self, sent: _Sent, batch: Batch) -> None:
        now = self._clock()
        self._overlong, self._room = 0, min(MAX_COMMANDS, self._room + self._room // 4 + 1)
        pairs: list[tuple[str, Answer]] = []
        for order in sent.orders:
            stats = self.stats[order.task.stream.name]
            stats.started = stats.started or batch.timing.date_start
            took = 0.0
            for key, command in order.commands.items():
                answer = batch.answers[key]
                took += answer.timing.duration
                pairs.append((command.method, answer))
            stats.commands, stats.portal_seconds = stats.commands + len(order.commands), stats.portal_seconds + took
            pace, method = took / len(order.commands), order.task.stream.method
            self._pace[method] = max(pace, 0.9 * self._pace.get(method, 0.0))
        self.gauges = limits.observe(self.gauges, pairs, batch.timing, now)
        for method in {method for method, answer in pairs if isinstance(answer.error, RestError)}:
            self.gauges = limits.blocked(self.gauges, method, now)

    def _emit(self, active: _Active, rows: list[Row], closed: Closed, error: StreamError | None) -> Iterator[Event]:
        name = active.ask.stream.name
        if self._active.get(name) is not active:
            return
        stats = self.stats[name]
        if isinstance(error, FilterIgnoredError):
            yield from self._ask_otherwise(active)
            return
        if error is None and (rows or closed):
            try:
                batch = active.decoder.batch(rows)
            except StreamError as unreadable:
                error = unreadable
            else:
                stats.rows, stats.ended = stats.rows + len(rows), self._clock()
                stats.misfits, stats.wasted = active.decoder.misfits, active.task.wasted
                yield Rows(name, batch, closed)
        if self._active.get(name) is active and (error is not None or active.task.finished):
            self.drop(name)
            yield Ended(name, error)

    def _ask_otherwise(self, active: _Active) -> Iterator[Event]:
        """The portal ignored the change filter: ask in server time, and if that is ignored too, read everything."""
        name, form = active.ask.stream.name, active.filter_form + 1
        stats = self.stats[name] = replace(self.stats[name], rows=0, misfits=0)
        stats.filter_ignored = form == len(_FILTER_FORMS)
        self._active[name] = self._begin(active.ask, form)
        yield Restarted(name)


def _pause(failures: int) -> float:
    """Seconds to leave a portal alone after so many failures in a row."""
    return min(LONGEST_PAUSE, 0.25 * 2.0**failures)


def _with_offset(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _in_server_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


# Some portals ignore a filter value with an offset, others need it: tried in this order. Without an offset an hour
# more is asked for: the clocks may have been changed between that moment and today, from which the zone is known.
_FILTER_FORMS = ((_with_offset, timedelta(0)), (_in_server_time, timedelta(hours=1)))


def _since(ask: Ask, form: int, zone: tzinfo) -> Since | None:
    if ask.since is None or ask.replication_key is None or form >= len(_FILTER_FORMS):
        return None
    written, earlier = _FILTER_FORMS[form]
    moment = ask.since.replace(microsecond=0).astimezone(zone) - earlier
    return Since(ask.replication_key, moment, written(moment))

"""Which commands of which streams go into the next request, and what its answer means for them.

Pure: no connection, no thread, and the time is passed in. The same decisions can so be watched on a simulated clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from b24lake.errors import BrokenOffError, OverlongError, RestError, RetryError, StopError, StreamError
from b24lake.portal import limits
from b24lake.portal.connection import ATTEMPTS, LONGEST_PAUSE, MAX_COMMANDS, Batch, Command
from b24lake.portal.limits import Gauges
from b24lake.portal.replies import Answer
from b24lake.reading.packing import fill
from b24lake.reading.paging import Row, Since, unanswered
from b24lake.reading.tasks import Closed, Order, Task, task
from b24lake.reading.walk import NOTHING, Done
from b24lake.streams.definitions import Stream
from b24lake.streams.fields import Column

GIVE_UP = 2 * ATTEMPTS  # attempts in a row, none of which the portal answered in time


@dataclass(frozen=True, slots=True)
class Ask:
    """One stream to read: all rows, or those changed at or after `since` by `replication_key`; not what is `done`."""

    stream: Stream
    columns: tuple[Column, ...]
    replication_key: str | None = None
    since: datetime | None = None
    done: Done = NOTHING


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


@dataclass(slots=True)
class Active:
    """A stream being read; `broken` ones ask for nothing more.

    failures     rounds in a row in which the portal left it unanswered
    not_before   asks for nothing until then (our clock)
    """

    ask: Ask
    task: Task
    filter_form: int = 0
    broken: bool = False
    failures: int = 0
    not_before: float = 0.0

    @property
    def name(self) -> str:
        """The stream's."""
        return self.ask.stream.name


class Taken(NamedTuple):
    """What an answer brought for a stream: rows, the stretches complete with them, the error that ends it."""

    active: Active
    rows: list[Row]
    closed: Closed
    error: StreamError | None


@dataclass(slots=True)
class Sent:
    """One request on its way: its orders, each with its keys; `in_memory` once its answer has been parsed."""

    orders: list[Order] = field(default_factory=list)
    in_memory: bool = False

    @property
    def commands(self) -> dict[str, Command]:
        """All commands by key, in the order in which the portal runs them."""
        return {key: command for order in self.orders for key, command in order.commands.items()}

    @property
    def halt(self) -> bool:
        """Whether the portal may stop at an error: nothing after that of a lone chain is worth its time."""
        return len(self.orders) == 1

    def lost(self) -> None:
        """The request did not get through: its orders are wanted again."""
        for order in self.orders:
            order.task.lost(order)


class Schedule:
    """The streams that are being read, side by side.

    concurrency   requests on their way at once
    threshold     operating seconds above which a method rests; 0 = off
    zone          the server's, for times without an offset

    Every `now` is a moment of our own clock, in unix seconds.
    """

    def __init__(self, *, concurrency: int = 4, threshold: float = 200.0, zone: tzinfo = UTC) -> None:
        self.concurrency, self.zone = concurrency, zone
        self.gauges = Gauges(threshold)
        self.stats: dict[str, Stats] = {}
        self.active: dict[str, Active] = {}
        self._first = 0
        self._room = MAX_COMMANDS  # commands of one request; fewer after one that took too long
        self._pace: dict[str, float] = {}  # seconds of the portal's work that a command of a method takes
        self._not_before = 0.0
        self._overlong = 0  # requests in a row that took too long

    def add(self, ask: Ask) -> None:
        """Read one more stream, or one that has ended once more for something else."""
        self.stats.setdefault(ask.stream.name, Stats())
        self.active[ask.stream.name] = self._begin(ask, 0)

    def drop(self, name: str) -> None:
        """Read no more of a stream."""
        self.active.pop(name, None)

    def _begin(self, ask: Ask, form: int) -> Active:
        return Active(ask, task(ask.stream, _since(ask, form, self.zone), ask.done), form)

    def next(self, now: float) -> Sent:
        """The next request: what the streams want, in turns, without those whose method rests. Empty: not now."""
        ready = [active for active in self._turns() if self._may_ask(active, now)]
        ways = max(1, self.concurrency // max(1, len(ready)))
        wants = [
            replace(want, seconds=self._pace.get(active.ask.stream.method, 0.0))
            for active in ready
            for want in active.task.wants(ways)
        ]
        sent = Sent()
        for want, pages in fill(wants, self._room):
            wanted = want.owner
            stats = self.stats[wanted.task.stream.name]
            stats.began = stats.began or now
            sent.orders.append(wanted.task.order(wanted.stretch, pages, f"c{len(sent.orders)}p"))
        return sent

    def ready_at(self) -> float:
        """The moment at which the first stream that rests or waits may go on; 0 = at once."""
        moments = [
            max(self.gauges.resting_until(active.ask.stream.method), active.not_before, self._not_before)
            for active in self.active.values()
        ]
        return min(moments, default=0.0)

    def take(self, sent: Sent, batch: Batch, now: float) -> Iterator[Taken]:
        """What an answered request brought, stream by stream. The batch's answers are used up.

        All that it brought for a stream comes at once: with the rest of it the stream may be finished.
        """
        self._measure(sent, batch, now)
        by_stream: dict[str, list[Order]] = {}
        for order in sent.orders:
            by_stream.setdefault(order.task.stream.name, []).append(order)
        for name, orders in by_stream.items():
            active = self.active.get(name)
            if active is not None and active.task is orders[0].task:  # else it ended or began anew meanwhile
                yield self._taken(active, orders, batch, now)

    def _taken(self, active: Active, orders: Sequence[Order], batch: Batch, now: float) -> Taken:
        """What an answered request brought for one stream."""
        rows: list[Row] = []
        closed: Closed = ()
        stats, told = self.stats[active.name], list[Answer]()
        for order in orders:
            answers = [batch.answers.pop(key) for key in order.commands]  # popped: rows are large, and used once
            try:
                more, also_closed = order.task.take(order, answers)
            except StreamError as error:
                active.broken = True
                return Taken(active, [], (), error)
            rows, closed = rows + more if rows else more, closed + also_closed
            stats.portal_total = next((one.total for one in answers if one.total), stats.portal_total)
            told += answers
        self._back_off(active, told, now, progress=bool(rows or closed) or active.task.finished)
        return Taken(active, rows, closed, None)

    def rest(self, sent: Sent, now: float) -> None:
        """The portal refused the whole request: it bills batches, and these are blocked now."""
        self.gauges = limits.blocked(self.gauges, limits.BATCH, now)
        sent.lost()

    def ask_for_less(self, sent: Sent, error: OverlongError, now: float) -> Iterator[Taken]:
        """The request took too long: after a pause the next ones have half as many commands.

        A single command that takes too long, again and again, ends its stream. Raises StopError where nothing helps.
        """
        sent.lost()
        alone = len(sent.commands) == 1
        self._overlong += ATTEMPTS if alone else 1
        if self._overlong >= GIVE_UP:
            raise StopError(f"{error.what}, again and again", why=error.why, fix=error.fix)
        active = self.active.get(sent.orders[0].task.stream.name)
        if alone and active is not None:
            active.broken = True
            yield Taken(active, [], (), BrokenOffError(error.what, why=error.why, fix=error.fix))
            return
        self._room = max(1, len(sent.commands) // 2)
        self._not_before = now + _pause(self._overlong)

    def ask_otherwise(self, active: Active) -> None:
        """The portal ignored the change filter: ask in server time, and if that is ignored too, read everything."""
        name, form = active.name, active.filter_form + 1
        stats = self.stats[name] = replace(self.stats[name], rows=0, misfits=0)
        stats.filter_ignored = form == len(_FILTER_FORMS)
        self.active[name] = self._begin(replace(active.ask, done=NOTHING), form)

    def _may_ask(self, active: Active, now: float) -> bool:
        waits = max(active.not_before, self._not_before) > now
        return not (active.broken or waits or self._rests(active, now))

    def _turns(self) -> list[Active]:
        """The streams, beginning with another one at each request."""
        streams = list(self.active.values())
        self._first += 1
        first = self._first % len(streams) if streams else 0
        return streams[first:] + streams[:first]

    def _rests(self, active: Active, now: float) -> bool:
        until = self.gauges.resting_until(active.ask.stream.method)
        stats = self.stats[active.name]
        if until <= now:
            return False
        if until > stats.resting_until:
            stats.rests += 1
            stats.rest_seconds += until - max(now, stats.resting_until)
            stats.resting_until = until
        return True

    def _back_off(self, active: Active, answers: Sequence[Answer], now: float, *, progress: bool) -> None:
        """A portal that leaves a stream unanswered is overloaded: ask again later, and later still."""
        if progress:
            active.failures = 0
        elif active.not_before <= now and any(unanswered(one) or isinstance(one.error, RetryError) for one in answers):
            active.failures += 1
            active.not_before = now + _pause(active.failures)

    def _measure(self, sent: Sent, batch: Batch, now: float) -> None:
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

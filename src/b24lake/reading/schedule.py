"""Which commands of which streams go into the next request, and what its answer means for them.

Pure: no connection, no thread, and the time is passed in. The same decisions can so be watched on a simulated clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from b24lake.errors import BrokenOffError, OverlongError, RestError, RetryError, StopError, StreamError
from b24lake.portal import limits
from b24lake.portal.connection import ATTEMPTS, LONGEST_PAUSE, MAX_COMMANDS, Batch, Command
from b24lake.portal.limits import Gauges
from b24lake.portal.replies import Answer
from b24lake.reading.children import ChildrenTask, Parents
from b24lake.reading.packing import Want, fill
from b24lake.reading.paging import Row, Since, unanswered
from b24lake.reading.tasks import Order, Task, Wanted, task
from b24lake.reading.walk import NOTHING, Closed, Done
from b24lake.streams.definitions import Stream
from b24lake.streams.fields import Column

GUESS = 1.0  # seconds that a command may take as long as nothing is known of its method
HOPELESS = 1800.0  # seconds without a single command of a method being let in; the portal counts ten minutes
GIVE_UP = 2 * ATTEMPTS  # attempts in a row, none of which the portal answered in time


@dataclass(frozen=True, slots=True)
class Ask:
    """One stream to read: all rows, or those changed at or after `since` by `replication_key`; not what is `done`.

    proven    the portal counts the rows of a full read when it is complete
    parents   the records whose children are read, where the stream is one of children
    held      columns that the table has, each with the code of its field
    fixed     keys that no column has are left out, in the place of becoming columns
    """

    stream: Stream
    columns: tuple[Column, ...]
    replication_key: str | None = None
    since: datetime | None = None
    done: Done = NOTHING
    proven: bool = False
    parents: Parents | None = None
    held: Mapping[str, str] = field(default_factory=dict)
    fixed: bool = False


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
    """One request on its way: its orders, each with its keys; `in_memory` once its answer has been parsed.

    seconds   of the portal's work that it should take, by method
    """

    orders: list[Order] = field(default_factory=list)
    in_memory: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def commands(self) -> dict[str, Command]:
        """All commands by key, in the order in which the portal runs them."""
        return {key: command for order in self.orders for key, command in order.commands.items()}

    @property
    def halt(self) -> bool:
        """Whether the portal may stop at an error: nothing after that of a lone chain is worth its time."""
        return len(self.orders) == 1 and not self.orders[0].calls

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
        self._flying: list[Sent] = []
        self._not_before = 0.0
        self._overlong = 0  # requests in a row that took too long

    def add(self, ask: Ask) -> None:
        """Read one more stream, or one that has ended once more for something else."""
        self.stats.setdefault(ask.stream.name, Stats())
        if ask.done.pace:
            self._pace.setdefault(ask.stream.method, ask.done.pace)
        self.active[ask.stream.name] = self._begin(ask, 0)

    def drop(self, name: str) -> None:
        """Read no more of a stream."""
        self.active.pop(name, None)

    def _begin(self, ask: Ask, form: int) -> Active:
        if ask.parents is not None:
            return Active(ask, ChildrenTask(ask.stream, ask.parents), form)
        return Active(ask, task(ask.stream, _since(ask, form, self.zone), ask.done, proven=ask.proven), form)

    def next(self, now: float) -> Sent:
        """The next request: what the streams want, in turns, without those whose method rests. Empty: not now."""
        ready = [active for active in self._turns() if self._may_ask(active, now)]
        ways = -(-self.concurrency // max(1, len(ready)))
        more = max(ways, (self.concurrency + 1) // 2)
        wants = [w for active in ready for w in self._wants(active, more if self._rests_ahead(active) else ways)]
        over = limits.OVER * self.gauges.threshold
        budgets = {method: over + self._left(method, now) for method in {want.method for want in wants}}
        sent = Sent()
        for want, pages in fill(wants, self._room, budgets=budgets):
            wanted = want.owner
            stats = self.stats[wanted.task.stream.name]
            stats.began = stats.began or now
            sent.orders.append(wanted.task.order(wanted.stretch, pages, f"c{len(sent.orders)}p"))
            sent.seconds[want.method] = sent.seconds.get(want.method, 0.0) + pages * want.seconds
        if sent.orders:
            self._flying.append(sent)
        return sent

    def _wants(self, active: Active, ways: int) -> list[Want[Wanted]]:
        """What a stream wants; a single command where only that can tell whether its method may run again."""
        method = active.ask.stream.method
        pace = self._pace.get(method, GUESS)
        wants = [replace(want, method=method, seconds=pace) for want in active.task.wants(ways)]
        return [replace(want, pages=want.least) for want in wants[:1]] if self.gauges.unsure(method) else wants

    def _left(self, method: str, now: float) -> float:
        """Seconds of work until a method passes the threshold, with what is on its way already."""
        flying = (sent.seconds.items() for sent in self._flying)
        wholly = self.gauges.by_batch
        return self.gauges.left(method, now) - sum(
            took for one in flying for name, took in one if wholly or name == method
        )

    def ready_at(self, after: float = 0.0) -> float:
        """The first moment from `after` on at which a stream may go on that rests or waits; 0 = at once."""
        moments = [
            max(self.gauges.resting_until(active.ask.stream.method), active.not_before, self._not_before)
            for active in self.active.values()
        ]
        return min([moment for moment in moments if moment >= after], default=math.inf if after else 0.0)

    def take(self, sent: Sent, batch: Batch, now: float) -> Iterator[Taken]:
        """What an answered request brought, stream by stream. The batch's answers are used up.

        All that it brought for a stream comes at once: with the rest of it the stream may be finished.
        """
        self._landed(sent)
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
                active.broken, stats.portal_total = True, active.task.total
                return Taken(active, [], (), error)
            rows, closed = rows + more if rows else more, closed + also_closed
            told += answers
        stats.portal_total = active.task.total
        if self.gauges.refused_for(active.ask.stream.method, now) > HOPELESS:
            active.broken = True
            return Taken(active, [], (), _never_let_in(active.ask.stream.method))
        self._back_off(active, told, now, progress=bool(rows or closed) or active.task.finished)
        return Taken(active, rows, closed, None)

    def rest(self, sent: Sent, now: float) -> None:
        """The portal refused the whole request: it bills batches, and these are blocked now.

        Raises StopError where it has let none in for a very long time.
        """
        self.gauges = limits.blocked(self.gauges, limits.BATCH, now)
        self._landed(sent)
        sent.lost()
        if self.gauges.refused_for(limits.BATCH, now) > HOPELESS:
            error = _never_let_in(limits.BATCH)
            raise StopError(error.what, why=error.why, fix=error.fix)

    def ask_for_less(self, sent: Sent, error: OverlongError, now: float) -> Iterator[Taken]:
        """The request took too long: after a pause the next ones have half as many commands.

        A single command that takes too long, again and again, ends its stream. Raises StopError where nothing helps.
        """
        self._landed(sent)
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
        self.active[name] = self._begin(replace(active.ask, done=replace(active.ask.done, closed=(), rows=0)), form)

    def _may_ask(self, active: Active, now: float) -> bool:
        if active.broken or max(active.not_before, self._not_before) > now or self._rests(active, now):
            return False
        method = active.ask.stream.method
        flies = any(method in sent.seconds or self.gauges.unsure(limits.BATCH) for sent in self._flying)
        return not flies or (not self.gauges.unsure(method) and self._left(method, now) >= 0)

    def _landed(self, sent: Sent) -> None:
        self._flying = [other for other in self._flying if other is not sent]

    def _turns(self) -> list[Active]:
        """The streams, beginning with another one at each request; every other time with those that must rest most.

        A rest begins the sooner the less time is left to others before it, and the work of others can be done in it.
        """
        streams = list(self.active.values())
        self._first += 1
        first = self._first // 2 % len(streams) if streams else 0
        turns = streams[first:] + streams[:first]
        return turns if self._first % 2 else sorted(turns, key=self._rests_ahead)

    def _rests_ahead(self, active: Active) -> int:
        """How many rests the stream's method still needs, as a negative number."""
        method, threshold = active.ask.stream.method, self.gauges.threshold
        used = self.gauges.by_method.get(method, limits.Gauge()).operating
        return -int(min(99.0, (used + self._work(method)) / threshold)) if threshold else 0

    def _work(self, method: str) -> float:
        """Seconds of the portal's work that are still to be booked where this method's are; infinite if unknown."""
        work = [(active.ask.stream.method, active.task.left) for active in self.active.values()]
        together = self.gauges.by_batch
        return sum(left * self._pace.get(name, GUESS) for name, left in work if together or name == method)

    def _rests(self, active: Active, now: float) -> bool:
        method = active.ask.stream.method
        until = self.gauges.resting_until(method)
        stats = self.stats[active.name]
        if until <= now:
            return False
        active.task.hurry()
        if until > stats.resting_until:
            looked = 2 * LONGEST_PAUSE if self.gauges.unsure(method) else 0.0
            stats.rests += now > stats.resting_until + looked
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
            method, answers = order.task.stream.method, [batch.answers[key] for key in order.commands]
            pairs += [(method, answer) for answer in answers]
            took = sum(answer.timing.duration for answer in answers)
            stats.commands, stats.portal_seconds = stats.commands + len(answers), stats.portal_seconds + took
            ran = sum(answer.timing.duration > 0 for answer in answers)
            if ran:
                self._pace[method] = max(took / ran, 0.9 * self._pace.get(method, 0.0))
        self.gauges = limits.observe(self.gauges, pairs, batch.timing, now)
        for method in {method for method, answer in pairs if isinstance(answer.error, RestError)}:
            self.gauges = limits.blocked(self.gauges, method, now)


def _never_let_in(method: str) -> BrokenOffError:
    return BrokenOffError(
        f"{method} has been blocked for half an hour",
        why="another program of the same webhook uses up its operating time",
        fix="give each program a webhook of its own, or run it again later",
    )


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

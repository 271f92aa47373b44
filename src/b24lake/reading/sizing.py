"""A few cheap commands that tell how large streams are and how quick the portal is. Pure: commands out, answers in.

Of a stream that is paged by key they are those with which the run itself begins: the first page and the page of newest
ids, neither of them counted. Where rows must lie in between, one counted command follows, and two pages from amid
them: the first ones of a table are seldom what the others are like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from statistics import fmean, median

from b24lake.errors import B24LakeError, OverlongError, RetryError, StreamError
from b24lake.portal import limits
from b24lake.portal.connection import Command
from b24lake.portal.limits import Gauges
from b24lake.portal.replies import Answer, Timing
from b24lake.reading.paging import (
    PAGE,
    FilterIgnoredError,
    Row,
    count_params,
    key_of,
    page_params,
    read_chain,
    rows_of,
    unanswered,
)
from b24lake.reading.schedule import Active, Ask, Schedule
from b24lake.reading.tasks import KeysetTask, Order
from b24lake.reading.timekeeper import WINDOW, Size
from b24lake.reading.walk import NOTHING
from b24lake.streams.definitions import Stream

TOGETHER = 8  # streams whose first pages are asked in one request: each page may take the portal two seconds
COUNTABLE = 500_000  # ids among which may be counted in one request: the docs tell of 50 s for 2.4 million rows
WORTHWHILE = 1000  # rows of a stream of which pages in the midst are looked at
ROUNDS = 3  # of first pages: with the change filter in two spellings and without it, or again after a hiccup
FLOOR = 0.1  # seconds: shorter commands are reported not to be added to the operating time


@dataclass(slots=True)
class Probe:
    """What is known of one stream.

    rows      of its first page, for whoever wants to know how long they take to decode
    size      None where nothing is known, `failure` says why
    between   ids between its first and its last page: 0 = all rows are known already
    tries     times that it was asked in vain
    """

    active: Active
    rows: list[Row] = field(default_factory=list)
    size: Size | None = None
    between: int = 0
    tries: int = 0
    failure: B24LakeError | None = None


@dataclass(slots=True)
class Question:
    """Commands of one request, and whom they are about: name -> keys of its commands."""

    commands: dict[str, Command] = field(default_factory=dict)
    about: dict[str, list[str]] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)


class Sizing:
    """Sizes streams. Ask what `firsts` says, hand over the answers, do so `ROUNDS` times; then the same with `counts`.

    zone     the server's, for times without an offset
    before   seconds that our requests took before
    """

    def __init__(self, asks: Iterable[Ask], zone: tzinfo = UTC, before: float = 0.0) -> None:
        self._schedule = Schedule(zone=zone)
        self.portal = PortalHabits(before)
        self.probes: dict[str, Probe] = {}
        for ask in asks:
            self._schedule.add(replace(ask, done=NOTHING))
            self.probes[ask.stream.name] = Probe(self._schedule.active[ask.stream.name])

    def firsts(self) -> list[Question]:
        """The first pages of the streams of which nothing is known yet."""
        open_ = [name for name, probe in self.probes.items() if probe.size is None and probe.failure is None]
        return [self._first(open_[start : start + TOGETHER]) for start in range(0, len(open_), TOGETHER)]

    def _first(self, names: Sequence[str]) -> Question:
        question = Question()
        for number, name in enumerate(names):
            task = self.probes[name].active.task
            (want,) = task.wants(1)
            order = question.orders[name] = task.order(want.owner.stretch, want.pages, f"s{number}p")
            question.about[name] = list(order.commands)
            question.commands.update(order.commands)
        return question

    def take_firsts(self, question: Question, answers: Mapping[str, Answer]) -> None:
        """Judge first pages."""
        for name, keys in question.about.items():
            probe = self.probes[name]
            try:
                self._judge(probe, question.orders[name], [answers[key] for key in keys])
            except FilterIgnoredError:
                self._schedule.ask_otherwise(probe.active)
            except OverlongError as error:  # asking again takes as long
                probe.failure = error
            except RetryError as error:
                probe.tries += 1
                probe.failure = error if probe.tries >= ROUNDS else None
                self._schedule.add(probe.active.ask)
            except B24LakeError as error:
                probe.failure = error
            probe.active = self._schedule.active[name]

    def _judge(self, probe: Probe, order: Order, answers: Sequence[Answer]) -> None:
        task = probe.active.task
        if isinstance(task, KeysetTask) and order.chain is not None:
            read = read_chain(task.stream, order.chain, task.since, answers[:1])
            if read.problem is not None:
                raise read.problem
            probe.rows = read.rows
            _size_keyset(probe, answers)
        else:
            probe.rows = _listed(probe.active.ask, answers[0])
            _size_list(probe, answers[0])

    def counts(self) -> list[Question]:
        """Counted commands for the streams that have rows between their first and last pages, and pages in between."""
        questions, room = list[Question](), 0
        for name, probe in self.probes.items():
            if probe.size is None or not probe.between:
                continue
            if not questions or probe.between > room:
                questions.append(Question())
                room = COUNTABLE
            room -= probe.between
            commands = _counting(probe, f"t{len(questions[-1].about)}p")
            questions[-1].commands.update(commands)
            questions[-1].about[name] = list(commands)
        return questions

    def take_counts(self, question: Question, answers: Mapping[str, Answer]) -> None:
        """Take the totals. A stream whose rows were not counted keeps the guess, if there is one."""
        for name, keys in question.about.items():
            probe, answer = self.probes[name], answers[keys[0]]
            _look_at(probe, [answers[key] for key in keys[1:]])
            assert probe.size is not None
            known = len({*probe.size.low, *probe.size.high})
            if answer.error is None and answer.total and answer.total >= known:
                probe.size = replace(probe.size, rows=answer.total, counted=True, total=answer.timing.duration)
            elif not probe.size.high:
                probe.size, probe.failure = None, answer.error or _uncounted(probe.active.ask)


def _size_keyset(probe: Probe, answers: Sequence[Answer]) -> None:
    """From the first page and the newest ids; the rows in between are guessed until they are counted."""
    stream, timings = probe.active.ask.stream, [answer.timing for answer in answers]
    low, high = tuple(key_of(stream, row) or 0 for row in probe.rows), _newest(probe.active.ask, answers[-1])
    if len(low) == PAGE:
        probe.between = max(0, high[0] - low[-1] - 1) if high else COUNTABLE
    probe.size = Size(
        rows=len({*low, *high}) + round(probe.between * _density(low, high)),
        seconds=timings[0].duration,
        newest=timings[-1].duration,
        counted=not probe.between,
        low=low,
        high=high,
        booked=_booked(timings),
    )


def _size_list(probe: Probe, answer: Answer) -> None:
    """From the first page and its total; lists that are not documented to be paged come as a whole."""
    came, total, paged = len(probe.rows), answer.total or 0, probe.active.ask.stream.paging != "fields"
    rows = max(total, came) if came and paged else came
    pages = 1 + -(-(rows - came) // max(PAGE, came // PAGE * PAGE))
    probe.size = Size(rows, answer.timing.duration, pages=pages, booked=_booked([answer.timing]))


def size_children(stream: Stream, parents: int, answers: Sequence[Answer]) -> Size:
    """The children of so many parents, judged by those of a few. Raises what none of these calls got past."""
    good = [answer for answer in answers if answer.error is None and not unanswered(answer)]
    if answers and not good:
        raise answers[0].error or StreamError(f"The portal does not answer {stream.method}", fix="run it again later")
    seconds = [answer.timing.duration for answer in good] or [0.0]
    came = [answer.total or len(rows_of(stream, answer.result)) for answer in good] or [0]
    more = fmean(1 + max(0, count - 1) // PAGE if not stream.parent_param else 1 for count in came)
    timings = [answer.timing for answer in good] or [Timing()]
    return Size(
        rows=round(parents * fmean(came)),
        seconds=fmean(seconds),
        counted=False,
        pages=round(parents * more),
        booked=_booked(timings),
    )


def _counting(probe: Probe, prefix: str) -> dict[str, Command]:
    """One page with the key alone, counted, and where that is worth it two pages from the midst, as the run asks."""
    stream, task, size = probe.active.ask.stream, probe.active.task, probe.size
    assert size is not None
    since = task.since if isinstance(task, KeysetTask) else None
    commands = {f"{prefix}n": Command(stream.method, count_params(stream, None, since))}
    if size.high and size.rows >= WORTHWHILE:
        for third in (1, 2):
            after = size.low[-1] + third * probe.between // 3
            commands[f"{prefix}{third}"] = Command(stream.method, page_params(stream, after, None, since))
    return commands


def _look_at(probe: Probe, answers: Sequence[Answer]) -> None:
    """Take pages from the midst: how long they take, and what their rows are like."""
    size, stream = probe.size, probe.active.ask.stream
    assert size is not None
    good = [answer for answer in answers if answer.error is None and not unanswered(answer)]
    if good:
        probe.size = replace(size, seconds=median([size.seconds, *(answer.timing.duration for answer in good)]))
        probe.rows = [row for answer in good for row in rows_of(stream, answer.result)] or probe.rows


def _listed(ask: Ask, answer: Answer) -> list[Row]:
    if answer.error is not None:
        raise answer.error
    if unanswered(answer):
        raise _unsaid(ask)
    return rows_of(ask.stream, answer.result)


def _newest(ask: Ask, answer: Answer) -> tuple[int, ...]:
    """The newest ids, rising; () where the portal did not keep that order."""
    if answer.error is not None or unanswered(answer):
        return ()
    try:
        ids = [key_of(ask.stream, row) for row in rows_of(ask.stream, answer.result)]
    except StreamError:
        return ()
    known = [key for key in reversed(ids) if key is not None]
    return tuple(known) if len(known) == len(ids) and known == sorted(set(known)) else ()


def _density(low: Sequence[int], high: Sequence[int]) -> float:
    """Rows per id, as the first and the last page have it."""
    spans = [(len(ids) - 1, ids[-1] - ids[0]) for ids in (low, high) if len(ids) > 1]
    return fmean([count / span for count, span in spans if span] or [1.0])


def _booked(timings: Sequence[Timing]) -> bool:
    """Whether commands of the same method, one after the other, are added to its operating time."""
    if timings[0].duration >= FLOOR:
        return True
    gauges = [timing.operating or 0.0 for timing in timings]
    return any(gauges) and (len(gauges) == 1 or gauges[0] != gauges[-1])


def _unsaid(ask: Ask) -> StreamError:
    return StreamError(f"The portal does not answer {ask.stream.method}", fix="run it again later")


def _uncounted(ask: Ask) -> StreamError:
    return StreamError(
        f"It cannot be told how many rows {ask.stream.method} has",
        why="the portal gave neither a total nor its newest ids",
        fix="sync reads the stream all the same",
    )


class PortalHabits:
    """How a portal keeps and tells operating time, learned from its answers.

    gauges   what it has booked
    told     whether its answers carry gauges
    before   seconds that batches of ours took before the first that is noted
    """

    def __init__(self, before: float = 0.0) -> None:
        self.gauges, self.told, self.before = Gauges(threshold=0.0), False, before
        self._windows: list[float] = []

    def note(self, answers: Sequence[tuple[str, Answer]], outer: Timing, now: float) -> None:
        """Learn from one batch: (method, answer) in the order of its commands; `now` is our own clock."""
        timings = [answer.timing for _, answer in answers]
        fresh = {method for method, _ in answers if method not in self.gauges.by_method}
        self.told |= any(timing.reset_at is not None for timing in timings)
        self._windows += [_window(answer.timing) for method, answer in answers if method in fresh]
        self._windows += [_window(outer, self.before)] if limits.BATCH not in self.gauges.by_method else []
        self.gauges = limits.observe(self.gauges, answers, outer, now)

    @property
    def window(self) -> float:
        """Seconds in which the portal adds up operating time, as far as methods show that were not used before."""
        seen = max(self._windows, default=0.0)
        return seen if 0 < seen < WINDOW - 2 else WINDOW


def _window(timing: Timing, before: float = 0.0) -> float:
    """How long the oldest work stays booked, where that began with this command; 0 = it cannot be told."""
    ours = timing.duration + before + 0.01
    if timing.reset_at is None or timing.finish is None or (timing.operating or 0.0) > ours:
        return 0.0
    return float(round(timing.reset_at - timing.finish + timing.duration))

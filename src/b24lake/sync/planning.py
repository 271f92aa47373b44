"""What a run would take, before it begins: discovery, a few probes, and a rehearsal. Nothing is written or locked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from msgspec import Raw

from b24lake.errors import B24LakeError, OverlongError
from b24lake.lake.table import Owner
from b24lake.portal.connection import Command, Connection
from b24lake.portal.replies import Answer, parsed, printed
from b24lake.portal.webhook import Webhook
from b24lake.reading.asked import as_asked, notes_of
from b24lake.reading.decode import Decoder
from b24lake.reading.paging import Row, child_command
from b24lake.reading.plan import Estimate, Expected, estimate, together
from b24lake.reading.schedule import Ask
from b24lake.reading.sizing import ROUNDS, Sizing, size_children
from b24lake.reading.timekeeper import Size, Terms
from b24lake.streams.discovery import discover
from b24lake.streams.selection import select
from b24lake.sync import places
from b24lake.sync.home import Home, connect
from b24lake.sync.job import Job
from b24lake.sync.options import Options
from b24lake.sync.privacy import veils_of
from b24lake.sync.reasons import why_full
from b24lake.sync.report import SKIPPED, RunReport, StreamReport
from b24lake.sync.run import jobs_of
from b24lake.sync.vanished import with_vanished

PLANNED, LOCKED, GONE, UNKNOWN = "planned", "locked", "skipped", "unknown"
SAMPLE = 1000  # rows decoded to see how long we take for one
SOME = 20  # parents of which the children are looked at
FEW = 3  # commands of one stream: nothing is won by asking them one by one
LANDING = 0.02  # seconds to commit a table, beside its rows
BESIDE = 2.0  # our own work on a row, in times of decoding a page of such rows again and again: fetch, parse, write


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What one stream of a run would take.

    status      planned, locked, skipped (its smart process is gone) or unknown (`error` says why)
    since       the moment from which on changes are read; None = all rows
    because     why it is read in full although it is an incremental one with a table; "" otherwise
    counted     whether the portal counted the rows; otherwise they are guessed from their ids
    """

    name: str
    table: str
    sync_type: str
    status: str
    since: datetime | None = None
    because: str = ""
    counted: bool = False
    expected: Expected = field(default_factory=Expected)
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For scripts; figures are null where the stream is not planned."""
        planned = self.status == PLANNED
        figures = {
            "rows": self.expected.rows,
            "rows_counted": self.counted,
            "commands": self.expected.commands,
            "portal_seconds": round(self.expected.portal_seconds, 3),
            "rests": self.expected.rests,
            "rest_seconds": round(self.expected.rest_seconds, 1),
            "seconds": round(self.expected.seconds, 1),
        }
        return {
            "name": self.name,
            "status": self.status,
            "sync_type": self.sync_type,
            "table": self.table,
            "read": "since" if self.since else "full",
            "since": self.since.isoformat() if self.since else None,
            "because": self.because or None,
            **(figures if planned else dict.fromkeys(figures)),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would take: requests and seconds include discovery; `asked` are the requests that the plan took.

    notes   what people should know of how the streams are read
    """

    planned_at: datetime
    requests: int
    seconds: float
    asked: int
    streams: tuple[StreamPlan, ...]
    notes: tuple[str, ...] = ()

    @property
    def portal_seconds(self) -> float:
        """The portal's work for all streams."""
        return sum(stream.expected.portal_seconds for stream in self.streams)

    @property
    def rest_seconds(self) -> float:
        """The longest time that one stream rests."""
        return max((stream.expected.rest_seconds for stream in self.streams), default=0.0)

    @property
    def planned(self) -> bool:
        """Whether at least one stream could be planned."""
        return any(stream.status == PLANNED for stream in self.streams)

    def as_json(self) -> dict[str, Any]:
        """The document that `plan --json` prints."""
        return {
            "planned_at": self.planned_at.isoformat(),
            "requests": self.requests,
            "portal_seconds": round(self.portal_seconds, 3),
            "seconds": round(self.seconds, 1),
            "probe_requests": self.asked,
            "notes": list(self.notes),
            "streams": [stream.as_json() for stream in self.streams],
        }


def plan(webhook: Webhook, options: Options, home: Home) -> RunPlan:
    """What `sync` with these options would take now.

    Raises UsageError for wrong input and StopError where the webhook or the portal does not work at all.
    """
    started = datetime.now(UTC).replace(microsecond=0)
    places.check(options)
    with closing(connect(webhook, home, portal_plan=options.portal_plan)) as connection:
        began = time.monotonic()
        portal = home.portal(webhook.address)
        discovery = with_vanished(discover(connection), options, portal)
        discovery, notes = as_asked(discovery, options)
        discovered, took = connection.counters.requests, time.monotonic() - began
        selected = select(
            discovery.streams,
            options.streams,
            sync_types=options.sync_types,
            replication_keys=options.replication_keys,
            switched_on=options.switched_on,
        )
        report = RunReport(run_id="plan", started_at=started)
        owner = Owner(portal, stream="", source=webhook.address, folder=options.new_folder)
        veils = veils_of(selected, discovery.streams, options, home)
        jobs = {job.selected.name: job for job in jobs_of(selected, discovery, options, report, owner, veils)}
        for job in jobs.values():
            job.look_back(options.overlap_of(job.selected.name))
        asks = {name: Asks(job) for name, job in jobs.items()}
        keyed = [ask for one in asks.values() for ask in one.probed]
        probes = _Probes(connection, keyed, discovery.probe.zone, took)
        probes.run()
        for one in asks.values():
            probes.size_children(one)
        every = [ask for one in asks.values() for ask in one.all]
        sizes = [(ask, probes.sizes[ask.stream.name]) for ask in every if ask.stream.name in probes.sizes]
        expected = estimate(sizes, probes.terms(options), time.time())
    streams = tuple(_stream(line, asks.get(line.name), options, probes, expected) for line in report.streams)
    seconds = took + expected.seconds
    requests, asked = discovered + expected.requests, connection.counters.requests
    return RunPlan(started, requests, seconds, asked, streams, (*notes, *notes_of(selected)))


class Asks:
    """What one stream of a run asks for: its rows, and before them what its steps ask for, each under its own name."""

    def __init__(self, job: Job) -> None:
        self.job, self.rows = job, job.rows
        self.before = [_renamed(step.ask, number) for number, step in enumerate(job.steps(), 1)]

    @property
    def all(self) -> list[Ask]:
        """Everything."""
        return [*self.before, self.rows]

    @property
    def probed(self) -> list[Ask]:
        """What can be sized by a probe: children are sized by their parents."""
        return self.before if self.rows.parents is not None else self.all


def _renamed(ask: Ask, number: int) -> Ask:
    return replace(ask, stream=replace(ask.stream, name=f"{ask.stream.name}, step {number}"))


def _stream(line: StreamReport, asks: Asks | None, options: Options, probes: _Probes, planned: Estimate) -> StreamPlan:
    status = GONE if line.status == SKIPPED else LOCKED
    base = StreamPlan(line.name, line.table, line.sync_type, status, error=line.error)
    if asks is None:
        return base
    base = replace(base, since=asks.job.since, because=why_full(asks.job, options))
    names = [ask.stream.name for ask in asks.all]
    failure = next((probes.failure(name) for name in names if name not in probes.sizes), None)
    if failure is not None:
        return replace(base, status=UNKNOWN, error=str(failure))
    expected = together([planned.streams[name] for name in names])
    if expected.failure:
        return replace(base, status=UNKNOWN, error=expected.failure)
    return replace(base, status=PLANNED, counted=probes.sizes[line.name].counted, expected=expected)


class _Probes:
    """The probes of one plan, asked and judged. `sizes` holds the streams that could be sized, by name."""

    def __init__(self, connection: Connection, asks: Sequence[Ask], zone: tzinfo, before: float) -> None:
        self.connection, self.sizing, self.zone = connection, Sizing(asks, zone, before), zone
        self.sizes: dict[str, Size] = {}
        self.failures: dict[str, B24LakeError] = {}
        self.round_trips: list[float] = []

    def run(self) -> None:
        """Ask everything; a probe that fails makes its stream unknown."""
        for _round in range(ROUNDS):
            for question in self.sizing.firsts():
                self.sizing.take_firsts(question, self._ask(question.commands))
        for question in self.sizing.counts():
            self.sizing.take_counts(question, self._ask(question.commands))
        for name, probe in self.sizing.probes.items():
            if probe.size is not None:
                own = _own_seconds(probe.active.ask, probe.rows, self.zone)
                self.sizes[name] = replace(probe.size, own=own)

    def size_children(self, asks: Asks) -> None:
        """Size a stream of children by its parents, and by the children of a few of these."""
        sizes = [self.sizes[ask.stream.name] for ask in asks.before if ask.stream.name in self.sizes]
        if asks.rows.parents is None or len(sizes) < len(asks.before):
            return
        stream, parents = asks.rows.stream, max((size.rows for size in sizes), default=0)
        ids = [id_ for size in sizes for id_ in (*size.low, *size.high)]
        some = dict.fromkeys(ids[:: max(1, len(ids) // SOME)])
        answers = self._ask({f"k{id_}": child_command(stream, id_) for id_ in some}) if some else {}
        try:
            self.sizes[stream.name] = size_children(stream, parents, [*answers.values()])
        except B24LakeError as error:
            self.failures[stream.name] = error

    def failure(self, name: str) -> B24LakeError | None:
        """Why nothing is known of a stream."""
        probe = self.sizing.probes.get(name)
        return probe.failure if probe else self.failures.get(name)

    def terms(self, options: Options) -> Terms:
        """The terms of a run with these options on this portal."""
        habits = self.sizing.portal
        return Terms(
            plan=options.plan,
            concurrency=options.concurrency,
            threshold=options.threshold,
            gauges=habits.gauges,
            told=habits.told,
            window=habits.window,
            round_trip=min(self.round_trips, default=0.0),
            landing=LANDING,
        )

    def _ask(self, commands: Mapping[str, Command]) -> dict[str, Answer]:
        """Every command gets an answer, if need be the error that hit its request; what takes too long is halved."""
        waited, began = self.connection.counters.waited, time.monotonic()
        try:
            batch = self.connection.batch(commands, splits=True)
        except OverlongError as error:
            if len(commands) <= FEW:
                return {key: Answer(error=error) for key in commands}
            keys = list(commands)
            halves = (keys[: len(keys) // 2], keys[len(keys) // 2 :])
            return {key: one for half in halves for key, one in self._ask({k: commands[k] for k in half}).items()}
        except B24LakeError as error:
            return {key: Answer(error=error) for key in commands}
        took = time.monotonic() - began - (self.connection.counters.waited - waited)
        answers = _timed(batch.answers, took)
        if batch.timing.duration:
            self.round_trips.append(max(0.0, took - batch.timing.duration))
        pairs = [(commands[key].method, answer) for key, answer in answers.items()]
        self.sizing.portal.note(pairs, batch.timing, time.time())
        return answers


def _timed(answers: Mapping[str, Answer], took: float) -> dict[str, Answer]:
    """Where a portal reports no durations, the time of the request is shared out evenly."""
    if any(answer.timing.duration for answer in answers.values()):
        return dict(answers)
    share = took / max(1, len(answers))
    return {key: replace(answer, timing=replace(answer.timing, duration=share)) for key, answer in answers.items()}


def _own_seconds(ask: Ask, rows: Sequence[Row], zone: tzinfo, clock: Callable[[], float] = time.thread_time) -> float:
    """Seconds that this machine works on one row, judged by decoding a page of them a few times over."""
    if not rows:
        return 0.0
    best = float("inf")
    texts = [Raw(printed(parsed(row)).encode()) for row in rows]
    sample = [texts[place % len(texts)] for place in range(min(SAMPLE, 20 * len(texts)))]
    for _turn in range(2):
        decoder, began = Decoder(ask.columns, ask.stream.key, zone, translation=ask.stream.of_keys), clock()
        decoder.batch(sample)
        best = min(best, (clock() - began) / len(sample))
    return BESIDE * best

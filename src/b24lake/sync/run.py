"""One run: discover, select, read, commit, report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from b24lake.errors import B24LakeError, BrokenOffError, LockedError, StopError, StreamError, UsageError
from b24lake.lake.files import storage_errors
from b24lake.lake.others import changed_by_others
from b24lake.lake.place import at_once
from b24lake.lake.table import PLACED, Owner, bookmark_of, check_writable, open_owned, state_of
from b24lake.portal.connection import Connection
from b24lake.portal.probe import invisible
from b24lake.portal.webhook import Webhook
from b24lake.reading.asked import as_asked, notes_of
from b24lake.reading.contacts import CONTACT_IDS, Contacts
from b24lake.reading.marks import fingerprint, kind_of, shown
from b24lake.reading.reader import Ended, Event, Reader, Restarted, Rows
from b24lake.reading.schedule import Stats
from b24lake.reading.veil import Veil
from b24lake.streams.definitions import ReaderName
from b24lake.streams.discovery import Discovery, discover, kind_of_lock
from b24lake.streams.readers import read_by
from b24lake.streams.selection import Selected, lock_of, select
from b24lake.streams.smart import entity_type_of, gone
from b24lake.sync import memory, naming, places
from b24lake.sync.committing import Committing
from b24lake.sync.home import Home, connect, lock_name
from b24lake.sync.job import Job, mark
from b24lake.sync.options import Options
from b24lake.sync.privacy import veils_of
from b24lake.sync.reasons import why_full
from b24lake.sync.report import CANCELED, FAILED, LOCKED, SKIPPED, RunReport, StreamReport, new_run_id, run_status
from b24lake.sync.upkeep import Upkeep
from b24lake.sync.vanished import with_vanished

CLOCKS_DIFFER = timedelta(days=1)  # how wrong our clock may be for a portal that does not tell its own


@dataclass(slots=True)
class Progress:
    """A run while it goes on, for whoever shows it; another thread may read it at any moment."""

    phase: str = "connecting"
    portal: str = ""
    began: float = field(default_factory=time.monotonic)
    report: RunReport | None = None
    connection: Connection | None = None
    reader: Reader | None = None


def look(
    webhook: Webhook, home: Home, *, portal_plan: str = "standard", reader: ReaderName = "classic"
) -> tuple[Discovery, Webhook]:
    """What a webhook may read, and the webhook at the address where its portal answered."""
    with closing(connect(webhook, home, portal_plan=portal_plan)) as connection:
        return read_by(discover(connection), reader), connection.webhook


def sync(
    webhook: Webhook, options: Options, home: Home, progress: Progress | None = None, *, run_id: str = ""
) -> RunReport:
    """Read the chosen streams into the lake.

    run_id   what the run is called in the tables, where somebody has named it; no two runs have the same one

    Raises UsageError for wrong input and StopError where nothing could even begin; nothing has been written then.
    Whatever goes wrong later is in the report.
    """
    progress = progress or Progress()
    started = datetime.now(UTC).replace(microsecond=0)
    report = progress.report = RunReport(run_id=run_id or new_run_id(started), started_at=started)
    check_writable(options.lake)
    places.check(options)
    connection = progress.connection = connect(webhook, home, portal_plan=options.portal_plan)
    progress.portal = webhook.address
    portal = home.portal(webhook.address)
    with ExitStack() as stack:
        stack.enter_context(memory.of_a_run())
        stack.callback(connection.close)
        stack.callback(_measure, report, connection, progress.began)
        stack.enter_context(home.lock(f"portal-{portal}", f"the portal {webhook.address}"))
        discovery = with_vanished(discover(connection), options, portal)
        report.notes += [note] if (note := invisible(discovery.probe)) else []
        discovery, notes = as_asked(discovery, options)
        selected = select(
            discovery.streams,
            options.streams,
            sync_types=options.sync_types,
            replication_keys=options.replication_keys,
            switched_on=options.switched_on,
        )
        report.notes += [*notes, *notes_of(selected)]
        owner = Owner(portal, stream="", source=webhook.address, folder=options.new_folder)
        veils = veils_of(selected, discovery.streams, options, home)
        jobs = jobs_of(selected, discovery, options, report, owner, veils)
        for job in jobs:
            stack.enter_context(home.lock(f"table-{lock_name(job.path)}", f"the table {job.report.table}"))
        at_once(options.lake, lambda job: job.prepare(options.overlap_of(job.selected.name)), jobs)
        for job in jobs:
            _say_resumed(job, report)
            _say_full(job, options, report)
        report.notes += places.said(options.lake, {job.path: job.owner for job in jobs if job.version is None})
        progress.phase = "reading"
        _read(jobs, discovery, options, progress)
        if connection.webhook.address != webhook.address:
            report.notes.append(f"The portal has moved to {connection.webhook}: write this address into your settings")
    return report


def jobs_of(
    selected: Sequence[Selected],
    discovery: Discovery,
    options: Options,
    report: RunReport,
    portal: Owner,
    veils: Mapping[str, Veil],
) -> list[Job]:
    """The streams to read. Locked ones are only reported; a table of someone else's ends the run before it begins.

    portal   the owner of all the tables, without its stream
    veils    columns that nobody shall see, by stream
    """
    jobs = []
    paths = places.paths_of(selected, discovery.streams, options)
    clock = discovery.probe.clock or report.started_at - CLOCKS_DIFFER
    owners = {one.name: replace(portal, stream=one.name) for one in selected if lock_of(one, discovery) is None}
    opened = at_once(options.lake, lambda name: open_owned(paths[name], owners[name]), owners)
    tables = dict(zip(owners, opened, strict=True))
    for one in selected:
        path = paths[one.name]
        line = StreamReport(one.name, sync_type=one.sync_type, table=f"{options.layer}.{path.name}")
        report.streams.append(line)
        parent = discovery.streams[one.found.stream.parent] if one.found.stream.parent else None
        locked = lock_of(one, discovery)
        if locked is not None:
            _shut(line, one, locked, report)
            continue
        owner, table = owners[one.name], tables[one.name]
        with storage_errors(path):
            state = None if table is None else state_of(path, table)
        if state is not None and (options.folder is None or (options.keep_placed and state.properties.get(PLACED))):
            owner = replace(owner, folder=state.owner.folder)
        held = naming.held(state.schema) if state else {}
        veil = veils[one.name]
        one = naming.named(replace(one, found=veil.asking(one.found)), held)
        contacts = options.deal_contacts and one.name == "deals" and CONTACT_IDS not in veil.left_out
        print_ = fingerprint(one, discovery.probe, contacts=contacts, parent=parent, veil=veil)
        kind = kind_of(one)
        with storage_errors(path):
            marked = None if table is None else bookmark_of(table, kind, print_)
            begin = mark(state, marked, one, options)
            others = changed_by_others(table) if table is not None and begin is not None else ""
        begin = None if others else begin
        line.bookmark = shown(kind, marked) if marked else None
        jobs.append(
            Job(
                selected=one,
                path=path,
                owner=owner,
                fingerprint=print_,
                mark=begin,
                version=state.version if state else None,
                run_id=report.run_id,
                started=report.started_at,
                clock=clock,
                report=line,
                held=held,
                others=others,
                veil=veil,
                parent=parent,
                contacts=Contacts() if contacts and one.found.stream.method == "crm.deal.list" else None,
            )
        )
    return jobs


def _shut(line: StreamReport, selected: Selected, error: LockedError, report: RunReport) -> None:
    """A stream that cannot be read: locked, failed where it was named, or skipped since its smart process is gone."""
    gone = kind_of_lock(selected.found.stream, error) == "gone"
    line.status, line.error = (SKIPPED if gone else FAILED if selected.exact else LOCKED), str(error)
    if gone:
        report.notes.append(f"{selected.name}: {error.what}; its table stays as it is")


def _say_full(job: Job, options: Options, report: RunReport) -> None:
    reason = why_full(job, options)
    if reason:
        report.notes.append(f"{job.selected.name}: is read in full, since {reason}")


def _say_resumed(job: Job, report: RunReport) -> None:
    if job.earlier is not None:
        rows, began = job.earlier.rows, job.earlier.began
        report.notes.append(
            f"{job.selected.name}: goes on behind {rows:,} rows that a run read {began:%Y-%m-%d %H:%M} UTC"
        )


def _read(jobs: Sequence[Job], discovery: Discovery, options: Options, progress: Progress) -> None:
    """Read all jobs side by side; each becomes visible as soon as it is complete."""
    report, connection = progress.report, progress.connection
    assert report is not None
    assert connection is not None
    reader = progress.reader = Reader(
        connection, concurrency=options.concurrency, threshold=options.threshold, zone=discovery.probe.zone
    )
    open_ = {job.selected.name: job for job in jobs}
    upkeep = Upkeep(report, report.started_at)
    with Committing(options.lake) as commits, _ending(open_, report, reader, commits):
        for number, event in enumerate(reader.read([job.ask for job in jobs])):
            _handle(event, open_, reader, options, report, upkeep, commits)
            _settle(commits.ended(), open_, reader, report)
            memory.collect_now_and_then(number)
        _settle(commits.ended(all_of_them=True), open_, reader, report)
    upkeep.told()
    report.status = run_status(report.streams)


def _handle(
    event: Event,
    open_: dict[str, Job],
    reader: Reader,
    options: Options,
    report: RunReport,
    upkeep: Upkeep,
    commits: Committing,
) -> None:
    job = open_.get(event.name)
    if job is None:
        return
    try:
        match event:
            case Rows():
                job.keep(event, reader.stats[event.name])
            case Restarted():
                job.begin_anew()
            case Ended(error=error):
                stats = reader.stats[event.name]
                more = job.ended(stats, options) if error is None else job.refused(error, stats, options)
                if more is not None:
                    reader.add(more)
                else:
                    commits.begin(event.name, lambda: _commit(job, stats, options, upkeep))
    except (StreamError, UsageError) as error:
        reader.drop(event.name)
        _fail(job, error, report)
        del open_[event.name]
    _count(job, reader)


def _commit(job: Job, stats: Stats, options: Options, upkeep: Upkeep) -> None:
    job.commit(stats, options)
    if job.wrote and job.version is not None:
        upkeep.after(job.selected.name, job.path)


def _settle(
    ended: Iterator[tuple[str, BaseException | None]], open_: dict[str, Job], reader: Reader, report: RunReport
) -> None:
    """Streams whose commits have ended are over. Raises what ends the run."""
    for name, error in ended:
        job = open_[name]
        if isinstance(error, StreamError | UsageError):
            reader.drop(name)
            _fail(job, error, report)
        elif error is not None:
            raise error
        else:
            report.notes += job.notes(job.report.rows_read, reader.stats[name].portal_total)
        del open_[name]
        _count(job, reader)


@contextmanager
def _ending(open_: dict[str, Job], report: RunReport, reader: Reader, commits: Committing) -> Iterator[None]:
    """However the reading ends: nothing half-written stays, and the report says what became of each stream."""
    try:
        yield
    except KeyboardInterrupt:
        _abandon(open_, reader, report, commits, StopError("The run was canceled"))
        report.status = CANCELED
        raise
    except B24LakeError as error:
        report.error = error
        _abandon(open_, reader, report, commits, error)
    except BaseException:
        _abandon(open_, reader, report, commits, StopError("The run broke off"))
        raise


def _abandon(
    open_: dict[str, Job], reader: Reader, report: RunReport, commits: Committing, error: B24LakeError
) -> None:
    """Commits that are under way come to their end; of other streams what can be gone on with is kept."""
    under_way = [(name, failed) for name, failed in commits.ended(all_of_them=True) if failed is None]
    _settle(iter(under_way), open_, reader, report)
    answers = True
    for job in open_.values():
        begun = job.selected.name in reader.stats and reader.stats[job.selected.name].commands > 0
        try:
            if answers:
                _keep(job, report)
        except B24LakeError:  # the lake cannot be reached: as it is, the next run finds it
            answers = False
        job.report.status, job.report.error = (FAILED if begun else SKIPPED), str(error)
        _count(job, reader)
    open_.clear()


def _fail(job: Job, error: B24LakeError, report: RunReport) -> None:
    """A stream that turns out to be locked before it gave a row is only reported, unless it was named.

    One whose smart process is deleted meanwhile is skipped.
    """
    stream = job.selected.found.stream
    number = entity_type_of(stream.name)
    if number is not None and kind_of_lock(stream, error) == "gone":
        _shut(job.report, job.selected, gone(number), report)
    else:
        locked = isinstance(error, LockedError) and job.staging is None and not job.selected.exact
        job.report.status, job.report.error = (LOCKED if locked else FAILED), str(error)
    if isinstance(error, BrokenOffError):
        _keep(job, report)
    else:
        job.discard()


def _keep(job: Job, report: RunReport) -> None:
    kept = job.leave()
    if kept:
        report.notes.append(f"{job.selected.name}: the {kept:,} rows read so far are kept; the next run goes on there")


def _count(job: Job, reader: Reader) -> None:
    stats, line = reader.stats.get(job.selected.name), job.report
    if stats is None:
        return
    if line.status in {FAILED, SKIPPED}:
        line.rows_read = stats.rows
    line.misfits, line.commands, line.portal_seconds = stats.misfits, stats.commands, stats.portal_seconds
    line.rests, line.rest_seconds = stats.rests, round(stats.rest_seconds, 1)
    line.filter_ignored, line.portal_total = stats.filter_ignored, stats.portal_total


def _measure(report: RunReport, connection: Connection, began: float) -> None:
    report.seconds = time.monotonic() - began
    report.requests = connection.counters.requests

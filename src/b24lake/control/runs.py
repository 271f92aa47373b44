"""Runs: their states, how they are asked for, canceled and repeated, and how they are shown.

pending_events -> queued -> running -> success | partial | failed
       |             |         |
       +-> canceled <+     cancelling -> canceled        a lost or stopped worker puts a running one back to queued
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer

from b24lake.control import logs
from b24lake.control.database import Database
from b24lake.control.models import (
    Run,
    RunRequest,
    RunStream,
    SchemaChange,
    Source,
    SourceStream,
    Trigger,
    TriggerArrival,
)
from b24lake.control.telling import INFO, Line
from b24lake.errors import ConflictError, NotFoundError, UsageError

PENDING, QUEUED, RUNNING, CANCELLING = "pending_events", "queued", "running", "cancelling"
SUCCESS, PARTIAL, FAILED, CANCELED = "success", "partial", "failed", "canceled"
WAITING = (PENDING, QUEUED)
AT_WORK = (RUNNING, CANCELLING)
ENDED = (SUCCESS, PARTIAL, FAILED, CANCELED)
STATES = (*WAITING, *AT_WORK, *ENDED)
ACTIVE, PAUSED = "active", "paused"
KEPT = timedelta(days=400)  # of runs, from when they were asked for
_REMEMBERED = timedelta(days=1)  # that a run was asked for under a key
MANUAL, RETRY, SCHEDULE, EVENT, FULL_SYNC = "manual", "retry", "schedule", "event", "full_sync"


def new_id(now: datetime) -> str:
    """An id that tells when the run was asked for; long enough for hundreds in the same second."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(5)}"


def add(session: Session, source: Source, now: datetime, *, cause: str, **more: Any) -> Run:
    """Put a run into the queue; `more` are columns of it."""
    columns = {"state": QUEUED, "queued_at": now, **more}
    run = Run(id=new_id(now), source_id=source.id, portal=source.portal or source.id, cause=cause, **columns)
    session.add(run)
    return run


def request(
    database: Database,
    source_id: str,
    now: datetime,
    *,
    full: bool = False,
    streams: Sequence[str] = (),
    requested_by: str = "",
    key: str = "",
) -> str:
    """Ask for a run of a source by hand. Returns the run's id.

    streams   names or globs among the selected ones; () = all
    key       of whoever asks: the same run for a day, however often it is asked for; "" = a new one each time

    Raises UsageError for a source that is unknown, a draft or stopped, and for streams that it does not read;
    ConflictError where something else was asked for under the same key.
    """
    asked = json.dumps([source_id, full, sorted(streams)])
    known = hashlib.sha256(json.dumps([requested_by, key]).encode()).hexdigest() if key else ""

    def ask() -> str:
        with database.writing() as session:
            before = _asked_before(session, known, asked, now) if key else None
            if before is not None:
                return before
            source = _runnable(session, source_id)
            names = _chosen(session, source, streams)
            run = add(session, source, now, cause=MANUAL, full=full, streams=names, requested_by=requested_by)
            session.flush()
            if key:
                session.add(RunRequest(key=known, run_id=run.id, asked=asked, at=now))
            logs.add(session, run.id, now, [Line(INFO, "queued", data={"by": requested_by} if requested_by else {})])
            return run.id

    try:
        return ask()
    except IntegrityError:  # somebody asked under the same key in the same moment
        return ask()


def _asked_before(session: Session, key: str, asked: str, now: datetime) -> str | None:
    """The run that was asked for under a key."""
    session.execute(delete(RunRequest).where(RunRequest.at < now - _REMEMBERED))
    before = session.get(RunRequest, key)
    if before is not None and before.asked != asked:
        raise ConflictError(
            "Another run was asked for under the same key",
            why=f"it is {before.run_id}",
            fix="take a new key for each run that you want",
            code="key_used_before",
        )
    return before.run_id if before else None


def retry(database: Database, run_id: str, now: datetime, *, requested_by: str = "") -> str:
    """Ask for a run once more, with the same streams. Returns the new run's id: the same one as long as it waits.

    Raises UsageError for a run that is unknown or has not ended.
    """
    with database.writing() as session:
        run = found(session, run_id, lock=True)
        if run.state not in ENDED:
            raise UsageError(f"The run {run.id} has not ended", why=f"it is {run.state}", fix="wait, or cancel it")
        source = _runnable(session, run.source_id)
        asked = _repeats(session, run, attempt=1, state=QUEUED)
        if asked is not None:  # somebody pressed twice
            return asked.id
        again = add(
            session,
            source,
            now,
            cause=RETRY,
            retry_of=run.id,
            full=run.full,
            streams=run.streams,
            requested_by=requested_by,
        )
        session.flush()
        logs.add(session, again.id, now, [Line(INFO, "queued", data={"retry_of": run.id})])
        return again.id


def cancel(database: Database, run_id: str, now: datetime, *, requested_by: str = "") -> str:
    """End a run: at once where it waits, else its worker ends it within seconds. Returns its state.

    Raises UsageError for a run that is unknown or has ended.
    """
    with database.writing() as session:
        run = found(session, run_id, lock=True)
        if run.state in ENDED:
            raise UsageError(f"The run {run.id} has ended", why=f"it is {run.state}", fix="there is nothing to cancel")
        if run.state in WAITING:
            drop(session, run, now)
        else:
            run.state = CANCELLING
        by = {"by": requested_by} if requested_by else {}
        logs.add(session, run.id, now, [Line(INFO, run.state, data=by)])
        return run.state


def repeats_part(session: Session, run: Run) -> Run | None:
    """The run before, where this is an automatic retry of one that was partial: only what failed is read again."""
    before = session.get(Run, run.retry_of) if run.attempt > 1 and run.retry_of else None
    return before if before is not None and before.state == PARTIAL else None


def _repeats(session: Session, run: Run, **columns: Any) -> Run | None:
    """The newest run that repeats this one."""
    later = select(Run).where(Run.source_id == run.source_id, Run.queued_at >= run.queued_at, Run.retry_of == run.id)
    return session.scalars(later.filter_by(**columns).order_by(Run.queued_at.desc()).limit(1)).first()


def drop(session: Session, run: Run, now: datetime) -> None:
    """Take a run that waits out of the queue; the events that it waited with have to come again."""
    if run.state == PENDING and run.trigger_id is not None:
        arrivals = session.scalars(select(TriggerArrival).where(TriggerArrival.trigger_id == run.trigger_id))
        for arrival in arrivals:
            session.delete(arrival)
    run.state, run.ended_at = CANCELED, now


def forget(session: Session, now: datetime) -> None:
    """Delete runs of long ago with all that is known of them; the last success of each source stays."""
    last = select(func.max(Run.id)).where(Run.state == SUCCESS).group_by(Run.source_id)  # ids begin with their time
    old = select(Run.id).where(Run.queued_at < now - KEPT, Run.state.in_(ENDED), Run.id.not_in(last))
    session.execute(delete(Run).where(Run.id.in_(old)).execution_options(synchronize_session=False))


def found(session: Session, run_id: str, *, lock: bool = False) -> Run:
    """A run by its id, or by a beginning of it that no other has. Raises UsageError where there is none."""
    exact = session.get(Run, run_id, with_for_update=lock, populate_existing=True)
    if exact is not None:  # no index helps to find a beginning
        return exact
    query = select(Run).where(Run.id.startswith(run_id, autoescape=True)).limit(2)
    runs = session.scalars(query.with_for_update() if lock else query).all()
    if len(runs) != 1 or not run_id:
        if runs and run_id:
            raise UsageError(f"More than one run begins with {run_id!r}", fix="see `b24lake run list`")
        raise NotFoundError(f"There is no run {run_id!r}", fix="see `b24lake run list`")
    return runs[0]


def _runnable(session: Session, source_id: str) -> Source:
    source = session.get(Source, source_id)
    if source is None:
        raise NotFoundError(f"There is no source {source_id!r}", fix="see `b24lake source list`")
    runnable(source)
    return source


def runnable(source: Source) -> None:
    """Raises UsageError for a source that is a draft or stopped."""
    if source.state not in (ACTIVE, PAUSED):
        fix = "b24lake source resume" if source.state == "stopped" else "b24lake source activate"
        raise UsageError(f"The source {source.id} is {source.state}", fix=f"{fix} {source.id}")


def _chosen(session: Session, source: Source, globs: Sequence[str]) -> list[str]:
    rows = select(SourceStream.stream).where(SourceStream.source_id == source.id, SourceStream.selected)
    names = sorted(session.scalars(rows))
    chosen = {glob: fnmatch.filter(names, glob) for glob in globs}
    for glob, matched in chosen.items():
        if not matched:
            raise UsageError(
                f"The source {source.id} reads no stream {glob!r}", fix=f"choose of {', '.join(names) or 'none'}"
            )
    return sorted({name for matched in chosen.values() for name in matched})


# --- shown ------------------------------------------------------------------------------------------------------------


def listed(
    database: Database,
    *,
    source_id: str | None = None,
    states: Sequence[str] = (),
    limit: int = 50,
    among: Collection[str] | None = None,
    before: str = "",
) -> list[dict[str, Any]]:
    """The newest runs first, as JSON, with the names of their sources and triggers; what is at work, as far as it is.

    among    ids of the only sources that count; None = all
    before   the `cursor` of a run: only older ones

    However many runs there are, a page costs the same. Raises UsageError for a state or a cursor that there is not.
    """
    for state in states:
        if state not in STATES:
            raise UsageError(f"There is no state {state!r}", fix=f"choose of {', '.join(STATES)}")
    query = _in_order(source_id, before).limit(limit)
    query = query.where(Run.source_id.in_(among)) if among is not None else query
    with database.reading() as session:
        # State by state, since an index holds the order of the runs within one of them only.
        queries = [query.where(Run.state == state) for state in dict.fromkeys(states)] or [query]
        rows = [row for one in queries for row in session.execute(one)]
        rows = sorted(rows, key=lambda row: (row.Run.queued_at, row.Run.id), reverse=True)[:limit]
        at_work = [row.Run.id for row in rows if row.Run.state in AT_WORK]
        progress = select(Run.id, Run.progress).where(Run.id.in_(at_work))
        moving = {one.id: one.progress for one in session.execute(progress)} if at_work else {}
        return [_line(row, moving.get(row.Run.id, {})) for row in rows]


def _in_order(source_id: str | None, before: str) -> Select[Run, str, str]:
    query = select(Run, Source.name.label("source_name"), Trigger.name.label("trigger_name"))
    query = query.join(Source, Source.id == Run.source_id).outerjoin(Trigger, Trigger.id == Run.trigger_id)
    query = query.options(defer(Run.progress), defer(Run.report)).order_by(Run.queued_at.desc(), Run.id.desc())
    query = query.where(Run.source_id == source_id) if source_id else query
    if not before:
        return query
    at, run_id = _place(before)
    return query.where(Run.queued_at <= at, or_(Run.queued_at < at, Run.id < run_id))


def cursor(run: Run) -> str:
    """Where a run stands among all of them."""
    return f"{run.queued_at.replace(tzinfo=None).isoformat()}Z~{run.id}"


def _place(cursor: str) -> tuple[datetime, str]:
    at, _, run_id = cursor.partition("~")
    try:
        moment = datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"There is no place {cursor!r} in the list of runs", fix="begin at the newest one") from None
    return moment, run_id


def _line(row: Any, progress: Mapping[str, Any]) -> dict[str, Any]:
    run: Run = row.Run
    told = as_json(run)
    if progress:
        told |= {"rows_read": progress["rows"], "requests": run.requests + progress["requests"]}
        told["rests"] = run.rests + sum(stream.get("rests", 0) for stream in progress["streams"])
    names = {"source_name": row.source_name, "trigger_name": row.trigger_name or run.trigger_id}
    return {**told, **names, "cursor": cursor(run)}


def shown(database: Database, run_id: str) -> dict[str, Any]:
    """One run with its progress or its report, stream by stream, as JSON. Raises UsageError where there is none."""
    with database.reading() as session:
        run = found(session, run_id)
        streams = session.scalars(select(RunStream).where(RunStream.run_id == run.id).order_by(RunStream.stream)).all()
        of_this = SchemaChange.source_id == run.source_id, SchemaChange.run_id == run.id
        changes = session.scalars(select(SchemaChange).where(*of_this).order_by(SchemaChange.id)).all()
        trigger = session.get(Trigger, run.trigger_id) if run.trigger_id else None
        again = _repeats(session, run)
        return {
            **as_json(run),
            "source_name": session.get_one(Source, run.source_id).name,
            "trigger_name": (trigger.name or trigger.id) if trigger else None,
            "repeated_by": again.id if again else None,
            "progress": {name: value for name, value in run.progress.items() if name != "course"},
            "course": run.progress.get("course") or run.report.get("course", {}),
            "notes": run.report.get("notes", []),
            "streams": [{"stream": line.stream, "status": line.status, **line.result} for line in streams],
            "schema_changes": [
                {"stream": one.stream, "kind": one.kind, "column": one.column, **one.detail} for one in changes
            ],
        }


def as_json(run: Run) -> dict[str, Any]:
    """A run as scripts read it; times in UTC."""
    return {
        "id": run.id,
        "source": run.source_id,
        "state": run.state,
        "cause": run.cause,
        "full": run.full,
        "chosen": run.streams,
        "attempt": run.attempt,
        "retry_of": run.retry_of,
        "trigger": run.trigger_id,
        "due_at": _iso(run.due_at),
        "queued_at": _iso(run.queued_at),
        "not_before": _iso(run.not_before),
        "started_at": _iso(run.started_at),
        "ended_at": _iso(run.ended_at),
        "worker": run.worker_id,
        "claims": run.claims,
        "requested_by": run.requested_by,
        "rows_read": run.rows_read,
        "requests": run.requests,
        "portal_seconds": round(run.portal_seconds, 3),
        "rests": run.rests,
        "error": run.error,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None

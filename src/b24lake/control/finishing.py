"""What the end of a run brings about: results, retries, a source that is stopped, alerts, and runs that waited for it.

All of it in the transaction that ends the run, so that nothing of it happens twice or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control import alerts, events, logs, runs
from b24lake.control.models import Run, RunStream, SchemaChange, Source
from b24lake.control.runs import ACTIVE, CANCELED, FAILED, PARTIAL, RETRY, SUCCESS
from b24lake.control.telling import ERROR, INFO, WARNING, Line

STOPPED = "stopped"
POINTLESS = {"UsageError"}  # what ends a run and will end it again


def finish(session: Session, run: Run, report: Mapping[str, Any], now: datetime) -> None:
    """End a run with its report, as `sync --json` prints it; `error` may have a `kind`."""
    # A weaker lock than the one for a change of its key: runs may be queued for the source meanwhile, and the
    # end of another run that does so, and holds a trigger for which this one waits, would else wait for this one.
    source = session.get_one(Source, run.source_id, with_for_update={"key_share": True})
    _note(session, run, report, now)
    if run.state == FAILED and runs.repeats_part(session, run):
        run.state = PARTIAL  # the other streams landed before
    level = {SUCCESS: INFO, FAILED: ERROR}.get(run.state, WARNING)
    logs.add(session, run.id, now, [Line(level, run.state, data=_in_short(run))])
    if run.state == SUCCESS:
        _succeeded(session, source, run, now)
    elif run.state in {FAILED, PARTIAL}:
        _went_wrong(session, source, run, now)


def _note(session: Session, run: Run, report: Mapping[str, Any], now: datetime) -> None:
    """The figures of the run and of each of its streams."""
    lines = report.get("streams", [])
    run.state, run.ended_at, run.progress = report["status"], now, {}
    run.report = {name: value for name, value in report.items() if name != "streams"}
    run.error = _error(report)
    run.requests += report.get("requests", 0)
    run.rows_read = sum(line["rows_read"] for line in lines)
    run.portal_seconds += sum(line["portal_seconds"] for line in lines)
    run.rests += sum(line["rests"] for line in lines)
    for line in lines:
        result = {name: value for name, value in line.items() if name not in {"name", "status"}}
        session.merge(RunStream(run_id=run.id, stream=line["name"], status=line["status"], result=result))
        for change in line["schema_changes"]:
            session.add(_change(run, line, change, now))


def _change(run: Run, line: Mapping[str, Any], change: Mapping[str, Any], now: datetime) -> SchemaChange:
    detail = {name: value for name, value in change.items() if name not in {"kind", "column"}}
    return SchemaChange(
        source_id=run.source_id,
        run_id=run.id,
        stream=line["name"],
        table_name=line["table"],
        at=now,
        kind=change["kind"],
        column=change["column"],
        detail=detail,
    )


def _error(report: Mapping[str, Any]) -> dict[str, str] | None:
    """Why the run is not a success: what ended it, else the first stream that failed."""
    if report.get("error"):
        return dict(report["error"])
    broken = [line for line in report.get("streams", []) if line["status"] == FAILED]
    if not broken or report["status"] in {SUCCESS, CANCELED}:
        return None
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    return {"what": f"{broken[0]['name']}{more}: {broken[0]['error']}", "why": "", "fix": "", "code": ""}


def _in_short(run: Run) -> dict[str, Any]:
    told = {"rows": run.rows_read, "requests": run.requests, "portal_seconds": round(run.portal_seconds, 1)}
    return {**told, "error": run.error["what"]} if run.error else told


def _succeeded(session: Session, source: Source, run: Run, now: datetime) -> None:
    if run.streams:  # a part of the source says nothing about the whole
        return
    source.failures = 0
    alerts.recovered(session, source, run, now)
    events.fire(session, run, now)


def _went_wrong(session: Session, source: Source, run: Run, now: datetime) -> None:
    """Try again, or count the failure and stop the source that failed too often."""
    if _retried(session, source, run, now) or run.streams:
        return
    if run.state == PARTIAL:
        source.failures = 0
        alerts.failed(session, source, run, now)
        return
    source.failures += 1
    if source.max_failures and source.failures >= source.max_failures and source.state == ACTIVE:
        _stop(session, source, run, now)
    else:
        alerts.failed(session, source, run, now)


def _retried(session: Session, source: Source, run: Run, now: datetime) -> bool:
    """Queue the next attempt where there is one left."""
    error = run.error or {}
    if run.attempt > source.retries or error.get("kind") in POINTLESS:
        return False
    again = runs.add(
        session,
        source,
        now,
        cause=RETRY,
        full=run.full,
        streams=run.streams,
        attempt=run.attempt + 1,
        retry_of=run.id,
        not_before=now + timedelta(seconds=source.retry_delay_seconds),
    )
    session.flush()
    seconds = source.retry_delay_seconds
    told = {"attempt": again.attempt, "of": source.retries + 1, "in_seconds": seconds, "run": again.id}
    logs.add(session, run.id, now, [Line(WARNING, "will be tried again", data=told)])
    return True


def _stop(session: Session, source: Source, run: Run, now: datetime) -> None:
    """The source takes no more runs until somebody resumes it; those that wait are canceled."""
    source.state, source.updated_at = STOPPED, now
    told = {"failures": source.failures, "resume": f"b24lake source resume {source.id}"}
    logs.add(session, run.id, now, [Line(ERROR, "the source is stopped", data=told)])
    waiting = select(Run).where(Run.source_id == source.id, Run.state.in_([*runs.WAITING]))
    for one in session.scalars(waiting):
        runs.drop(session, one, now)
        logs.add(session, one.id, now, [Line(WARNING, CANCELED, data={"why": "the source is stopped"})])
    alerts.stopped(session, source, run, now)

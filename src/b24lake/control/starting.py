"""The run arrow: one run, however often it is pressed."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from b24lake.control import logs, runs
from b24lake.control.database import Database
from b24lake.control.models import Run, Source
from b24lake.control.telling import INFO, Line
from b24lake.errors import UsageError


class Pressed(NamedTuple):
    """The run that is going to be, or is; `new` = this press asked for it."""

    run_id: str
    state: str
    new: bool


def press(database: Database, source_id: str, now: datetime, *, full: bool = False, requested_by: str = "") -> Pressed:
    """Ask for a run of the whole source, unless one waits or is at work that reads as much.

    Raises UsageError for a source that is unknown, a draft or stopped.
    """
    with database.writing() as session:
        source = session.get(Source, source_id, with_for_update=True)  # whoever presses at the same time waits here
        if source is None:
            raise UsageError(f"There is no source {source_id!r}", fix="go back to the list of sources")
        there = _there(session, source, full=full)
        if there is not None:
            return Pressed(there.id, there.state, new=False)
        runs.runnable(source)
        run = runs.add(session, source, now, cause=runs.MANUAL, full=full, requested_by=requested_by)
        session.flush()
        logs.add(session, run.id, now, [Line(INFO, "queued", data={"by": requested_by} if requested_by else {})])
        return Pressed(run.id, run.state, new=True)


def _there(session: Session, source: Source, *, full: bool) -> Run | None:
    """The run that waits or is at work and reads the whole source, in full where that is asked."""
    query = select(Run).where(Run.source_id == source.id, Run.state.in_((runs.QUEUED, runs.RUNNING)))
    query = query.where(cast(Run.streams, Text) == "[]").order_by(Run.queued_at)
    return session.scalars(query.where(Run.full) if full else query).first()

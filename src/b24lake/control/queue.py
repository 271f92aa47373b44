"""The queue of runs: which one goes next, and who holds it.

A run is taken up by a worker and is that worker's until it ends, is given back, or its worker is silent for so long
that another one may take it up (`workers.py`). One run at a time for each source, and for each portal: its limits are
for all that read it, and workers on different machines share no other way to keep to them. A partial unique index
stands behind it: the database refuses a second one whatever else goes wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from b24lake.control import logs
from b24lake.control.database import Database
from b24lake.control.models import Run, Source
from b24lake.control.runs import AT_WORK, CANCELED, CANCELLING, QUEUED, RUNNING
from b24lake.control.telling import INFO, Line

HELD = timedelta(seconds=30)  # until a run is tried again of which another program holds the portal or a table


def claim(database: Database, worker_id: str, now: datetime) -> Run | None:
    """Take up the run that has waited longest among those that may begin; None where there is none."""
    busy = aliased(Run)
    at_work = select(busy.id).where(
        busy.state.in_(AT_WORK), or_(busy.source_id == Run.source_id, busy.portal == Run.portal)
    )
    ready = or_(Run.not_before.is_(None), Run.not_before <= now)
    next_one = Run.state == QUEUED, ready, ~at_work.exists()
    with database.reading() as session:  # mostly there is nothing, and writers need not wait for that
        if session.scalar(select(Run.id).where(*next_one).limit(1)) is None:
            return None
    query = select(Run).join(Source, Source.id == Run.source_id).where(*next_one).order_by(Run.queued_at, Run.id)
    # The source, too: who is just about to delete it has seen that no run is at work.
    query = query.limit(1).with_for_update(skip_locked=True, of=[Run, Source], key_share=True)
    try:
        with database.writing() as session:
            run = session.scalars(query).first()
            if run is None:
                return None
            run.state, run.worker_id, run.claims = RUNNING, worker_id, run.claims + 1
            run.started_at, run.not_before, run.progress = run.started_at or now, None, {}
            told = {"worker": worker_id} if run.claims == 1 else {"worker": worker_id, "claim": run.claims}
            logs.add(session, run.id, now, [Line(INFO, "taken up", data=told)])
    except IntegrityError:  # another worker has just begun one of the same portal
        return None
    return run


def give_back(session: Session, run: Run, now: datetime, line: Line, *, requests: int = 0, held: bool = False) -> None:
    """Put a run back into the queue, to go on where it was; one that somebody wants to end is over.

    requests   that it has made, so that they are counted
    held       it could not even begin: then it does not count as taken up, and is tried again a little later
    """
    run.state = CANCELED if run.state == CANCELLING else QUEUED
    run.ended_at = now if run.state == CANCELED else None
    run.worker_id, run.requests = None, run.requests + requests
    if held:
        run.not_before, run.claims = now + HELD, run.claims - 1
    logs.add(session, run.id, now, [line])


def held_by(database: Database, worker_id: str) -> dict[str, str]:
    """The runs that a worker holds, and the state of each."""
    held = select(Run.id, Run.state).where(Run.worker_id == worker_id, Run.state.in_(AT_WORK))
    with database.reading() as session:
        return {row.id: row.state for row in session.execute(held)}

"""Why a run has not begun yet: so that whoever looks at it knows what to do, or that there is nothing to do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select

from b24lake.control import workers
from b24lake.control.database import Database
from b24lake.control.models import Run
from b24lake.control.runs import AT_WORK, PENDING, WAITING

EVENTS, LATER, SOURCE, PORTAL, NOBODY, TURN = "events", "later", "source", "portal", "nobody", "turn"
SILENT = timedelta(minutes=1)  # after which nobody counts on a worker that no other one has declared dead


def reason(database: Database, run_id: str, now: datetime) -> dict[str, Any] | None:
    """{why, until, run}; None where the run does not wait.

    why     events (more sources have to succeed), later (not before `until`), source or portal (`run` is at work on
            the same one), nobody (no worker is alive), turn (a worker will take it up soon)
    """
    with database.reading() as session:
        run = session.get(Run, run_id)
        if run is None or run.state not in WAITING:
            return None
        same = or_(Run.source_id == run.source_id, Run.portal == run.portal)
        busy = session.scalars(select(Run).where(Run.state.in_(AT_WORK), same).limit(1)).first()
    if run.state == PENDING:
        return _told(EVENTS)
    if run.not_before is not None and run.not_before > now:
        return _told(LATER, until=run.not_before)
    if busy is not None:
        return _told(SOURCE if busy.source_id == run.source_id else PORTAL, run=busy.id)
    alive = any(now - at < SILENT for at in workers.heartbeats(database).values())
    return _told(TURN if alive else NOBODY)


def _told(why: str, *, until: datetime | None = None, run: str | None = None) -> dict[str, Any]:
    return {"why": why, "until": until, "run": run}

"""The workers that live, and what becomes of the runs of one that does not.

A worker writes its heartbeat every few seconds. Others count for how long they have seen it unchanged, by their own
clock, so that it does not matter whose clock is right; they do not count time in which they could not look themselves.
One that is silent for too long is declared dead, for ever: its runs go back into the queue, and if it was only frozen
it must take another name. Long before that, its runs have ended themselves (`child.py`).
"""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from b24lake import __version__
from b24lake.control import finishing, logs
from b24lake.control.database import Database
from b24lake.control.models import Run, Worker
from b24lake.control.runs import AT_WORK, CANCELED, CANCELLING, QUEUED
from b24lake.control.telling import WARNING, Line

ALIVE, DEAD, ENDED = "alive", "dead", "ended"
MOST_CLAIMS = 20  # of one run; then it is what brings its workers down


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a worker does what, in seconds.

    beat     between two heartbeats
    lease    for which a run may go on after the last heartbeat that was written down
    grace    that it then has to end by itself; after these two it is over for certain
    silent   after which a worker is declared dead, and its runs go to others: longer than the two
    """

    beat: float = 2.0
    lease: float = 12.0
    grace: float = 4.0
    silent: float = 20.0


def join(database: Database, now: datetime) -> str:
    """A new worker. Returns its id."""
    host = platform.node()
    worker_id = f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
    with database.writing() as session:
        session.add(
            Worker(
                id=worker_id,
                host=host,
                pid=os.getpid(),
                started_at=now,
                heartbeat_at=now,
                state=ALIVE,
                version=__version__,
            )
        )
    return worker_id


def beat(database: Database, worker_id: str, now: datetime) -> bool:
    """Write down that a worker lives; False = it has been declared dead, and its runs are not its own any more."""
    with database.writing() as session:
        mine = Worker.id == worker_id, Worker.state == ALIVE
        return session.scalar(update(Worker).where(*mine).values(heartbeat_at=now).returning(Worker.id)) is not None


def leave(database: Database, worker_id: str, now: datetime) -> None:
    """A worker ends; runs that it could not give back go back into the queue."""
    with database.writing() as session:
        session.execute(update(Worker).where(Worker.id == worker_id).values(state=ENDED, heartbeat_at=now))
        _take_back(session, worker_id, now, "its worker has ended")


def heartbeats(database: Database) -> dict[str, datetime]:
    """The last heartbeat of each worker that counts as alive."""
    with database.reading() as session:
        rows = session.execute(select(Worker.id, Worker.heartbeat_at).where(Worker.state == ALIVE))
        return {row.id: row.heartbeat_at for row in rows}


@dataclass(frozen=True, slots=True)
class Watched:
    """What one worker knows of another: its last heartbeat, and for how many seconds that has not changed."""

    heartbeat: datetime
    silent: float = 0.0


def watched(
    before: Mapping[str, Watched], seen: Mapping[str, datetime], elapsed: float, *, longest: float
) -> dict[str, Watched]:
    """What is known after another look, `elapsed` seconds after the last one.

    longest   seconds that a gap between two looks may count for: who could not look himself knows nothing of others
    """
    return {
        name: Watched(at, before[name].silent + min(elapsed, longest))
        if name in before and before[name].heartbeat == at
        else Watched(at)
        for name, at in seen.items()
    }


def bury(database: Database, worker_id: str, heartbeat: datetime, now: datetime) -> list[str]:
    """Declare a worker dead, unless it has come back to life. Returns the runs that went back into the queue."""
    with database.writing() as session:
        same = Worker.id == worker_id, Worker.state == ALIVE, Worker.heartbeat_at == heartbeat
        if session.scalar(update(Worker).where(*same).values(state=DEAD).returning(Worker.id)) is None:
            return []
        return _take_back(session, worker_id, now, "its worker is silent")


def _take_back(session: Session, worker_id: str, now: datetime, why: str) -> list[str]:
    runs = session.scalars(
        select(Run).where(Run.worker_id == worker_id, Run.state.in_(AT_WORK)).order_by(Run.id).with_for_update()
    ).all()
    for run in runs:
        logs.add(session, run.id, now, [Line(WARNING, "interrupted", data={"worker": worker_id, "why": why})])
        run.worker_id, run.requests = None, run.requests + run.progress.get("requests", 0)
        if run.state == CANCELLING:
            run.state, run.ended_at = CANCELED, now
        elif run.claims >= MOST_CLAIMS:
            finishing.finish(session, run, _hopeless(run), now)
        else:
            run.state = QUEUED
    return [run.id for run in runs if run.state == QUEUED]


def _hopeless(run: Run) -> dict[str, object]:
    error = {
        "what": f"The run was taken up {run.claims} times and never ended",
        "why": "each time its worker was lost",
        "fix": "see whether the workers run out of memory",
        "code": "",
    }
    return {"status": "failed", "error": error}

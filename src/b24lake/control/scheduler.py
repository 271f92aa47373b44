"""The clock of the service: queues what is due, notices what is late, and forgets what is old.

Several schedulers may run on one database. Each trigger and time is claimed by one of them: they lock the triggers they
look at, move `next_at` on in the same transaction that queues the run, and (trigger_id, due_at) is unique.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import Session, load_only

from b24lake.control import alerts, delivery, logs, runs
from b24lake.control.database import Database
from b24lake.control.due import Decision, decide
from b24lake.control.health import healths
from b24lake.control.models import Run, Source, Trigger, Worker
from b24lake.control.moments import Clock
from b24lake.control.runs import ACTIVE, FULL_SYNC, PENDING, SCHEDULE
from b24lake.control.schedules import next_time, schedule
from b24lake.control.secrets import Keyring
from b24lake.control.telling import INFO, WARNING, Line
from b24lake.errors import B24LakeError, UsageError

TICK_SECONDS = 0.5
LOOK_SECONDS = 60.0  # between two looks for what is late
FORGET_SECONDS = 1800.0  # between two looks for what is old
SEND_SECONDS = 5.0  # between two deliveries
LATE = timedelta(minutes=2)  # a run queued later than this after its time says so in its log
_FORGET_WORKERS = timedelta(days=1)
_log = logging.getLogger(__name__)


def tick(database: Database, now: datetime) -> list[str]:
    """Queue what is due. Returns the ids of the runs."""
    passed = or_(Trigger.next_at.is_(None), Trigger.next_at <= now)
    is_due = and_(Trigger.kind == "schedule", Trigger.enabled, passed)
    with database.reading() as session:  # mostly there is nothing, and writers need not wait for that
        if session.scalar(select(Trigger.id).where(is_due).limit(1)) is None:
            return []
    with database.writing() as session:
        query = select(Trigger, Source).join(Source, Source.id == Trigger.source_id).where(is_due).order_by(Trigger.id)
        query = query.options(load_only(Source.id, Source.portal, Source.state))
        rows = session.execute(query.with_for_update(of=Trigger, skip_locked=True)).all()
        sources = {trigger.id: source for trigger, source in rows}
        decisions = decide([(trigger, source.state) for trigger, source in rows], now, _after)
        served = _served(session, [each.trigger.id for each in decisions])
        queued = [
            run
            for each in decisions
            if (run := _carry_out(session, each, sources[each.trigger.id], served, now)) is not None
        ]
        session.flush()
        logs.begin(session, now, {run.id: _queued(run, now) for run in queued})
        return [run.id for run in queued]


def _after(trigger: Trigger, moment: datetime) -> datetime | None:
    try:
        return next_time(schedule(trigger.spec), moment)
    except UsageError:  # a spec that nobody checked must not keep the others waiting
        _log.exception("The trigger %s has no next time", trigger.id)
        return None


def _served(session: Session, trigger_ids: list[str]) -> set[str | None]:
    """The triggers that need no run: one waits already and will do for both times, or there was one for this time.

    The latter where a clock that was ahead has queued it, and somebody has edited the trigger since.
    """
    waits = and_(Run.state == runs.QUEUED, Run.claims == 0)
    found = select(Run.trigger_id).join(Trigger, Trigger.id == Run.trigger_id)
    found = found.where(Trigger.id.in_(trigger_ids), or_(waits, Run.due_at == Trigger.next_at))
    return set(session.scalars(found))


def _carry_out(
    session: Session, decision: Decision, source: Source, served: set[str | None], now: datetime
) -> Run | None:
    trigger, due_at, next_at = decision
    trigger.next_at = next_at
    if due_at is None:
        return None
    trigger.last_due_at = due_at
    if trigger.id in served:
        return None
    cause = FULL_SYNC if trigger.full else SCHEDULE
    return runs.add(session, source, now, cause=cause, trigger_id=trigger.id, due_at=due_at, full=trigger.full)


def _queued(run: Run, now: datetime) -> Line:
    assert run.due_at is not None
    if now - run.due_at < LATE:
        return Line(INFO, "queued")
    return Line(WARNING, "queued late: nobody looked at the schedules", data={"due_at": run.due_at.isoformat()})


# --- less often -------------------------------------------------------------------------------------------------------


def look_for_late(database: Database, now: datetime) -> list[str]:
    """Tell about sources that are late. Returns their ids."""
    with database.reading() as session:
        late = [source.id for source, found in healths(session, now, Source.state == ACTIVE) if found.late]
    for source_id in late:
        with database.writing() as session:
            alerts.late(session, session.get_one(Source, source_id, with_for_update=True), now)
    return late


def give_up(database: Database, now: datetime) -> None:
    """Cancel what waits for the event of a trigger that is no more."""
    alive = select(Trigger.id).where(Trigger.kind == "event", Trigger.enabled)
    lost = or_(Run.trigger_id.is_(None), Run.trigger_id.not_in(alive))
    with database.writing() as session:
        session.execute(update(Run).where(Run.state == PENDING, lost).values(state=runs.CANCELED, ended_at=now))


def forget(database: Database, now: datetime) -> None:
    """Forget what is old: logs, runs, workers that have ended."""
    with database.writing() as session:
        logs.prune(session, now)
        runs.forget(session, now)
        gone = Worker.heartbeat_at < now - _FORGET_WORKERS
        session.execute(delete(Worker).where(gone, Worker.state != "alive"))


class Scheduler:
    """Ticks until it is stopped, in threads of its own; the database may be away meanwhile."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self.database, self.keyring, self.clock = database, keyring, clock
        self._stop = threading.Event()
        jobs: list[tuple[float, Callable[[], object]]] = [
            (TICK_SECONDS, lambda: tick(database, clock())),
            (LOOK_SECONDS, lambda: look_for_late(database, clock())),
            (LOOK_SECONDS, lambda: give_up(database, clock())),
            (FORGET_SECONDS, lambda: forget(database, clock())),
            (SEND_SECONDS, lambda: delivery.deliver(database, keyring, clock())),
        ]
        self._threads = [threading.Thread(target=self._repeat, args=job, daemon=True) for job in jobs]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after what is being done."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _repeat(self, seconds: float, job: Callable[[], object]) -> None:
        failing = False
        while not self._stop.is_set():
            try:
                job()
                failing = False
            except B24LakeError as error:
                if not failing:  # once for each time that the database is away
                    _log.warning("%s", error)
                failing = True
            except Exception:  # noqa: BLE001  what stumbles over one row must not stop the service
                _log.exception("The scheduler stumbled; it goes on")
            self._stop.wait(seconds)

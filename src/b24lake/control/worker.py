"""A worker: takes up runs, performs each in a process of its own, writes down what they tell, and watches the rest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from b24lake.control import finishing, logs, queue, workers
from b24lake.control.database import Database
from b24lake.control.job import job_of
from b24lake.control.models import Run
from b24lake.control.moments import Clock, boot_seconds
from b24lake.control.performing import Performance, start
from b24lake.control.runs import AT_WORK, CANCELED, CANCELLING, FAILED, SUCCESS
from b24lake.control.secrets import Keyring
from b24lake.control.telling import INFO, WARNING, Line
from b24lake.control.workers import Pace, Watched
from b24lake.errors import B24LakeError, RetryError
from b24lake.lake.place import Place
from b24lake.sync.home import Home

TURN_SECONDS = 0.5
QUEUE_SECONDS = 1.0  # between two looks into the queue
WIND_UP_SECONDS = 10.0  # for runs to end when the worker ends
_log = logging.getLogger(__name__)


class Worker:
    """Performs runs until it is stopped. Call `work` in a thread that lives as long: the runs end with it.

    lake    the installation's own, where a source names none
    most    runs at once
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        home: Home,
        lake: Place,
        clock: Clock,
        *,
        most: int = 4,
        pace: Pace | None = None,
    ) -> None:
        self.database, self.keyring, self.home, self.lake, self.clock = database, keyring, home, lake, clock
        self.most, self.pace = most, pace or Pace()
        self.id = workers.join(database, clock())
        self.at_work: dict[str, Performance] = {}
        self._others: dict[str, Watched] = {}
        self._next = {"beat": 0.0, "queue": 0.0}
        self._until = boot_seconds() + self.pace.lease
        self._looked = time.monotonic()
        self._away = self._unsure = False

    def work(self, stopped: Callable[[], bool]) -> None:
        """Take turns until `stopped`, then give back what is not done."""
        while not stopped():
            self._with_database(self.turn)
            time.sleep(TURN_SECONDS)
        self.wind_up()

    def turn(self) -> None:
        """Everything once. Raises RetryError where the database is away: the runs end soon if it stays away."""
        self._beat()
        self._settle()
        if self.at_work or self._unsure:
            self._compare()
        if self._due("queue", QUEUE_SECONDS):
            self._take_up()

    def wind_up(self) -> None:
        """End the runs, keep what they read, and give them back."""
        deadline = time.monotonic() + WIND_UP_SECONDS
        while self.at_work and time.monotonic() < deadline:
            for performance in self.at_work.values():
                performance.end("release")
            self._with_database(self._settle)
            time.sleep(0.1)
        self._abandon()
        self._with_database(lambda: workers.leave(self.database, self.id, self.clock()))

    def _settle(self) -> None:
        self._write_down()
        self._finish()

    def _with_database(self, step: Callable[[], object]) -> None:
        try:
            step()
            self._away = False
        except B24LakeError as error:
            if not self._away:  # once for each time that the database is away
                _log.warning("%s", error)
            self._away = self._unsure = True
        except Exception:  # noqa: BLE001  what stumbles over one run must not end the others
            _log.exception("The worker stumbled; it goes on")
            self._unsure = True

    def _due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next[what]:
            return False
        self._next[what] = now + seconds
        return True

    # --- living -------------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        """Say that this worker lives, which lets its runs go on; and see who does not."""
        if time.monotonic() < self._next["beat"]:
            return
        until = boot_seconds() + self.pace.lease  # counted from before: nobody declares it dead earlier
        if not workers.beat(self.database, self.id, self.clock()):
            _log.warning("This worker was declared dead while it was silent; it goes on under another name")
            self._abandon()
            self.id = workers.join(self.database, self.clock())
        self._until = until
        for performance in self.at_work.values():
            performance.prolong(until)
        self._next["beat"] = time.monotonic() + self.pace.beat
        self._look_at_others()

    def _look_at_others(self) -> None:
        now = time.monotonic()
        elapsed, self._looked = now - self._looked, now
        seen = workers.heartbeats(self.database)
        seen.pop(self.id, None)
        self._others = workers.watched(self._others, seen, elapsed, longest=2 * self.pace.beat)
        for name, other in self._others.items():
            if other.silent > self.pace.silent:
                freed = workers.bury(self.database, name, other.heartbeat, self.clock())
                _log.warning("The worker %s is silent: %d of its runs go back into the queue", name, len(freed))

    def _abandon(self) -> None:
        """End the runs at once: they are somebody else's."""
        for performance in self.at_work.values():
            performance.kill()
        for performance in self.at_work.values():
            performance.process.wait()
            performance.close()
        self.at_work.clear()

    # --- the runs -----------------------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        while len(self.at_work) < self.most:
            run = queue.claim(self.database, self.id, self.clock())
            if run is None:
                return
            self._begin(run)

    def _compare(self) -> None:
        """End the runs that somebody wants to end; give back those that were taken up and, with the database, lost."""
        for run_id, state in queue.held_by(self.database, self.id).items():
            if run_id not in self.at_work:
                with self.database.writing() as session:
                    if (mine := self._mine(session, run_id)) is not None:
                        line = Line(WARNING, "interrupted", data={"worker": self.id, "why": "it could not be begun"})
                        queue.give_back(session, mine, self.clock(), line, held=True)
            elif state == CANCELLING:
                self.at_work[run_id].end("cancel")
        self._unsure = False

    def _begin(self, run: Run) -> None:
        try:
            with self.database.reading() as session:
                job = job_of(session, run, self.keyring, self.home, self.lake)
        except RetryError:
            raise
        except Exception as error:  # noqa: BLE001  no other worker could begin it either
            self._fail(run.id, error)
            return
        try:
            self.at_work[run.id] = start(run, {**job, "until": self._until, "grace": self.pace.grace})
        except OSError as error:  # no memory, or too many processes
            _log.warning("The run %s cannot be begun: %s", run.id, error)
            self._unsure = True

    def _fail(self, run_id: str, error: Exception) -> None:
        """End a run that cannot be begun, or whose end cannot be written down as it was told."""
        if isinstance(error, B24LakeError):
            told = {**error.as_json(), "kind": type(error).__name__}
        else:
            _log.error("The run %s fails", run_id, exc_info=error)
            what = f"The run broke off: {type(error).__name__}"
            told = {"what": what, "why": "", "fix": "see what its worker says", "code": ""}
        with self.database.writing() as session:
            if (mine := self._mine(session, run_id)) is not None:
                finishing.finish(session, mine, {"status": FAILED, "error": told}, self.clock())

    def _mine(self, session: Session, run_id: str) -> Run | None:
        """A run, locked; None where it is no longer this worker's."""
        query = select(Run).where(Run.id == run_id, Run.worker_id == self.id, Run.state.in_(AT_WORK))
        return session.scalars(query.with_for_update()).first()

    def _write_down(self) -> None:
        """Progress and log lines of all runs, in one transaction."""
        said = {run_id: one for run_id, one in self.at_work.items() if one.lines or one.progress is not None}
        if not said:
            return
        taken = {run_id: (one.progress, list(one.lines)) for run_id, one in said.items()}
        try:
            self._write(taken)
        except B24LakeError:
            raise
        except Exception:  # noqa: BLE001  what the database does not take must not keep the runs from ending
            _log.exception("What runs told is lost: %s", ", ".join(taken))
        for run_id, (progress, lines) in taken.items():  # only now: what could not be written is written next time
            one = said[run_id]
            one.progress = None if one.progress is progress else one.progress
            for line in lines:
                if one.lines and one.lines[0] is line:
                    one.lines.popleft()

    def _write(self, told: Mapping[str, tuple[dict[str, Any] | None, list[tuple[datetime, Line]]]]) -> None:
        with self.database.writing() as session:
            for run_id, (progress, lines) in told.items():
                mine = Run.id == run_id, Run.worker_id == self.id
                values = {"progress": progress} if progress is not None else {"progress": Run.progress}
                if session.scalar(update(Run).where(*mine).values(**values).returning(Run.id)) is not None:
                    logs.write(session, run_id, lines)
                else:  # somebody took it away: nobody wants what it does
                    self.at_work[run_id].kill()

    def _finish(self) -> None:
        for run_id, performance in [*self.at_work.items()]:
            if performance.ended and not performance.lines:
                try:
                    with self.database.writing() as session:
                        run = self._mine(session, run_id)
                        if run is not None:
                            self._end(session, run, performance)
                except B24LakeError:
                    raise
                except Exception as error:  # noqa: BLE001  it has ended, whatever it told
                    self._fail(run_id, error)
                performance.close()
                del self.at_work[run_id]
            elif performance.told_at:
                performance.end(performance.why_ended)

    def _end(self, session: Session, run: Run, performance: Performance) -> None:
        """Write down how a run ended, or that another worker may go on with it."""
        now, report = self.clock(), {"requests": run.progress.get("requests", 0), **performance.outcome()}
        held = (report.get("error") or {}).get("kind") == "HeldError"
        if run.state == CANCELLING and report["status"] != SUCCESS:  # nor is a part that failed tried again
            error = None if held or performance.interrupted else report.get("error")
            finishing.finish(session, run, {**report, "status": CANCELED, "error": error}, now)
        elif held:
            line = Line(WARNING, "waits", data={"for": report["error"]["what"], "why": report["error"]["why"]})
            queue.give_back(session, run, now, line, held=True)
        elif performance.interrupted:
            why = "its worker ends" if performance.why_ended else "its worker could not reach the database"
            line = Line(INFO, "interrupted", data={"worker": self.id, "why": why})
            queue.give_back(session, run, now, line, requests=report["requests"])
        else:
            finishing.finish(session, run, report, now)

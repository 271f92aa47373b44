"""Work that a page waits for, such as a question to a portal: done in the background, looked at by its key.

A page never blocks on a slow portal: it starts a job, shows that it is at work, and asks for its state again and again.
Results live in this process alone and for a while; whoever asks later starts the job once more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from b24lake.errors import B24LakeError

RUNNING, DONE, FAILED = "running", "done", "failed"
KEPT = timedelta(minutes=15)
AT_ONCE = 8
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work as it was when it was looked at: it does not change while a page is made of it.

    state     running, done (`result`) or failed (`error`)
    course    what the work and those who wait for it share, if anything
    """

    key: str
    started_at: datetime
    state: str = RUNNING
    result: Any = None
    error: B24LakeError | None = None
    course: Any = None

    def seconds(self, now: datetime) -> int:
        """For how long it has been known."""
        return max(0, round((now - self.started_at).total_seconds()))


class Jobs:
    """The jobs of one process: one for each key, a few at work at once."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def start(
        self, key: str, work: Callable[[], Any], now: datetime, *, again: bool = False, course: Any = None
    ) -> Job:
        """The job of this key: the one that is known, or a new one.

        again    do it once more unless it is just being done
        course   of a new one, as `Job` has it
        """
        with self._lock:
            self._forget(now)
            known = self._jobs.get(key)
            if known is not None and (known.state == RUNNING or not again):
                return known
            job = self._jobs[key] = Job(key, now, course=course)
        threading.Thread(target=self._do, args=(job, work), name=f"job {key}", daemon=True).start()
        return job

    def keep(self, key: str, result: Any, now: datetime) -> Job:
        """A job that was done elsewhere."""
        with self._lock:
            job = self._jobs[key] = Job(key, now, DONE, result)
            return job

    def found(self, key: str) -> Job | None:
        """The job of this key, if it is still known."""
        return self._jobs.get(key)

    def _do(self, job: Job, work: Callable[[], Any]) -> None:
        with self._turns:
            ended = _ended(job, work)
        with self._lock:
            if self._jobs.get(job.key) is job:
                self._jobs[job.key] = ended

    def _forget(self, now: datetime) -> None:
        old = [job.key for job in self._jobs.values() if job.state != RUNNING and now - job.started_at > KEPT]
        for key in old:
            del self._jobs[key]


def _ended(job: Job, work: Callable[[], Any]) -> Job:
    """The job after its work."""
    try:
        return replace(job, state=DONE, result=work())
    except B24LakeError as error:
        return replace(job, state=FAILED, error=error)
    except Exception:
        _logger.exception("the job %s failed", job.key)
        told = B24LakeError("Something went wrong here", why="it is written in the service's log")
        return replace(job, state=FAILED, error=told)

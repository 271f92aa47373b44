"""The request bucket of one portal, shared by all programs of this machine through one small file."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

import orjson

from b24lake.portal import limits
from b24lake.portal.limits import Bucket, Plan

LONGEST_NAP = 1.0  # seconds; then look again whether the request is still wanted
SHORTEST_NAP = 0.01  # seconds; shorter ones may be less than a clock can tell apart


class Budget:
    """Waits before each request so that the portal never has to refuse one.

    path    file that holds the bucket; None keeps it in this object (a portal nobody else reads)
    plan    what the portal's tariff allows
    clock   unix seconds, since several processes share it; `sleep` takes seconds
    """

    def __init__(
        self,
        plan: Plan,
        path: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.plan, self.path, self.clock, self.sleep = plan, path, clock, sleep
        self._own, self._lock = Bucket(), threading.Lock()

    def take(self, given_up: Callable[[], bool] = lambda: False) -> float:
        """Wait for room, or until nobody wants it any more; then count one request. Returns the seconds waited."""
        waited = 0.0
        while not given_up():
            with self._bucket() as bucket:
                now = self.clock()
                seconds = limits.wait(bucket.state, now, self.plan)
                if seconds <= 0:
                    bucket.state = limits.take(bucket.state, now, self.plan)
                    return waited
                bucket.state = limits.rebased(bucket.state, now, self.plan)
            seconds = min(max(seconds, SHORTEST_NAP), LONGEST_NAP)
            self.sleep(seconds)
            waited += seconds
        return waited

    def refused(self) -> None:
        """Tell the bucket that the portal answered QUERY_LIMIT_EXCEEDED."""
        with self._bucket() as bucket:
            bucket.state = limits.refused(bucket.state, self.clock(), self.plan)

    @contextmanager
    def _bucket(self) -> Iterator[_Held]:
        if self.path is None:
            with self._lock:
                held = _Held(self._own)
                yield held
                self._own = held.state
            return
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            held = _Held(_load(file, self.plan))
            yield held
            file.seek(0)
            file.truncate()
            file.write(orjson.dumps(asdict(held.state)))


class _Held:
    """The bucket while its file is locked."""

    def __init__(self, state: Bucket) -> None:
        self.state = state


def _load(file: IO[bytes], plan: Plan) -> Bucket:
    file.seek(0)
    try:
        kept = Bucket(**{name: float(value) for name, value in orjson.loads(file.read()).items()})
    except (AttributeError, TypeError, ValueError):  # new, or cut off by a crash: begin with an empty bucket
        return Bucket()
    return Bucket(min(kept.level, float(plan.threshold)), kept.at, min(1.0, max(limits.SLOWEST, kept.pace)))

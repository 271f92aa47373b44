"""Two clocks: the calendar's, for people, and one that only goes forward, for deadlines between processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def boot_seconds() -> float:
    """Seconds since the machine started, its sleep included where the system counts it; the same in all processes."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)

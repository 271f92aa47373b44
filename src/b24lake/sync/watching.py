"""A run while it goes on, in figures: what a terminal draws, and what a worker tells about it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from b24lake.reading.children import ChildrenTask
from b24lake.reading.paging import PAGE
from b24lake.reading.plan import Left, remaining
from b24lake.reading.schedule import Active, Stats
from b24lake.reading.timekeeper import Terms
from b24lake.sync.report import SKIPPED, StreamReport
from b24lake.sync.run import Progress


def seconds_left(progress: Progress, now: Callable[[], float] = time.time) -> float | None:
    """How much longer it will take; None as long as a stream cannot tell."""
    if progress.reader is None or progress.connection is None:
        return None
    schedule = progress.reader.schedule
    rows = sum(stats.rows for stats in schedule.stats.values())
    own = time.process_time() / max(1, rows)
    left = [_left(active, schedule.stats[active.name], own) for active in [*schedule.active.values()]]
    if not rows or not left or None in left:
        return None
    plan = progress.connection.budget.plan
    terms = Terms(plan, schedule.concurrency, schedule.gauges.threshold, schedule.gauges)
    return remaining([one for one in left if one], terms, now())


def _left(active: Active, stats: Stats, own: float) -> Left | None:
    """What a stream still has; None as long as it does not know."""
    if not stats.commands or not math.isfinite(active.task.left):
        return None
    rows = math.ceil(active.task.left * PAGE)
    return Left(active.ask.stream.method, rows, stats.portal_seconds / stats.commands, own)


def share(active: Active | None, stats: Stats) -> float | None:
    """How much of a stream has been read, of 1; None as long as it does not know."""
    if active is None:
        return 1.0 if stats.ended else None
    if isinstance(active.task, ChildrenTask):
        return active.task.answered / max(1.0, active.task.answered + active.task.left)
    done = stats.rows + active.ask.done.rows
    left = active.task.left * PAGE
    return done / (done + left) if done and math.isfinite(left) else None


def figures(progress: Progress, now: float) -> dict[str, Any]:
    """The run as JSON: phase, requests, bytes, rows, seconds so far and still, the portal's limits, and each stream.

    now   unix seconds

    `operating` is the fullest gauge of a method, to be compared with `threshold`; requests may be `burst` at once and
    `drain` a second.
    A stream's state is waiting, reading, resting (`rests_until`, unix seconds), or how it ended.
    """
    report, reader, connection = progress.report, progress.reader, progress.connection
    stats = reader.stats if reader is not None else {}
    left = seconds_left(progress, lambda: now)
    return {
        "phase": progress.phase,
        "requests": connection.counters.requests if connection is not None else 0,
        "refused": connection.counters.refused if connection is not None else 0,
        "retries": connection.counters.retries if connection is not None else 0,
        "bytes": connection.counters.bytes if connection is not None else 0,
        "rows": sum(each.rows for each in [*stats.values()]),
        "portal_seconds": round(sum(each.portal_seconds for each in [*stats.values()]), 1),
        **_limits(progress, now),
        "seconds": round(time.monotonic() - progress.began, 1),
        "seconds_left": None if left is None else round(left),
        "notes": [*report.notes] if report is not None else [],
        "streams": [_stream(line, stats, progress, now) for line in ([*report.streams] if report is not None else [])],
    }


def _limits(progress: Progress, now: float) -> dict[str, float | None]:
    """What the portal allows, and how much of it is used up; None as long as it does not tell."""
    if progress.reader is None or progress.connection is None:
        return {"operating": None, "threshold": None, "burst": None, "drain": None}
    plan, gauges = progress.connection.budget.plan, progress.reader.schedule.gauges
    told = [(one.operating + one.since, one.reset_at) for one in gauges.by_method.values() if one.reset_at is not None]
    used = [seconds if reset_at > now else 0.0 for seconds, reset_at in told]
    return {
        "operating": round(max(used), 1) if used else None,
        "threshold": gauges.threshold or None,
        "burst": plan.threshold,
        "drain": plan.drain,
    }


def _stream(line: StreamReport, stats: dict[str, Stats], progress: Progress, now: float) -> dict[str, Any]:
    told: dict[str, Any] = {"name": line.name, "table": line.table, "state": line.status, "error": line.error}
    found = stats.get(line.name)
    if found is None or progress.reader is None:
        return told if line.status != SKIPPED or line.error else {**told, "state": "waiting"}
    part = share(progress.reader.schedule.active.get(line.name), found)
    told |= {
        "rows": found.rows,
        "share": None if part is None else round(part, 3),
        "commands": found.commands,
        "portal_seconds": round(found.portal_seconds, 1),
        "rests": found.rests,
        "rest_seconds": round(found.rest_seconds),
    }
    if line.status == SKIPPED and not line.error:
        rests = found.resting_until > now
        told["state"] = "resting" if rests else "reading" if found.commands else "waiting"
        told["rests_until"] = round(found.resting_until) if rests else None
    return told

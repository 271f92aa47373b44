"""The course of a run, for its charts: a point of its figures now and then, never more than a screen can show. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST = 120  # points
STEP = 1.0  # seconds between two points at first; it doubles whenever there are too many
RATE_SECONDS = 30.0  # over which the rate of rows is measured
NAMES = ("seconds", "requests", "rows", "portal_seconds", "operating")
"""The figures of a point, as `sync.watching.figures` calls them."""
_LIMITS = ("burst", "drain", "threshold", "bytes")


def went_on(course: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """The course with one more point: {points, step, burst, drain, threshold, bytes}; {} is that of a new run.

    The last point is always the newest. Points are lists in the order of NAMES.
    """
    points, step = [*course.get("points", [])], course.get("step", STEP)
    if len(points) > 1 and points[-1][0] - points[-2][0] < step:
        points.pop()
    points.append([told.get(name) for name in NAMES])
    if len(points) > MOST:
        points, step = [*points[:-1:2], points[-1]], 2 * step
    return {"points": points, "step": step, **{name: told.get(name) for name in _LIMITS}}


def rate(course: Mapping[str, Any]) -> float | None:
    """Rows a second of late; None as long as nobody can tell."""
    points = course.get("points", [])
    if len(points) < 2:
        return None
    last = points[-1]
    first = next(point for point in points if point[0] >= last[0] - max(RATE_SECONDS, 2 * course["step"]))
    return (last[2] - first[2]) / (last[0] - first[0]) if last[0] > first[0] else None

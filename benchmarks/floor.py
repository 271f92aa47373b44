"""The least time that anybody could read so many pages in, from the portal's service model alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

PAGE, PAGES = 50, 50  # rows of a page, pages of a request


def pages_of(rows: int) -> int:
    """Pages of a list that is read by ids, without a count: a last page that is not full is its end.

    >>> pages_of(0), pages_of(49), pages_of(50)
    (1, 1, 2)
    """
    return rows // PAGE + 1


def floor(pages: int, concurrency: int, portal: Mapping[str, float]) -> float:
    """Seconds for so many pages in full requests, so many of which are on their way at once.

    portal   settings of the sandbox: page_ms, round_trip_ms, threshold, drain

    >>> floor(2000, 4, {"page_ms": 40, "round_trip_ms": 100, "threshold": 50, "drain": 2.0})
    21.0
    """
    requests = math.ceil(pages / PAGES)
    served = (pages * portal["page_ms"] + requests * portal["round_trip_ms"]) / 1000 / concurrency
    return max(served, (requests - portal["threshold"]) / portal["drain"])


def windows(seconds: float, at_most: float, window: float) -> float:
    """Seconds for so much work on one method that does `at_most` so much of it in any window of time.

    >>> windows(24, 18, 30), windows(18, 18, 30)
    (30.0, 0.0)
    """
    return float(max(0, math.ceil(seconds / at_most) - 1) * window)

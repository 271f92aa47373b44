"""Durations as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

from b24lake.errors import UsageError

LONGEST = 10 * 366 * 86400  # seconds
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "": 1}


def duration(text: str) -> timedelta:
    """A duration such as 5m, 90s, 2d or 1h30m; plain digits are seconds. Raises UsageError where it is none."""
    parts = re.findall(r"(\d+)([smhd]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"{text!r} is not a duration", fix="write 90s, 5m, 2h or 1d")
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if seconds > LONGEST:
        raise UsageError(f"{text!r} is too long", fix="give at most ten years")
    return timedelta(seconds=seconds)


def in_short(seconds: float) -> str:
    """The shortest way to write a duration.

    >>> in_short(300), in_short(172800), in_short(5400), in_short(0)
    ('5m', '2d', '1h30m', '0s')
    """
    left, said = round(seconds), ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        said += f"{count}{unit}" if count else ""
    return said or "0s"

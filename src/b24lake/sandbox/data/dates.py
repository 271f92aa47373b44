"""Dates as a portal prints and reads them.

Source: api-reference/data-types.md. A date-time carries the server's offset; a `date` is its day at midnight UTC,
printed in the server's offset too.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone

DAY = 86400
YEARS = 4
SPAN = YEARS * 365 * DAY + DAY  # generated records are created within this time before the epoch
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MINUTES = [f"{minute // 60:02}:{minute % 60:02}:" for minute in range(1440)]


def printer(offset_minutes: int) -> Callable[[int], str]:
    """A function unix seconds -> "2026-01-01T03:00:00+03:00", quick because nearly all of it is looked up."""
    shift = offset_minutes * 60
    sign, apart = "+-"[offset_minutes < 0], abs(offset_minutes)
    seconds = [f"{second:02}{sign}{apart // 60:02}:{apart % 60:02}" for second in range(60)]
    days: dict[int, str] = {}

    def show(moment: int) -> str:
        day, rest = divmod(moment + shift, DAY)
        minute, second = divmod(rest, 60)
        text = days.get(day)
        if text is None:
            text = days[day] = date.fromordinal(day + _EPOCH_ORDINAL).isoformat() + "T"
        return text + _MINUTES[minute] + seconds[second]

    return show


def day_printer(show: Callable[[int], str]) -> Callable[[int], str]:
    """A function unix seconds -> the moment's `date`: midnight UTC in the server's offset; looked up by day."""
    days: dict[int, str] = {}

    def show_day(moment: int) -> str:
        day = moment // DAY
        text = days.get(day)
        if text is None:
            text = days[day] = show(day * DAY)
        return text

    return show_day


def midnight(moment: int) -> int:
    """The start of a moment's day in UTC, which is how a `date` is kept."""
    return moment - moment % DAY


def parse(value: object, offset_minutes: int) -> float | None:
    """A date in a filter -> unix seconds; without an offset it is in the server's zone. None where it is no date."""
    if not isinstance(value, str) or len(value) < len("2026-01-01"):
        return None
    try:
        moment = datetime.fromisoformat(value.strip().replace(" ", "T", 1))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    return moment.timestamp()

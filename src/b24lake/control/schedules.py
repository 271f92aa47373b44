"""When a schedule is due: weekdays and times, or a cron line, on the wall clock of a zone. Pure; time is passed in.

What happens where clocks are changed:

- A time that does not exist, as 02:30 in the night when 02:00 becomes 03:00, is due at the moment of the change: 03:00.
- A time that comes twice is due the first time.
- A cron line whose hour is `*` is due every hour that really passes: nothing is made up for the hour that is left out,
  and in the hour that comes twice it is due twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from b24lake.errors import UsageError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG = dict(zip(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), WEEKDAYS, strict=True))
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
_NO_ZONES = {"localtime", "Factory", "posixrules"}
_EXAMPLE = "as '30 6 * * mon-fri' for 06:30 from Monday to Friday"


@dataclass(frozen=True)
class Schedule:
    """Either a cron line, or times ("06:30") on weekdays ("mon"; none = every day), in an IANA zone."""

    zone: str
    cron: str = ""
    weekdays: tuple[str, ...] = ()
    times: tuple[str, ...] = ()

    def spec(self) -> dict[str, Any]:
        """As JSON keeps it."""
        if self.cron:
            return {"cron": self.cron, "zone": self.zone}
        return {"weekdays": list(self.weekdays), "times": list(self.times), "zone": self.zone}

    def __str__(self) -> str:
        wall = self.cron or f"{', '.join(self.weekdays) or 'every day'} at {', '.join(self.times)}"
        return f"{wall} ({self.zone})"


def schedule(spec: Mapping[str, Any]) -> Schedule:
    """The schedule that JSON or a form describes: {cron, zone} or {weekdays, times, zone}.

    Raises UsageError that names the wrong field.
    """
    unknown = sorted(set(spec) - {"cron", "weekdays", "times", "zone"})
    if unknown:
        raise UsageError(f"A schedule has no {unknown[0]!r}", fix="it has cron, or weekdays and times, and a zone")
    zone = checked_zone(str(spec.get("zone") or ""))
    if spec.get("cron"):
        if spec.get("weekdays") or spec.get("times"):
            raise UsageError("A schedule is a cron line or weekdays and times, not both", fix="leave one of them out")
        return Schedule(zone, cron=checked_cron(spec["cron"]))
    return Schedule(zone, weekdays=_weekdays(spec.get("weekdays") or ()), times=_times(spec.get("times") or ()))


def next_time(plan: Schedule, after: datetime) -> datetime | None:
    """The first moment after `after` (itself left out) at which it is due, in UTC; None = never again."""
    found = (_next(line, ZoneInfo(plan.zone), after) for line in _lines(plan))
    return min((each for each in found if each is not None), default=None)


def next_times(plan: Schedule, after: datetime, count: int = 5) -> list[datetime]:
    """The next moments, in UTC."""
    found: list[datetime] = []
    while len(found) < count and (following := next_time(plan, found[-1] if found else after)) is not None:
        found.append(following)
    return found


# --- checks -----------------------------------------------------------------------------------------------------------


def checked_zone(name: str) -> str:
    """The name of an IANA zone. Raises UsageError with the nearest ones."""
    if not name:
        raise UsageError("The zone is missing", fix="name one, as Europe/Berlin or America/Sao_Paulo")
    with suppress(OSError, ValueError, KeyError):
        ZoneInfo(name)
        if name not in _NO_ZONES:
            return name
    known = {zone.casefold(): zone for zone in sorted(available_timezones() - _NO_ZONES)}
    places = {zone.rpartition("/")[2].casefold(): zone for zone in known.values()}
    words = name.casefold().replace(" ", "_")
    near = [known[each] for each in get_close_matches(words, known, n=3, cutoff=0.7)]
    near += [places[each] for each in get_close_matches(words, places, n=2, cutoff=0.8)]
    raise UsageError(
        f"There is no zone {name!r}",
        why="zones are named after a continent and a city",
        fix=f"did you mean {' or '.join(dict.fromkeys(near))}" if near else "write one as Europe/Berlin",
    )


def checked_cron(text: str) -> str:
    """A cron line of five fields that is due some time. Raises UsageError that names the wrong field."""
    line = " ".join(str(text).split())
    fields = line.split()
    if len(fields) != len(_FIELDS):
        raise UsageError(
            f"The cron line {line!r} has {len(fields)} fields", why=f"it needs {', '.join(_FIELDS)}", fix=_EXAMPLE
        )
    try:
        due = next(CronSim(line, datetime(2024, 1, 1)), None)
    except (CronSimError, AssertionError, ValueError) as error:
        wrong = str(error).removeprefix("Bad ")
        field = fields[_FIELDS.index(wrong)] if wrong in _FIELDS else line
        raise UsageError(
            f"The cron line {line!r} is wrong",
            why=f"its {wrong or 'line'} cannot be {field!r}",
            fix=f"write it {_EXAMPLE}",
        ) from None
    if due is None:
        raise UsageError(
            f"The cron line {line!r} is never due", why="there is no such day", fix="correct day and month"
        )
    return line


def _weekdays(given: Sequence[Any]) -> tuple[str, ...]:
    days = {_LONG.get(str(day).strip().lower(), str(day).strip().lower()) for day in _listed(given, "weekdays")}
    wrong = sorted(days - set(WEEKDAYS))
    if wrong:
        raise UsageError(f"{wrong[0]!r} is no weekday", fix=f"weekdays are {', '.join(WEEKDAYS)}")
    return tuple(day for day in WEEKDAYS if day in days)


def _times(given: Sequence[Any]) -> tuple[str, ...]:
    found = set()
    for text in _listed(given, "times"):
        match = _TIME.fullmatch(str(text).strip())
        if not match:
            raise UsageError(f"{text!r} is no time of day", fix="write times as 06:30 or 18:00")
        found.add(f"{int(match[1]):02d}:{match[2]}")
    if not found:
        raise UsageError("The schedule has no times", fix="give one or more, as 06:30, or a cron line")
    return tuple(sorted(found))


def _listed(given: Any, name: str) -> Sequence[Any]:
    if isinstance(given, str):
        return [word for word in re.split(r"[,\s]+", given) if word]
    if not isinstance(given, list | tuple):
        raise UsageError(f"{name} is not a list", fix=f"write {name} one by one")
    return given


# --- wall clocks ------------------------------------------------------------------------------------------------------


def _lines(plan: Schedule) -> Iterator[str]:
    """The schedule as cron lines, one for each time."""
    if plan.cron:
        yield plan.cron
        return
    for time in plan.times:
        hour, _, minute = time.partition(":")
        yield f"{int(minute)} {int(hour)} * * {','.join(plan.weekdays) or '*'}"


def _next(line: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    hourly = line.split()[1] == "*"
    best: datetime | None = None
    for wall in CronSim(line, _wall(after, zone) - _repeated(after, zone)):
        moments = _moments(wall, zone, hourly=hourly)
        if best is not None and moments and moments[0] > best:
            break
        later = [each for each in moments if each > after and (best is None or each < best)]
        best = min(later, default=best)
        if best is not None and not hourly:
            break
    return best


def _moments(wall: datetime, zone: ZoneInfo, *, hourly: bool) -> list[datetime]:
    """When a wall clock shows this time: once; twice or never where clocks are changed."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if _wall(first, zone) == wall:
        return sorted({first, second}) if hourly else [first]
    if hourly:
        return []
    while _wall(first, zone) != wall:
        wall += timedelta(minutes=1)
        first = wall.replace(tzinfo=zone).astimezone(UTC)
    return [first]


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _repeated(moment: datetime, zone: ZoneInfo) -> timedelta:
    """By how much clocks will be set back where the hour is going to come again; else nothing."""
    local = moment.astimezone(zone)
    again = local.replace(fold=1).astimezone(UTC) - local.astimezone(UTC)
    return max(again, timedelta(0)) if local.fold == 0 else timedelta(0)

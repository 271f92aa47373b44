"""Schedules on the wall clocks of the world: what is due when, also where clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from b24lake.control.schedules import WEEKDAYS, Schedule, next_time, next_times, schedule
from b24lake.errors import UsageError

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def at(text: str) -> datetime:
    """A moment, as `2026-03-29T02:30+01:00`; in UTC where no offset is given."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def daily(time: str, zone: str) -> Schedule:
    return schedule({"times": [time], "zone": zone})


def cron(line: str, zone: str) -> Schedule:
    return schedule({"cron": line, "zone": zone})


@pytest.mark.parametrize(
    ("plan", "after", "due"),
    [
        # Berlin, 29 March 2026: 02:00 becomes 03:00
        (daily("02:30", BERLIN), "2026-03-28T12:00", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        (daily("06:30", BERLIN), "2026-03-28T06:00", ["2026-03-29T06:30+02:00", "2026-03-30T06:30+02:00"]),
        (
            schedule({"times": ["02:10", "02:50", "03:00"], "zone": BERLIN}),
            "2026-03-29T00:30",
            ["2026-03-29T03:00+02:00"],
        ),
        (cron("*/10 2 * * *", BERLIN), "2026-03-29T00:30", ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"]),
        (cron("30 * * * *", BERLIN), "2026-03-29T00:30", ["2026-03-29T03:30+02:00", "2026-03-29T04:30+02:00"]),
        # Berlin, 25 October 2026: 03:00 becomes 02:00
        (daily("02:30", BERLIN), "2026-10-24T12:00", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        (daily("02:30", BERLIN), "2026-10-25T01:15", ["2026-10-26T02:30+01:00"]),  # 02:15, for the second time
        (
            cron("*/30 * * * *", BERLIN),
            "2026-10-25T00:00",
            ["2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00", "2026-10-25T03:00+01:00"],
        ),
        (cron("15 */2 * * *", BERLIN), "2026-10-24T23:00", ["2026-10-25T02:15+02:00", "2026-10-25T04:15+01:00"]),
        # New York, 8 March and 1 November 2026
        (daily("02:05", NEW_YORK), "2026-03-08T05:00", ["2026-03-08T03:00-04:00", "2026-03-09T02:05-04:00"]),
        (daily("01:30", NEW_YORK), "2026-11-01T04:00", ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"]),
        # Lord Howe: half an hour, at 02:00; forward on 4 October 2026, back on 5 April 2026
        (daily("02:15", LORD_HOWE), "2026-10-03T12:00", ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"]),
        (daily("01:45", LORD_HOWE), "2026-04-04T12:00", ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"]),
        (
            cron("*/15 * * * *", LORD_HOWE),
            "2026-04-05T01:30+11:00",
            [f"2026-04-05T{time}" for time in ("01:45+11:00", "01:30+10:30", "01:45+10:30", "02:00+10:30")],
        ),
        (cron("*/10 2 * * *", LORD_HOWE), "2026-04-05T01:50+10:30", [f"2026-04-05T02:{m}0+10:30" for m in range(6)]),
        # zones without a change, with quarters of an hour
        (daily("06:00", "Asia/Kathmandu"), "2026-01-01T00:00", ["2026-01-01T06:00+05:45", "2026-01-02T06:00+05:45"]),
        (daily("23:59", "America/Sao_Paulo"), "2026-01-01T12:00", ["2026-01-01T23:59-03:00"]),
        # Cairo: midnight does not exist on 24 April 2026
        (cron("0 0 * * *", "Africa/Cairo"), "2026-04-23T12:00", ["2026-04-24T01:00+03:00", "2026-04-25T00:00+03:00"]),
        # Apia slept through 30 December 2011
        (daily("12:00", "Pacific/Apia"), "2011-12-29T23:00", ["2011-12-31T00:00+14:00", "2011-12-31T12:00+14:00"]),
        # weekdays, last days, leap days
        (
            schedule({"weekdays": ["friday", "Mon"], "times": ["18:00", "6:30"], "zone": "UTC"}),
            "2026-11-20T10:00",
            ["2026-11-20T18:00", "2026-11-23T06:30", "2026-11-23T18:00"],
        ),
        (cron("0 0 L * *", "UTC"), "2026-02-01T00:00", ["2026-02-28T00:00", "2026-03-31T00:00"]),
        (cron("0 0 29 2 *", "UTC"), "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        (cron("0 0 1 1 mon", "UTC"), "2026-11-01T00:00", ["2027-01-01T00:00", "2027-01-04T00:00"]),
    ],
)
def test_due(plan: Schedule, after: str, due: list[str]) -> None:
    assert next_times(plan, at(after), len(due)) == [at(each) for each in due]


def test_the_moment_itself_is_over() -> None:
    plan = daily("06:30", "UTC")
    assert next_time(plan, at("2026-11-22T06:30")) == at("2026-11-23T06:30")
    assert next_time(plan, at("2026-11-22T06:29:59.999999")) == at("2026-11-22T06:30")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({}, "The zone is missing"),
        ({"cron": "0 6 * * *"}, "The zone is missing"),
        ({"cron": "0 6 * * *", "zone": "Europe/Berlim"}, "did you mean Europe/Berlin"),
        ({"cron": "0 6 * * *", "zone": "europe/berlin"}, "did you mean Europe/Berlin"),
        ({"cron": "0 6 * * *", "zone": "Sao Paulo"}, "did you mean America/Sao_Paulo"),
        ({"cron": "0 6 * * *", "zone": "UTC+3"}, "There is no zone 'UTC+3'"),
        ({"cron": "0 6 * * *", "zone": "localtime"}, "There is no zone"),
        ({"cron": "0 6 * * *", "zone": "../../etc/passwd"}, "There is no zone"),
        ({"cron": "0 6 * * *", "zone": "Europe"}, "There is no zone"),
        ({"cron": "every day", "zone": "UTC"}, "has 2 fields"),
        ({"cron": "@daily", "zone": "UTC"}, "has 1 fields"),
        ({"cron": "0 0 6 * * *", "zone": "UTC"}, "has 6 fields"),
        ({"cron": "61 6 * * *", "zone": "UTC"}, "its minute cannot be '61'"),
        ({"cron": "0 24 * * *", "zone": "UTC"}, "its hour cannot be '24'"),
        ({"cron": "0 6 0 * *", "zone": "UTC"}, "its day-of-month cannot be '0'"),
        ({"cron": "0 6 * 13 *", "zone": "UTC"}, "its month cannot be '13'"),
        ({"cron": "0 6 * * someday", "zone": "UTC"}, "its day-of-week cannot be 'someday'"),
        ({"cron": "0 6 30 2 *", "zone": "UTC"}, "its day-of-month cannot be '30'"),
        ({"cron": "*/0 * * * *", "zone": "UTC"}, "its minute cannot be '*/0'"),
        ({"cron": "0 6 * * mon#6", "zone": "UTC"}, "its day-of-week cannot be 'mon#6'"),
        ({"cron": "0 6 L/2-3 * *", "zone": "UTC"}, "its day-of-month cannot be 'L/2-3'"),
        ({"cron": "0 6 * * *", "times": ["06:30"], "zone": "UTC"}, "not both"),
        ({"weekdays": ["mon"], "zone": "UTC"}, "has no times"),
        ({"times": ["24:00"], "zone": "UTC"}, "'24:00' is no time of day"),
        ({"times": ["6"], "zone": "UTC"}, "'6' is no time of day"),
        ({"times": [630], "zone": "UTC"}, "630 is no time of day"),
        ({"times": {"06:30": 1}, "zone": "UTC"}, "times is not a list"),
        ({"weekdays": ["caturday"], "times": ["06:30"], "zone": "UTC"}, "'caturday' is no weekday"),
        ({"every": "day", "zone": "UTC"}, "has no 'every'"),
    ],
)
def test_nonsense_is_refused_by_name(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        schedule(spec)
    assert says in str(caught.value)


ZONES = [BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu", "America/St_Johns", "Africa/Casablanca", "Asia/Gaza"]
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2034, 1, 1), timezones=st.just(UTC))
TIMES = st.lists(st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59)), min_size=1, max_size=4)


@given(MOMENTS, st.sampled_from(ZONES), TIMES, st.lists(st.sampled_from(WEEKDAYS), max_size=7))
@example(at("2026-10-25T00:30"), BERLIN, ["02:30"], [])
def test_a_schedule_is_due_at_its_own_wall_time_and_never_before(
    after: datetime, zone: str, times: list[str], weekdays: list[str]
) -> None:
    plan = schedule({"times": times, "weekdays": weekdays, "zone": zone})
    due = next_time(plan, after)
    assert due is not None
    assert due > after
    assert due - after <= timedelta(days=8)
    wall = due.astimezone(ZoneInfo(zone))
    before = (due - timedelta(seconds=1)).astimezone(ZoneInfo(zone))
    jumped = wall.replace(tzinfo=None) - before.replace(tzinfo=None) > timedelta(minutes=1)
    assert jumped or (wall.strftime("%H:%M"), wall.second) in {(time, 0) for time in plan.times}
    assert not plan.weekdays or WEEKDAYS[wall.weekday()] in plan.weekdays
    assert schedule(plan.spec()) == plan


@given(MOMENTS, st.sampled_from(ZONES), st.sampled_from(["*/5 * * * *", "0 * * * *", "7,37 * * * *"]))
@example(at("2026-10-25T00:45"), BERLIN, "*/5 * * * *")
@example(at("2026-04-04T14:45"), LORD_HOWE, "7,37 * * * *")
def test_an_hourly_line_is_due_whenever_the_clock_shows_it(after: datetime, zone: str, line: str) -> None:
    """Compared with looking at the clock every minute."""
    minutes = {"*": range(0, 60, 5), "0": [0], "7": [7, 37]}[line[0]]
    start = after.replace(second=0, microsecond=0)
    clock = (start + timedelta(minutes=number) for number in range(1, 200))
    expected = [moment for moment in clock if moment.astimezone(ZoneInfo(zone)).minute in minutes]
    assert next_times(cron(line, zone), after, 2) == expected[:2]

"""The newest runs of all sources, and the run arrow: few queries, and one run however often it is pressed."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from desk import NOW, Desk
from sqlalchemy import event

from b24lake.control import recent, runs, starting
from b24lake.control.health import healths, looked
from b24lake.control.models import Run, Source
from b24lake.control.triggers import next_run
from b24lake.errors import UsageError


def ran(desk: Desk, source: str, state: str, hours: float, **columns: Any) -> str:
    """A run that was asked for so many hours ago, began a minute later and took a minute."""
    at = NOW - timedelta(hours=hours)
    times = {"started_at": at + timedelta(minutes=1), "ended_at": at + timedelta(minutes=2)}
    with desk.database.writing() as session:
        owner = session.get_one(Source, source)
        return runs.add(session, owner, at, cause="manual", state=state, **{**times, **columns}).id


def test_the_newest_runs_come_first_and_no_more_than_wanted(desk: Desk) -> None:
    one, two = desk.make("one"), desk.make("two", url="https://b.bitrix24.com/rest/1/SECRETSECRET/")
    ids = [ran(desk, one, "success", hours) for hours in range(20, 0, -1)]
    other = ran(desk, two, "failed", 3)
    with desk.database.reading() as session:
        found = recent.newest(session)
        few = recent.newest(session, Source.id == one, count=3)
    assert [run.id for run in found[one]] == ids[::-1][: recent.NEWEST]
    assert [(run.id, run.state, run.seconds) for run in found[two]] == [(other, "failed", 60)]
    assert {source: [run.id for run in its] for source, its in few.items()} == {one: ids[::-1][:3]}


def test_a_success_of_the_whole_source_is_found_behind_any_number_of_others(desk: Desk) -> None:
    one = desk.make("one")
    good = ran(desk, one, "success", 50)
    for hours in range(40, 20, -1):
        ran(desk, one, "failed", hours)
    ran(desk, one, "success", 2, streams=["deals"])
    with desk.database.reading() as session:
        assert recent.last_successes(session)[one].id == good
        [(_, health)] = healths(session, NOW)
    assert health.fresh_at == NOW - timedelta(hours=50) + timedelta(minutes=1)
    assert health.badge == "failing"


def test_the_retry_of_a_part_is_as_fresh_as_the_first_attempt(desk: Desk) -> None:
    one = desk.make("one")
    first = ran(desk, one, "partial", 5)
    second = ran(desk, one, "partial", 4, attempt=2, retry_of=first)
    ran(desk, one, "success", 3, attempt=3, retry_of=second)
    with desk.database.reading() as session:
        [(_, health)] = healths(session, NOW)
    assert health.fresh_at == NOW - timedelta(hours=5) + timedelta(minutes=1)


def test_the_number_of_queries_does_not_grow_with_the_sources(small_desk: Desk) -> None:
    asked: list[str] = []
    event.listen(small_desk.database.engine, "before_cursor_execute", lambda *what: asked.append(what[2]))

    def queries() -> int:
        asked.clear()
        with small_desk.database.reading() as session:
            looked(session, NOW)
        return len(asked)

    counts = []
    for number in range(6):
        name = small_desk.make(f"s{number}", url=f"https://p{number}.bitrix24.com/rest/1/SECRETSECRET/")
        small_desk.trigger(name, {"times": ["06:00"], "zone": "UTC"})
        ran(small_desk, name, "failed", 5)
        ran(small_desk, name, "success", 4)
        counts.append(queries())
    assert len(set(counts)) == 1


@pytest.mark.parametrize(
    ("waits", "full", "new"),
    [
        ({}, False, False),
        ({"full": True}, False, False),
        ({}, True, True),  # it reads less than is asked for
        ({"full": True}, True, False),
        ({"streams": ["deals"]}, False, True),
        ({"state": "running"}, False, False),
        ({"state": "success"}, False, True),
    ],
)
def test_a_run_that_reads_as_much_is_not_asked_for_again(
    desk: Desk, waits: dict[str, Any], full: bool, new: bool
) -> None:
    one = desk.make("one")
    there = ran(desk, one, **{"state": "queued", "hours": 1, **waits})
    pressed = starting.press(desk.database, one, NOW, full=full, requested_by="ann")
    assert (pressed.new, pressed.run_id == there) == (new, not new)


def test_two_who_press_at_once_get_one_run(desk: Desk) -> None:
    one = desk.make("one")
    ready, found = threading.Barrier(4), list[starting.Pressed]()

    def press() -> None:
        ready.wait()
        found.append(starting.press(desk.database, one, NOW))

    threads = [threading.Thread(target=press) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len({pressed.run_id for pressed in found}) == 1
    assert [pressed.new for pressed in found].count(True) == 1
    with desk.database.reading() as session:
        assert session.query(Run).count() == 1


def test_the_arrow_does_nothing_for_a_source_that_cannot_run(small_desk: Desk) -> None:
    one = small_desk.make("one")
    with small_desk.database.writing() as session:
        session.get_one(Source, one).state = "stopped"
    with pytest.raises(UsageError, match="stopped"):
        starting.press(small_desk.database, one, NOW)
    with pytest.raises(UsageError, match="no source"):
        starting.press(small_desk.database, "nobody", NOW)


@pytest.mark.parametrize(
    ("state", "enabled", "written", "hour"),
    [
        ("active", True, None, 18),
        ("active", True, NOW + timedelta(hours=30), 18),  # as the scheduler has it
        ("active", True, NOW - timedelta(hours=1), 18),  # it has not looked yet
        ("active", False, None, None),
        ("paused", True, None, None),
    ],
)
def test_the_next_run_is_the_next_time_of_a_schedule_that_counts(
    small_desk: Desk, state: str, enabled: bool, written: datetime | None, hour: int | None
) -> None:
    one = small_desk.make("one")
    small_desk.trigger(one, {"times": ["18:00"], "zone": "UTC"}, enabled=enabled)
    with small_desk.database.reading() as session:
        source, found = small_desk.source(one), looked(session, NOW)[0].triggers
    source.state, found[0].next_at = state, written
    at = next_run(source, found, NOW)
    assert at == (written if written and written > NOW else hour and NOW.replace(hour=hour))

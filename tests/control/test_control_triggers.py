"""Triggers: several for a source, schedules and events, no circles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from desk import NOW, Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from b24lake.control import sources, triggers
from b24lake.control.audit import Actor
from b24lake.control.models import Trigger, TriggerArrival
from b24lake.errors import UsageError

DAILY = {"times": ["06:30"], "zone": "Europe/Berlin"}


def after(*names: str, mode: str = "any") -> dict[str, Any]:
    return {"sources": [*names], "mode": mode}


def change(desk: Desk, trigger_id: str, **changes: Any) -> Trigger:
    with desk.database.writing() as session:
        trigger = triggers.found(session, trigger_id)
        triggers.change(session, desk.actor, trigger, **changes)
        return trigger


def test_a_source_has_several_triggers(desk: Desk) -> None:
    for name in ("crm", "erp", "shop"):
        desk.make(name)
    made = [
        desk.trigger("crm", DAILY),
        desk.trigger("crm", {"cron": "0 3 * * sun", "zone": "UTC"}, full=True),
        desk.trigger("crm", {"cron": "0 9 * * *", "zone": "UTC"}, name="Every morning"),
        desk.trigger("crm", {**DAILY, "weekdays": ["Tuesday", "mon"]}),
        desk.trigger("crm", after("erp", "shop", "erp", mode="all")),
    ]
    assert made == ["crm.schedule", "crm.full-sync", "crm.every-morning", "crm.schedule-2", "crm.event"]
    with desk.database.reading() as session:
        found = {one.id: one for one in triggers.listed(session, "crm")}
    assert found["crm.schedule"].next_at == datetime(2026, 11, 23, 5, 30, tzinfo=UTC)
    assert found["crm.full-sync"].full
    assert found["crm.schedule-2"].spec["weekdays"] == ["mon", "tue"]
    assert (found["crm.event"].spec, found["crm.event"].next_at) == (after("erp", "shop", mode="all"), None)
    assert triggers.in_words(found["crm.event"].spec) == "after erp and shop"


def test_the_next_times_are_told_on_the_clock_of_the_zone(small_desk: Desk) -> None:
    small_desk.make("crm")
    small_desk.trigger("crm", {"times": ["02:30"], "zone": "Europe/Berlin"})
    with small_desk.database.reading() as session:
        told = triggers.document(triggers.found(session, "crm.schedule"), datetime(2027, 3, 26, 12, tzinfo=UTC), 3)
    assert told["next_local"] == ["Sat 2027-03-27 02:30 CET", "Sun 2027-03-28 03:00 CEST", "Mon 2027-03-29 02:30 CEST"]
    assert told["says"] == "every day at 02:30 (Europe/Berlin)"


@pytest.mark.parametrize(
    ("spec", "more", "says"),
    [
        ({"cron": "61 * * * *", "zone": "UTC"}, {}, "its minute cannot be '61'"),
        ({"times": ["06:30"], "zone": "Mars/Olympus"}, {}, "There is no zone"),
        ({}, {}, "The zone is missing"),
        (after(), {}, "waits for no source"),
        ({"sources": "erp", "mode": "any"}, {}, "waits for no source"),
        (after("erb"), {}, "did you mean erp"),
        (after("erp", mode="some"), {}, "There is no mode 'some'"),
        ({**after("erp"), "zone": "UTC"}, {}, "An event has no 'zone'"),
        (after("crm"), {}, "circle: crm waits for crm"),
        (DAILY, {"key": "Not A Key"}, "take 'not-a-key'"),
        (DAILY, {"name": "x" * 101}, "at most 100 signs"),
        (DAILY, {"key": "taken"}, "has a trigger 'taken'"),
    ],
)
def test_what_cannot_be_a_trigger_is_refused(
    small_desk: Desk, spec: dict[str, Any], more: dict[str, Any], says: str
) -> None:
    small_desk.make("crm")
    small_desk.make("erp")
    small_desk.trigger("crm", DAILY, key="taken")
    with pytest.raises(UsageError) as caught:
        small_desk.trigger("crm", spec, **more)
    assert says in str(caught.value)
    with small_desk.database.reading() as session:
        assert [one.id for one in triggers.listed(session)] == ["crm.taken"]


def test_circles_are_refused_however_long_they_are(desk: Desk) -> None:
    names = ["a", "b", "c", "d"]
    for name in names:
        desk.make(name)
    for name, awaited in pairwise(names):
        desk.trigger(name, after(awaited))
    with pytest.raises(UsageError, match="d waits for a waits for b waits for c waits for d"):
        desk.trigger("d", after("a"))
    with pytest.raises(UsageError, match="d waits for b waits for c waits for d"):
        desk.trigger("d", after("b", "a", mode="all"))
    desk.trigger("a", after("d", "c"))  # two ways to the same source are no circle
    desk.trigger("d", DAILY)
    with pytest.raises(UsageError, match="circle"):
        change(desk, "d.schedule", spec=after("a"))


@settings(max_examples=40)
@given(edges=st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=14))
def test_what_is_accepted_never_runs_in_a_circle(edges: list[tuple[str, str]]) -> None:
    waits: dict[str, set[str]] = {}

    def reaches(start: str, end: str) -> bool:
        return start == end or any(reaches(each, end) for each in waits.get(start, ()))

    for source, awaited in edges:
        refused = bool(triggers.way(awaited, source, waits))
        assert refused == reaches(awaited, source)
        if not refused:
            waits.setdefault(source, set()).add(awaited)


def test_a_trigger_is_switched_off_and_on(desk: Desk) -> None:
    desk.make("crm")
    name = desk.trigger("crm", DAILY)
    assert change(desk, name, enabled=False).next_at is None
    desk.actor = Actor("ann", NOW + timedelta(days=30))
    assert change(desk, name, enabled=True).next_at == datetime(
        2026, 12, 23, 5, 30, tzinfo=UTC
    )  # nothing is made up for


def test_who_has_arrived_is_forgotten_when_something_else_is_waited_for(desk: Desk) -> None:
    for name in ("crm", "erp", "shop"):
        desk.make(name)
    name = desk.trigger("crm", after("erp", "shop", mode="all"))
    with desk.database.writing() as session:
        session.add(TriggerArrival(trigger_id=name, source_id="erp", run_id="r1", at=NOW))
    change(desk, name, full=True)
    with desk.database.reading() as session:
        assert len(session.scalars(select(TriggerArrival)).all()) == 1
    change(desk, name, spec=after("shop"))
    with desk.database.reading() as session:
        assert session.scalars(select(TriggerArrival)).all() == []


def test_a_trigger_is_deleted_and_goes_with_its_source(desk: Desk) -> None:
    desk.make("crm")
    first, second = desk.trigger("crm", DAILY), desk.trigger("crm", DAILY)
    with desk.database.writing() as session:
        triggers.delete(session, desk.actor, triggers.found(session, first))
    with pytest.raises(UsageError, match=r"did you mean crm\.schedule-2"), desk.database.reading() as session:
        triggers.found(session, first)
    with desk.database.writing() as session:
        assert [one.id for one in triggers.listed(session)] == [second]
        sources.delete(session, desk.here, desk.actor, sources.found(session, "crm"), tables="keep")
    with desk.database.reading() as session:
        assert triggers.listed(session) == []

"""Schedules and events: each time is claimed once, however many look, and however long nobody did."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from b24lake.control import logs, runs, scheduler
from b24lake.control.database import open_database
from b24lake.control.models import Trigger
from b24lake.errors import B24LakeError
from service import Service, failing, until, waits_for_a_lock

HOURLY = {"cron": "0 * * * *", "zone": "UTC"}
SEVEN = datetime(2026, 3, 2, 7, tzinfo=UTC)


def causes(service: Service) -> list[tuple[str, str, str]]:
    return [(run["source"], run["cause"], run["state"]) for run in service.runs()]


def test_a_schedule_is_due_at_its_time_and_then_waits_for_the_next(service: Service) -> None:
    service.source("a")
    service.trigger("t", "a", HOURLY)
    clock = service.clock
    assert scheduler.tick(service.database, clock()) == []  # writes down when it is due first
    assert scheduler.tick(service.database, clock.turn(minutes=59)) == []
    [run_id] = scheduler.tick(service.database, clock.turn(minutes=1))
    assert scheduler.tick(service.database, clock.turn(seconds=1)) == []
    run = service.run(run_id)
    assert (run["cause"], run["trigger"], run["due_at"]) == ("schedule", "t", SEVEN.isoformat())
    assert [line["level"] for line in logs.read(service.database, run_id)] == ["info"]


def test_times_that_were_missed_make_one_run_not_forty(service: Service) -> None:
    service.source("a")
    service.trigger("t", "a", HOURLY, next_at=SEVEN)
    clock = service.clock
    clock.at = SEVEN + timedelta(hours=40, minutes=5)
    [run_id] = scheduler.tick(service.database, clock())
    assert service.run(run_id)["due_at"] == SEVEN.isoformat()
    assert [line["level"] for line in logs.read(service.database, run_id)] == ["warning"]
    assert scheduler.tick(service.database, clock.turn(minutes=54)) == []
    service.perform("success")
    assert len(scheduler.tick(service.database, clock.turn(minutes=1))) == 1


def test_a_time_for_which_a_run_waits_already_makes_no_other(service: Service) -> None:
    service.source("a")
    service.trigger("t", "a", HOURLY, next_at=SEVEN)
    assert len(scheduler.tick(service.database, SEVEN)) == 1
    assert scheduler.tick(service.database, SEVEN + timedelta(hours=1)) == []
    assert service.claim() is not None
    assert len(scheduler.tick(service.database, SEVEN + timedelta(hours=2))) == 1  # one runs, and one waits
    assert scheduler.tick(service.database, SEVEN + timedelta(hours=3)) == []


@pytest.mark.parametrize("state", ["paused", "stopped", "draft"])
def test_the_times_of_a_source_that_rests_pass_without_a_run(service: Service, state: str) -> None:
    service.source("a", state=state)
    service.trigger("t", "a", HOURLY, next_at=SEVEN)
    assert scheduler.tick(service.database, SEVEN) == []
    with service.database.writing() as session:
        session.get_one(runs.Source, "a").state = "active"
    assert scheduler.tick(service.database, SEVEN + timedelta(minutes=1)) == []
    assert len(scheduler.tick(service.database, SEVEN + timedelta(hours=1))) == 1


def test_one_nonsensical_schedule_does_not_keep_the_others_waiting(service: Service) -> None:
    service.source("a")
    service.trigger("bad", "a", {"cron": "every now and then", "zone": "UTC"}, next_at=SEVEN)
    service.trigger("good", "a", HOURLY, next_at=SEVEN)
    assert len(scheduler.tick(service.database, SEVEN)) == 2
    assert len(scheduler.tick(service.database, SEVEN + timedelta(hours=1))) <= 1


def test_several_schedulers_queue_each_time_once(service: Service, address: str) -> None:
    for number in range(40):
        service.source(f"s{number}")
        service.trigger(f"t{number}", f"s{number}", HOURLY, next_at=SEVEN)
    begin, queued = threading.Barrier(4), []

    def look() -> None:
        database = open_database(address, service.home)
        begin.wait()
        for second in range(3):
            queued.extend(scheduler.tick(database, SEVEN + timedelta(seconds=second)))
        database.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(queued) == len(set(queued)) == 40
    assert sorted(run["source"] for run in service.runs()) == sorted(f"s{number}" for number in range(40))


# --- events -----------------------------------------------------------------------------------------------------------


def test_any_of_several_sources_is_enough_or_all_are_waited_for(service: Service) -> None:
    for name in ("a", "b", "one", "both"):
        service.source(name)
    service.trigger("any", "one", {"sources": ["a", "b"], "mode": "any"})
    service.trigger("all", "both", {"sources": ["a", "b"], "mode": "all"}, full=True)
    service.request("a")
    service.perform("success")
    assert sorted(causes(service)[1:]) == [("both", "full_sync", "pending_events"), ("one", "event", "queued")]
    [pending] = service.runs(states=["pending_events"])
    assert service.run(pending["id"])["progress"] == {"waits_for": ["b"]}
    service.request("a")
    assert [service.perform("success") for _ in range(3)] == ["one", "a", "one"]  # a again: it still waits for b
    service.request("b")
    service.perform("failed", **failing())
    assert service.runs(states=["queued"]) == []  # a failure is no event
    service.request("b")
    service.perform("success")
    assert service.run(pending["id"])["state"] == "queued"
    assert sorted(service.perform("success") for _ in range(2)) == ["both", "one"]
    assert service.runs(states=["queued", "pending_events"]) == []


def test_a_run_of_a_part_of_a_source_is_no_event(service: Service) -> None:
    service.source("a")
    service.source("b")
    service.trigger("t", "b", {"sources": ["a"], "mode": "any"})
    service.request("a", streams=["deals"])
    service.perform("success")
    assert causes(service) == [("a", "manual", "success")]


def test_canceling_a_run_that_waits_for_events_makes_it_wait_for_all_of_them_again(service: Service) -> None:
    for name in ("a", "b", "both"):
        service.source(name)
    service.trigger("all", "both", {"sources": ["a", "b"], "mode": "all"})
    service.request("a")
    service.perform("success")
    [pending] = service.runs(states=["pending_events"])
    runs.cancel(service.database, pending["id"], service.clock())
    service.request("b")
    service.perform("success")
    [pending] = service.runs(states=["pending_events"])
    assert service.run(pending["id"])["progress"] == {"waits_for": ["a"]}


def test_what_waits_for_the_event_of_a_trigger_that_is_no_more_is_given_up(service: Service) -> None:
    for name in ("a", "b", "both"):
        service.source(name)
    service.trigger("all", "both", {"sources": ["a", "b"], "mode": "all"})
    service.request("a")
    service.perform("success")
    scheduler.give_up(service.database, service.clock())
    assert len(service.runs(states=["pending_events"])) == 1
    with service.database.writing() as session:
        session.delete(session.get_one(scheduler.Trigger, "all"))
    scheduler.give_up(service.database, service.clock())
    assert [run["state"] for run in service.runs(source_id="both")] == ["canceled"]


def test_logs_are_forgotten_long_after_their_run_and_before_the_run(service: Service) -> None:
    service.source("a")
    clock = service.clock
    old = service.request("a")
    service.perform("success")
    new = service.request("a")
    clock.turn(days=89)
    service.perform("success")
    scheduler.forget(service.database, clock.turn(days=2))
    assert [*logs.read(service.database, old)] == []
    assert [*logs.read(service.database, new)] != []
    assert [run["state"] for run in service.runs()] == ["success", "success"]


def test_runs_are_forgotten_but_for_the_last_success_of_a_source(service: Service) -> None:
    ended = {"a": ("success", "success", "failed"), "b": ("failed",)}
    for source, states in ended.items():
        service.source(source)
        for state in states:
            service.request(source)
            service.perform(state)
    scheduler.forget(service.database, service.clock.turn(days=399))
    assert len(service.runs()) == 4
    waiting = service.request("b")
    kept = service.runs(source_id="a")[1]["id"]
    scheduler.forget(service.database, service.clock.turn(days=2))
    assert [run["id"] for run in service.runs()] == [kept, waiting]


def test_a_time_that_a_fast_clock_has_queued_before_an_edit_does_not_hold_up_the_others(service: Service) -> None:
    for name in ("a", "b"):
        service.source(name)
        service.trigger(f"t{name}", name, HOURLY, next_at=SEVEN)
    assert len(scheduler.tick(service.database, SEVEN)) == 2
    service.perform("success")
    service.perform("success")
    with service.database.writing() as session:  # as an edit does by another machine's clock, a second before seven
        session.get_one(Trigger, "ta").next_at = SEVEN
        session.get_one(Trigger, "tb").next_at = SEVEN + timedelta(minutes=1)
    assert len(scheduler.tick(service.database, SEVEN + timedelta(minutes=1))) == 1
    assert len(scheduler.tick(service.database, SEVEN + timedelta(hours=1))) == 1  # the other still waits


def test_a_canceled_wait_stays_canceled_though_the_event_comes_at_the_same_moment(
    service_on_postgres: Service, postgres_address: str
) -> None:
    service = service_on_postgres
    for name in ("a", "b", "c"):
        service.source(name)
    service.trigger("t", "c", {"sources": ["a", "b"], "mode": "all"})
    service.request("a")
    service.perform("success")
    [pending] = service.runs(states=["pending_events"])
    service.request("b")
    run = service.claim()
    assert run is not None
    ending = threading.Thread(target=service.end, args=(run.id, "success"))
    with service.database.writing() as session:
        runs.drop(session, runs.found(session, pending["id"], lock=True), service.clock())
        session.flush()
        ending.start()
        until(lambda: waits_for_a_lock(postgres_address))
    ending.join()
    assert service.run(pending["id"])["state"] == "canceled"


def test_ends_of_runs_that_wait_for_each_other_s_sources_get_by(service_on_postgres: Service) -> None:
    """Each end locks its source and all triggers, and queues a run of another source."""
    service, names = service_on_postgres, [f"s{number}" for number in range(6)]
    for name in names:
        service.source(name)
        service.trigger(f"t{name}", name, {"sources": [one for one in names if one != name], "mode": "any"})
    failed: list[Exception] = []

    def end(run_id: str) -> None:
        try:
            service.end(run_id, "success")
        except B24LakeError as error:
            failed.append(error)

    for _ in range(8):
        for name in names:
            service.request(name)
        claimed = [run.id for _ in names if (run := service.claim()) is not None]
        threads = [threading.Thread(target=end, args=(run_id,)) for run_id in claimed]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []

"""Service time, round trips, the limit of one request, and a clock that runs faster."""

import threading

import pytest
from turned_clock import Time

from b24lake.sandbox.clock import Clock

PAGES = {f"c{n}": f"crm.deal.list?order[ID]=ASC&filter[%3EID]={10 * n}&start=-1" for n in range(5)}


def batch_of(count, method="crm.deal.list", start=-1):
    return {f"c{n}": f"{method}?start={start}" for n in range(count)}


# --- how long a command takes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "seconds"),
    [
        ("crm.deal.list", {"start": -1}, 0.04),
        ("crm.deal.list", {"start": 0}, 0.10),
        ("crm.deal.list", {}, 0.10),
        ("crm.deal.list", {"start": -1, "filter": {">ID": 10**9}}, 0.04),
        ("crm.item.list", {"entityTypeId": 2, "start": -1}, 0.04),
        ("crm.item.productrow.list", {"filter": {"=ownerType": "D", "=ownerId": 2}, "start": -1}, 0.04),
        ("crm.status.list", {}, 0.04),
        ("crm.contact.list", {"start": -1}, 0.12),
        ("crm.deal.fields", {}, 0.01),
        ("crm.deal.productrows.get", {"id": 2}, 0.01),
    ],
)
def test_a_page_takes_its_time_and_more_with_a_count(portal_with, method, params, seconds):
    options = {"page_ms": 40, "count_ms": 60, "command_ms": 10, "factors": {"crm.contact.list": 3.0}}
    with portal_with(time=Time(), book=True, **options) as hook:
        time = hook.ask(method, **params)["time"]
        assert (time["duration"], time["processing"]) == (pytest.approx(seconds), pytest.approx(seconds))
        assert time["finish"] - time["start"] == pytest.approx(seconds)
        assert hook.counters()["seconds"] == {method: pytest.approx(seconds)}


def test_counting_costs_as_much_again_unless_told_otherwise(portal_with):
    with portal_with(time=Time(), book=True, page_ms=40) as hook:
        assert hook.ask("crm.deal.list")["time"]["duration"] == pytest.approx(0.08)


def test_commands_of_a_batch_take_their_time_one_after_another(portal_with):
    with portal_with(time=Time(), book=True, page_ms=40) as hook:
        body = hook.ask("batch", cmd=PAGES)
        times = list(body["result"]["result_time"].values())
        assert [time["duration"] for time in times] == [pytest.approx(0.04)] * 5
        assert [after["start"] for after in times[1:]] == [before["finish"] for before in times[:-1]]
        assert body["time"]["duration"] == pytest.approx(0.2)


def test_a_refused_command_takes_no_time(portal_with):
    with portal_with(time=Time(), book=True, page_ms=40, command_ms=10) as hook:
        assert hook.ask("batch", cmd={"a": "crm.deal.get?id=0", "b": "no.such"})["time"]["duration"] == 0


# --- waiting or booking -----------------------------------------------------------------------------------------------


def test_booked_time_is_not_waited_for(portal_with):
    time = Time()
    with portal_with(time=time, book=True, page_ms=40, round_trip_ms=100) as hook:
        hook.batch(PAGES)
        assert (time.naps, hook.counters()["seconds"]) == ([], {"crm.deal.list": pytest.approx(0.2)})


def test_slept_time_is_waited_for_between_the_halves_of_the_round_trip(portal_with):
    time = Time()
    with portal_with(time=time, page_ms=40, round_trip_ms=100) as hook:
        assert hook.ask("batch", cmd=PAGES)["time"]["duration"] == pytest.approx(0.2)
        assert time.naps == pytest.approx([0.05, *[0.04] * 5, 0.05])


def test_without_service_time_nothing_is_waited_for(portal_with):
    time = Time()
    with portal_with(time=time) as hook:
        hook.batch(PAGES)
        assert time.naps == []


def test_a_refusal_travels_as_long_as_an_answer(portal_with):
    time = Time()
    with portal_with(time=time, round_trip_ms=100) as hook:
        assert hook.call("no.such")[0] == 404
        assert time.naps == pytest.approx([0.05, 0.05])


def test_parallel_requests_wait_side_by_side(portal_with):
    meeting = threading.Barrier(2, timeout=20)  # opens only once both are waiting at the same time
    answers = []
    with portal_with(sleep=lambda _: meeting.wait(), page_ms=4000) as hook:
        hooks = [hook, hook.beside()]
        threads = [
            threading.Thread(target=lambda h=h: answers.append(h.call("crm.deal.list", start=-1)[0])) for h in hooks
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        hooks[1].connection.close()
    assert answers == [200, 200]


def test_rows_can_change_while_a_batch_waits_for_its_commands(portal_with):
    naps = []

    def sleep(_):
        naps.append(1)
        if len(naps) == 1:
            hook.portal.delete("deals", first)

    with portal_with(sleep=sleep, page_ms=4000) as hook:
        first = hook.portal.tables["deals"].ids[0]
        done = hook.batch(dict.fromkeys("ab", f"crm.deal.list?filter[ID]={first}&start=-1"))
    assert [len(done["result"][name]) for name in "ab"] == [1, 0]


# --- the limit of one request -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("book", [True, False])
def test_a_batch_of_more_than_60_seconds_is_cut_by_the_proxy(portal_with, book):
    time = Time()
    with portal_with(time=time, page_ms=1300, book=book) as hook:
        hook.result("batch", cmd=batch_of(46))
        began = time.at
        status, kind, body = hook.raw("batch", "POST", form(batch_of(50)))
        assert (status, kind) == (504, "text/html")
        assert b"504 Gateway Time-out" in body
        assert time.at - began == pytest.approx(0 if book else 60)
        told = hook.counters()
        assert (told["cut"], told["seconds"]["crm.deal.list"]) == (1, pytest.approx(46 * 1.3 + 60))


def form(commands):
    return "&".join(f"cmd[{key}]={text.replace('=', '%3D')}" for key, text in commands.items()).encode()


def test_a_single_call_is_cut_too_and_the_limit_can_be_switched_off(portal_with):
    with portal_with(time=Time(), page_ms=61_000, book=True) as hook:
        assert hook.raw("crm.deal.list?start=-1")[0] == 504
        hook.portal.set(request_seconds=0)
        assert hook.raw("crm.deal.list?start=-1")[0] == 200


# --- the clock --------------------------------------------------------------------------------------------------------


def test_an_accelerated_portal_waits_shorter_and_shows_its_own_time(portal_with):
    time = Time()
    with portal_with(time=time, page_ms=400, round_trip_ms=200, acceleration=20) as hook:
        body = hook.ask("crm.deal.list", start=-1)
        assert time.naps == pytest.approx([0.005, 0.02, 0.005])
        assert body["time"]["duration"] == pytest.approx(0.4)


def test_the_bucket_drains_by_the_accelerated_clock(portal_with):
    time = Time()
    with portal_with(time=time, threshold=50, acceleration=60) as hook:
        assert [hook.call("profile")[0] for _ in range(51)] == [200] * 50 + [503]
        time.at += 1  # a minute of the portal's
        assert [hook.call("profile")[0] for _ in range(51)] == [200] * 50 + [503]


def test_no_moment_comes_twice_when_the_speed_changes():
    time = Time()
    clock = Clock(time.now, time.sleep, 10)
    seen = []
    for acceleration in (10, 1, 100, 1):
        clock.accelerate(acceleration)
        seen.append(clock.now())
        time.at += 1
        seen.append(clock.now())
    start = 1_800_000_000
    assert [moment - start for moment in seen] == pytest.approx([0, 10, 10, 11, 11, 111, 111, 112])


def test_a_wait_for_the_past_is_none():
    time = Time()
    Clock(time.now, time.sleep).wait(time.at - 5)
    assert time.naps == []

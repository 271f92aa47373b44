"""Operating budgets: what is booked, what answers tell of it, and who is blocked."""

import random

import pytest
from turned_clock import Time

from b24lake.sandbox.operating import Budgets
from b24lake.sandbox.settings import Settings

LISTS = "crm.deal.list?start=-1"


@pytest.fixture
def limited(portal_with):
    """Two seconds a page, ten seconds in ten minutes: the fifth page crosses the line."""

    def make(time=None, **options):
        return portal_with(time=time or Time(), **{"book": True, "page_ms": 2000, "operating_limit": 10, **options})

    return make


def page(hook, method="crm.deal.list"):
    status, body = hook.call(method, start=-1)
    return body["error"] if status != 200 else body["time"]["operating"]


# --- the books --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "used", "reset"),
    [(0, 6, 600), (599.9, 6, 600), (600, 4, 670), (669.9, 4, 670), (670, 3, 735), (735, 0, 1335)],
)
def test_minutes_leave_one_by_one_after_ten(at, used, reset):
    books = Budgets()
    for seconds, moment in ((1, 0), (1, 59.9), (1, 70.5), (3, 135)):
        books.book("m", seconds, moment)
    assert (books.used("m", at), books.reset_at("m", at)) == (used, reset)
    assert books.used("other", at) == 0


@pytest.mark.parametrize("seed", range(20))
def test_no_more_than_ten_buckets_count_and_what_is_younger_than_nine_minutes_always_does(seed):
    dice, books, booked = random.Random(seed), Budgets(), []
    at = 0.0
    for _ in range(300):
        at += dice.random() * 30
        books.book("m", 1, at)
        booked.append(at)
        young = sum(at - moment < 540 for moment in booked)
        old = sum(at - moment < 600 for moment in booked)
        assert young <= books.used("m", at) <= old
        assert len(books._buckets["m"]) <= 10
        assert at < books.reset_at("m", at) <= at + 600


# --- blocked ----------------------------------------------------------------------------------------------------------


def test_the_call_that_crosses_the_line_completes_and_the_next_is_blocked(limited):
    with limited() as hook:
        assert [page(hook) for _ in range(7)] == [2, 4, 6, 8, 10, *["OPERATION_TIME_LIMIT"] * 2]
        status, body = hook.call("crm.deal.list", start=-1)
        assert (status, body) == (
            429,
            {"error": "OPERATION_TIME_LIMIT", "error_description": "Method is blocked due to operation time limit."},
        )
        assert page(hook, "crm.contact.list") == 2
        told = hook.counters()
        assert (told["blocked"], told["operating"]) == (3, {"crm.deal.list": 10, "crm.contact.list": 2})


def test_a_method_is_free_again_when_the_oldest_minute_leaves(limited):
    time = Time()
    with limited(time) as hook:
        first = hook.ask("crm.deal.list", start=-1)["time"]["operating_reset_at"]
        time.at += 120
        assert [page(hook) for _ in range(5)] == [4, 6, 8, 10, "OPERATION_TIME_LIMIT"]
        time.at = first - 0.1
        assert page(hook) == "OPERATION_TIME_LIMIT"
        time.at = first
        assert page(hook) == 10
        assert page(hook) == "OPERATION_TIME_LIMIT"


def test_ten_minutes_pass_in_seconds_with_an_accelerated_clock(limited):
    time = Time()
    with limited(time, acceleration=300) as hook:
        assert [page(hook) for _ in range(6)][-1] == "OPERATION_TIME_LIMIT"
        time.at += 2.1
        assert page(hook) == 2


def test_a_shorter_window_frees_a_method_sooner(limited):
    time = Time()
    with limited(time, operating_window=60) as hook:
        assert hook.ask("crm.deal.list", start=-1)["time"]["operating_reset_at"] == 1_800_000_062
        time.at += 6
        assert [page(hook) for _ in range(5)] == [4, 6, 8, 10, "OPERATION_TIME_LIMIT"]
        time.at = 1_800_000_061.9
        assert page(hook) == "OPERATION_TIME_LIMIT"
        time.at = 1_800_000_062
        assert page(hook) == 10  # the first tenth of the window has left, the second has not
        time.at = 1_800_000_070
        assert page(hook) == 4


def test_a_window_too_short_for_its_parts_is_refused():
    with pytest.raises(ValueError, match="operating_window"):
        Settings(operating_window=9)


def test_within_a_batch_the_command_is_blocked_and_others_run(limited):
    with limited() as hook:
        commands = {f"d{n}": LISTS for n in range(7)} | {"c": "crm.contact.list?start=-1"}
        done = hook.batch(commands)
        assert list(done["result"]) == ["d0", "d1", "d2", "d3", "d4", "c"]
        assert {key: error["error"] for key, error in done["result_error"].items()} == dict.fromkeys(
            ["d5", "d6"], "OPERATION_TIME_LIMIT"
        )
        assert "d5" not in done["result_time"]


def test_limit_0_never_blocks(limited):
    with limited(operating_limit=0) as hook:
        assert [page(hook) for _ in range(6)] == [2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize(("floor", "used"), [(0.1, 0), (0.0, 0.2), (0.04, 0.2)])
def test_short_work_is_not_booked(limited, floor, used):
    with limited(page_ms=40, operating_floor=floor) as hook:
        hook.batch(dict.fromkeys("abcde", LISTS))
        assert hook.counters()["operating"].get("crm.deal.list", 0) == pytest.approx(used)


# --- what answers tell ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gauges", "told"),
    [("all", {"a": 2, "b": 4, "c": 2, "d": 6}), ("first", {"a": 2, "b": 0, "c": 2, "d": 0})],
)
def test_each_command_tells_its_gauge_or_the_first_of_a_method_only(limited, gauges, told):
    commands = {"a": LISTS, "b": LISTS, "c": "crm.contact.list?start=-1", "d": LISTS}
    with limited(gauges=gauges) as hook:
        body = hook.ask("batch", cmd=commands)
        assert {key: time["operating"] for key, time in body["result"]["result_time"].items()} == told
        assert body["time"]["operating"] == 6
        assert body["time"]["operating_reset_at"] == 1_800_000_602


def test_a_batch_billed_as_a_whole_shows_its_own_number_everywhere(limited):
    with limited(billing="batch", operating_limit=7) as hook:
        commands = {"a": LISTS, "b": "crm.contact.list?start=-1"}
        for number in (4, 8):
            body = hook.ask("batch", cmd=commands)
            assert [time["operating"] for time in body["result"]["result_time"].values()] == [number, number]
            assert body["time"]["operating"] == number
        status, body = hook.call("batch", cmd=commands)
        assert (status, body["error"]) == (429, "OPERATION_TIME_LIMIT")
        assert hook.counters()["operating"] == {"batch": 8}
        assert page(hook) == 2  # alone, a method has its own budget


def test_a_batch_billed_as_a_whole_books_what_was_done_before_it_was_cut(limited):
    with limited(billing="batch", operating_limit=480) as hook:
        assert (
            hook.raw("batch", "POST", b"&".join(b"cmd[c%d]=crm.deal.list?start%%3D-1" % n for n in range(40)))[0] == 504
        )
        assert hook.counters()["operating"] == {"batch": 60}


@pytest.mark.parametrize(
    ("operating", "told"),
    [("present", {"operating": 2, "operating_reset_at": 1_800_000_602}), ("zero", {"operating": 0}), ("absent", {})],
)
@pytest.mark.parametrize("billing", ["method", "batch"])
def test_counters_are_present_zero_or_absent_and_block_all_the_same(limited, operating, told, billing):
    with limited(operating=operating, billing=billing, operating_limit=2) as hook:
        body = hook.ask("batch", cmd={"a": LISTS})
        for time in (body["time"], body["result"]["result_time"]["a"]):
            assert {key: value for key, value in time.items() if key.startswith("operating")} == told
        status, body = hook.call("batch", cmd={"a": LISTS})
        assert status == (429 if billing == "batch" else 200)
        blocked = body if billing == "batch" else body["result"]["result_error"]["a"]
        assert blocked["error"] == "OPERATION_TIME_LIMIT"


def test_the_reset_can_be_a_text(limited):
    with limited(resets="iso") as hook:
        assert hook.ask("crm.deal.list", start=-1)["time"]["operating_reset_at"] == "2027-01-15T11:10:02+03:00"


def test_settings_change_while_it_runs(limited):
    with limited() as hook:
        status, body = hook.lever("settings", page_ms=500, operating_limit=1, billing="batch", scopes=["crm"])
        assert (status, body["page_ms"], body["billing"], body["scopes"]) == (200, 500, "batch", ["crm"])
        assert [page(hook) for _ in range(3)] == [0.5, 1.0, "OPERATION_TIME_LIMIT"]
        assert hook.send("GET", "/sandbox/settings")[1] == body


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"deals": 5}, "cannot be set"),
        ({"billing": "moon"}, "billing"),
        ({"page_ms": -1}, "page_ms"),
        ({"page_ms": "x"}, ""),
    ],
)
def test_wrong_settings_change_nothing_and_say_why(limited, wrong, text):
    with limited() as hook:
        before = hook.send("GET", "/sandbox/settings")
        status, body = hook.lever("settings", **wrong)
        assert status == 400
        assert text in body["error"]
        assert hook.send("GET", "/sandbox/settings") == before

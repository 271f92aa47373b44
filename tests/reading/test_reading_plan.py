"""The rehearsal: what it says of requests, portal seconds, rests and time before anything is read."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_portal import PretendPortal

from b24lake.portal.limits import PLANS, Gauge, Gauges
from b24lake.portal.replies import Answer
from b24lake.reading.paging import PAGE, Chain, chain_commands, read_chain
from b24lake.reading.plan import Estimate, Left, estimate, remaining
from b24lake.reading.schedule import Ask
from b24lake.reading.timekeeper import Ids, Meter, Size, Terms
from b24lake.reading.walk import Done
from b24lake.streams.definitions import STREAMS

NOW = 1_800_000_000.0
DEALS, LEADS = (Ask(STREAMS[name], ()) for name in ("deals", "leads"))


def size(rows: int, seconds: float = 0.04, *, gap: float = 1.3, start: int = 2, **more: float | bool) -> Size:
    """A stream of evenly spread ids, as probes would find it."""
    ids = [start + int(place * gap) for place in (*range(min(rows, PAGE)), *range(max(0, rows - PAGE), rows))]
    low, high = tuple(ids[: min(rows, PAGE)]), tuple(ids[min(rows, PAGE) :])
    return replace(Size(rows, seconds, low=low, high=high), **more)  # type: ignore[arg-type]


def planned(*sizes: Size, terms: Terms | None = None) -> Estimate:
    return estimate(zip((DEALS, LEADS), sizes, strict=False), terms or Terms(), NOW)


TERMS = st.builds(
    Terms,
    plan=st.sampled_from([*PLANS.values()]),
    concurrency=st.integers(1, 8),
    threshold=st.sampled_from([0.0, 20.0, 200.0]),
    round_trip=st.sampled_from([0.0, 0.1]),
    told=st.booleans(),
    window=st.sampled_from([60.0, 600.0]),
    landing=st.sampled_from([0.0, 0.1]),
)
SIZES = st.builds(
    size,
    st.integers(0, 20_000),
    st.sampled_from([0.0, 0.01, 0.04, 1.5]),
    gap=st.sampled_from([1.0, 1.3, 50.0]),
    start=st.sampled_from([1, 10_000_000]),
)


@settings(max_examples=60)
@given(sizes=st.lists(SIZES, min_size=1, max_size=2), terms=TERMS)
def test_a_plan_is_never_below_what_is_needed_at_least(sizes: list[Size], terms: Terms) -> None:
    found = planned(*sizes, terms=terms)
    for expected, one in zip(found.streams.values(), sizes, strict=True):
        assert not expected.failure
        assert expected.rows == one.rows
        assert expected.commands >= math.ceil(one.rows / PAGE)
        assert expected.commands <= 1.1 * one.rows / PAGE + 12 or not terms.told  # blocked methods are tried
        assert expected.portal_seconds >= one.seconds * math.ceil(one.rows / PAGE) - 1e-6
        assert expected.seconds <= found.seconds
    commands = sum(expected.commands for expected in found.streams.values())
    assert found.requests >= math.ceil(commands / 50)
    assert found.seconds >= found.portal_seconds / terms.concurrency - 1e-6
    assert found.seconds >= (found.requests - terms.plan.threshold) / terms.plan.drain - 1e-6


@settings(max_examples=30)
@given(rows=st.integers(100, 3_000), seconds=st.sampled_from([0.01, 0.2]), threshold=st.sampled_from([0.0, 50.0]))
def test_thirty_times_the_rows_take_more_of_everything(rows: int, seconds: float, threshold: float) -> None:
    terms = Terms(threshold=threshold, round_trip=0.1)
    small, large = (planned(size(count, seconds), terms=terms) for count in (rows, 30 * rows))
    assert large.requests >= small.requests
    assert large.portal_seconds > small.portal_seconds
    assert large.seconds > small.seconds


@settings(max_examples=30)
@given(terms=TERMS)
def test_nothing_to_read_is_over_at_once(terms: Terms) -> None:
    assert (estimate([], terms, NOW).requests, estimate([], terms, NOW).seconds) == (0, 0.0)


def test_one_full_batch_after_the_other_is_the_portals_work_divided_by_the_requests_on_their_way() -> None:
    found = planned(size(100_000), terms=Terms(round_trip=0.1))
    assert found.requests <= 46
    assert found.portal_seconds == pytest.approx(80.0, rel=0.02)
    assert found.seconds == pytest.approx(42 * 2.1 / 4, rel=0.1)


def test_behind_the_burst_the_request_bucket_sets_the_pace() -> None:
    found = planned(size(500_000, 0.001), terms=Terms(round_trip=0.01))
    assert found.seconds == pytest.approx((found.requests - 46) / 2, rel=0.05)


def test_our_own_work_counts_where_the_portal_is_quicker() -> None:
    found = planned(size(50_000, 0.0, own=0.001))
    assert found.seconds == pytest.approx(50.0, rel=0.02)


@pytest.mark.parametrize(("rows", "rests"), [(20_000, 0), (80_000, 1), (140_000, 2)])
def test_each_threshold_of_work_is_followed_by_a_rest_of_ten_minutes(rows: int, rests: int) -> None:
    found = planned(size(rows, 0.1), terms=Terms(threshold=100.0, round_trip=0.1))
    rested = found.streams["deals"].rest_seconds
    assert (rests == 0) == (rested == 0)
    assert rested == pytest.approx(590 * rests, rel=0.1)
    assert found.seconds >= rested


def test_a_resting_method_does_not_hold_up_the_others() -> None:
    terms = Terms(threshold=50.0, round_trip=0.1)
    found = planned(size(60_000, 0.1), size(10_000, 0.04), terms=terms)
    assert found.streams["deals"].rests
    assert not found.streams["leads"].rests
    assert found.streams["leads"].seconds < 60


def test_without_gauges_a_method_runs_until_it_is_blocked() -> None:
    found = planned(size(300_000, 0.1), terms=Terms(told=False, round_trip=0.1))
    assert found.streams["deals"].portal_seconds == pytest.approx(600, rel=0.02)
    assert found.seconds > 600


def test_where_batches_are_billed_all_streams_rest() -> None:
    terms = Terms(threshold=50.0, gauges=Gauges(by_batch=True))
    found = planned(size(40_000, 0.1), size(40_000, 0.1), terms=terms)
    assert all(expected.rests for expected in found.streams.values())


def test_work_that_is_too_short_to_be_booked_needs_no_rest() -> None:
    terms = Terms(threshold=20.0)
    assert planned(size(50_000, 0.04, booked=True), terms=terms).streams["deals"].rests
    assert not planned(size(50_000, 0.04, booked=False), terms=terms).streams["deals"].rests


def test_what_was_booked_before_brings_the_rest_forward() -> None:
    used = Gauges(by_method={"crm.deal.list": Gauge(operating=190.0, reset_at=NOW + 300.0)})
    fresh = planned(size(20_000, 0.1), terms=Terms())
    worn = planned(size(20_000, 0.1), terms=Terms(gauges=used))
    assert not fresh.streams["deals"].rests
    assert worn.streams["deals"].rests
    assert worn.seconds > 290


def test_a_page_that_takes_longer_than_a_request_may_is_told() -> None:
    found = planned(size(1000, 70.0))
    assert "too long" in found.streams["deals"].failure


def test_rows_that_an_earlier_run_has_read_are_not_read_again() -> None:
    whole = size(20_000, gap=1.0, start=1)
    half = replace(DEALS, done=Done(((0, 10_000),), 10_000))
    found = estimate([(half, whole)], Terms(), NOW)
    assert found.streams["deals"].rows == 10_000
    assert 200 <= found.streams["deals"].commands <= 210


def test_a_list_takes_as_many_requests_as_it_has_pages() -> None:
    found = estimate([(Ask(STREAMS["departments"], ()), Size(120, 0.1, pages=3))], Terms(), NOW)
    assert (found.requests, found.streams["departments"].commands) == (3, 3)


# --- ids --------------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10_000), rows=st.integers(0, 100), pages=st.integers(1, 5), after=st.integers(0, 300))
def test_where_all_ids_are_known_a_chain_brings_what_the_portal_would(
    seed: int, rows: int, pages: int, after: int
) -> None:
    ids = sorted(random.Random(seed).sample(range(1, 300), rows))
    chain, stream = Chain(after, pages), STREAMS["deals"]
    commands = chain_commands(stream, chain, None, "c")
    answers = PretendPortal(ids).batch(commands, halt=True)
    really = read_chain(stream, chain, None, [answers[key] for key in commands])
    known = Ids(Size(rows, 0.0, low=tuple(ids[:PAGE]), high=tuple(ids[-PAGE:])))
    assert known.keys(0, rows + 5) == ids
    pretended = known.read(stream, chain, [Answer([]) for _ in commands])
    assert [int(str(row["ID"])) for row in pretended.rows] == [int(str(row["ID"])) for row in really.rows]
    assert (pretended.reached, pretended.finished, pretended.wasted) == (really.reached, really.finished, really.wasted)


@given(one=SIZES)
def test_ids_in_between_rise_and_are_found_again(one: Size) -> None:
    ids = Ids(one)
    places = sorted({0, ids.count // 3, ids.count // 2, ids.count - 1} & {*range(ids.count)})
    assert [ids.upto(ids.key(place)) for place in places] == [place + 1 for place in places]
    assert ids.count == one.rows


def test_booked_seconds_leave_when_the_window_has_passed() -> None:
    meter = Meter(600.0)
    for moment in (0.0, 30.0, 90.0):
        meter.book(10.0, moment)
    assert [meter.used(moment) for moment in (0.0, 30.0, 90.0, 599.0, 600.0, 690.0)] == [10, 20, 30, 30, 10, 0]
    meter.book(5.0, 1000.0)
    assert (meter.used(999.0), meter.used(1000.0), meter.reset_at(1000.0)) == (0, 5, 1600.0)


# --- what is left -----------------------------------------------------------------------------------------------------


def test_nothing_left_takes_no_time() -> None:
    assert remaining([], Terms(), NOW) == remaining([Left("crm.deal.list", 0, 1.0)], Terms(), NOW) == 0.0


@settings(max_examples=20)
@given(rows=st.integers(30_000, 100_000), seconds=st.sampled_from([0.002, 0.04]), concurrency=st.sampled_from([1, 4]))
def test_what_is_left_at_the_beginning_is_about_the_plan(rows: int, seconds: float, concurrency: int) -> None:
    terms = Terms(concurrency=concurrency, round_trip=0.1)
    left = remaining([Left("crm.deal.list", rows, seconds)], terms, NOW)
    assert left == pytest.approx(planned(size(rows, seconds), terms=terms).seconds, rel=0.35, abs=3.0)


def test_what_is_left_counts_rests() -> None:
    terms = Terms(threshold=100.0)
    assert remaining([Left("crm.deal.list", 240_000, 0.1)], terms, NOW) == pytest.approx(2400.0)
    used = replace(terms, gauges=Gauges(by_method={"crm.deal.list": Gauge(90.0, NOW + 200.0, NOW + 200.0)}))
    assert remaining([Left("crm.deal.list", 10_000, 0.1)], used, NOW) == pytest.approx(200.0)

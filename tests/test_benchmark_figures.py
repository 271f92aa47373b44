"""What the benchmarks compute from what they measured: the floor, rests in the portal's log, bars."""

from __future__ import annotations

import pytest
from benchmarks.floor import floor, pages_of, windows
from benchmarks.report import Bar
from benchmarks.watched import ASKED, REFUSED, TOLD, Entry, rests

PORTAL = {"page_ms": 40, "round_trip_ms": 100, "threshold": 50, "drain": 2.0}


@pytest.mark.parametrize(("rows", "pages"), [(0, 1), (49, 1), (50, 2), (100_000, 2001)])
def test_a_list_without_a_count_ends_on_a_page_that_is_not_full(rows: int, pages: int) -> None:
    assert pages_of(rows) == pages


@pytest.mark.parametrize(
    ("pages", "concurrency", "seconds"),
    [(2000, 4, 21.0), (2000, 1, 84.0), (2001, 4, 21.035), (50_000, 100, 475.0)],
    ids=["served", "one by one", "a request for the last page", "request bucket"],
)
def test_the_floor_is_service_and_round_trips_or_the_request_bucket(
    pages: int, concurrency: int, seconds: float
) -> None:
    assert floor(pages, concurrency, PORTAL) == pytest.approx(seconds)


@pytest.mark.parametrize(("work", "seconds"), [(0, 0), (12, 0), (12.1, 30), (36, 60)])
def test_work_beyond_one_window_waits_for_the_next(work: float, seconds: float) -> None:
    assert windows(work, 12, 30) == seconds


def log(*entries: tuple[str, float, float]) -> list[Entry]:
    """(what, at, operating) -> entries of one method that all name second 60 as the reset."""
    return [Entry(what, "m", at, operating, 60) for what, at, operating in entries]


@pytest.mark.parametrize(
    ("entries", "threshold", "late"),
    [
        ([(ASKED, 1, 0), (TOLD, 1.1, 30), (ASKED, 61.5, 0)], 20, [1.5]),
        ([(ASKED, 1, 0), (TOLD, 1.1, 30), (ASKED, 40, 30)], 20, [-20]),
        ([(ASKED, 1, 0), (TOLD, 1.1, 30), (ASKED, 1.9, 30)], 20, []),
        ([(ASKED, 1, 0), (TOLD, 1.1, 10), (ASKED, 40, 10)], 20, []),
        ([(ASKED, 1, 0), (TOLD, 1.1, 10), (ASKED, 64, 10)], 20, [4]),
        ([(TOLD, 1, 48), (REFUSED, 1.1, 48), (ASKED, 61, 0)], 0, [1]),
        ([(ASKED, 1, 0), (TOLD, 1.1, 48), (ASKED, 40, 48)], 0, []),
    ],
    ids=["above", "early", "on its way", "below", "below and late", "refused", "no threshold"],
)
def test_a_rest_is_a_pause_with_a_reason_or_one_beyond_the_reset(
    entries: list[tuple[str, float, float]], threshold: float, late: list[float]
) -> None:
    others = [Entry(ASKED, "other", at, 0, 0) for at in range(100)]
    assert [rest.late for rest in rests([*log(*entries), *others], "m", threshold)] == pytest.approx(late)


def test_a_bar_says_what_it_asks_and_what_was_measured() -> None:
    assert str(Bar.at_most(0.35, "of it", 0.27)) == "pass: at most 0.35x of it; measured 0.27x"
    assert str(Bar.at_most(60, "requests", 61)) == "MISS: at most 60 requests; measured 61"
    assert str(Bar.all_rows(99, 100)) == "MISS: every row is read; measured 99 of 100"

"""The course of a run: few points whatever it takes, the newest always among them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24lake.control.course import MOST, rate, went_on


def course_of(moments: list[float], rows: list[int] | None = None) -> dict[str, Any]:
    course: dict[str, Any] = {}
    for number, at in enumerate(moments):
        figures = {"seconds": at, "rows": rows[number] if rows else number, "requests": number, "burst": 50}
        course = went_on(course, figures)
    return course


@given(st.lists(st.floats(0.1, 90), min_size=1, max_size=600))
def test_a_course_is_short_in_order_and_ends_with_the_newest_point(steps: list[float]) -> None:
    moments = [sum(steps[: number + 1]) for number in range(len(steps))]
    course = course_of(moments)
    kept = [point[0] for point in course["points"]]
    assert len(kept) <= MOST
    assert kept == sorted(kept)
    assert kept[-1] == moments[-1]
    assert kept[0] == moments[0]
    assert set(kept) <= set(moments)
    assert course["burst"] == 50


def test_points_of_a_long_run_lie_evenly() -> None:
    kept = [point[0] for point in course_of([number / 2 for number in range(20_000)])["points"]]
    assert len(kept) > MOST / 3
    gaps = [after - before for before, after in pairwise(kept[:-1])]
    assert max(gaps) <= 2 * min(gaps)


@pytest.mark.parametrize(
    ("moments", "rows", "expected"),
    [
        ([], [], None),
        ([1.0], [50], None),
        ([0.0, 10.0], [0, 500], 50.0),
        ([0.0, 100.0, 110.0, 120.0], [0, 100_000, 100_000, 101_000], 50.0),  # of late
    ],
)
def test_the_rate_is_that_of_late(moments: list[float], rows: list[int], expected: float | None) -> None:
    assert rate(course_of(moments, rows)) == expected

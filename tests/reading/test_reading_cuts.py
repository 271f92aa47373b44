"""Where ids are cut: the parts meet, nothing is left out below or above, and none is empty of ids."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from b24lake.reading.cuts import spread

KEYS = st.lists(st.integers(1, 10**9), min_size=1, max_size=20)


@given(KEYS, st.integers(1, 40))
def test_parts_are_all_ids_together(keys: list[int], parts: int) -> None:
    found = spread(keys, parts)
    assert found[0][0] == 0
    assert found[-1][1] is None
    assert [upto for _, upto in found[:-1]] == [after for after, _ in found[1:]]
    assert all(upto is None or after < upto for after, upto in found)
    assert len(found) == min(parts, max(keys) - min(keys) + 1)


@given(KEYS, st.integers(1, 40))
def test_parts_have_about_as_many_ids(keys: list[int], parts: int) -> None:
    bounds = [min(keys) - 1, *(upto for _, upto in spread(keys, parts)[:-1] if upto is not None), max(keys)]
    sizes = [upto - after for after, upto in pairwise(bounds)]
    assert max(sizes) - min(sizes) <= 1


def test_no_ids() -> None:
    assert spread([], 5) == [(0, None)]

"""Two versions compared in a process of its own."""

from __future__ import annotations

import os
import signal

import psutil
import pyarrow as pa
import pytest
from lake_rows import Deals, rows

from b24lake.errors import B24LakeError, StreamError, UsageError
from b24lake.lake import comparing_apart
from b24lake.lake.comparing import compare
from b24lake.lake.comparing_apart import UnwantedError, compared_apart
from b24lake.lake.files import reopened
from running import Lake


def two(deals: Deals) -> None:
    deals.full(rows(range(1, 101)))
    new = [rows(range(1, 91)), rows(range(91, 96), title="new"), rows(range(200, 210))]
    deals.full(pa.concat_tables(new))


def children() -> set[int]:
    """Processes of comparisons that are still there."""
    mine = psutil.Process().children(recursive=True)
    return {each.pid for each in mine if "b24lake.lake.comparing_apart" in " ".join(each.cmdline())}


def test_it_finds_what_a_comparison_finds_and_says_how_far_it_is(deals: Deals) -> None:
    two(deals)
    shares: list[float] = []
    found = compared_apart(deals.path, 0, 2, limit=3, went_on=shares.append)
    assert found == compare(deals.path, reopened(deals.path, 0), reopened(deals.path, 2), limit=3, each_kind=True)
    assert (found.added, found.removed, found.changed) == (10, 5, 5)
    assert shares
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1
    assert not children()


def test_of_each_kind_the_rows_with_the_smallest_keys_are_listed(deals: Deals) -> None:
    two(deals)
    found = compared_apart(deals.path, 0, 2, limit=2)
    assert [(each.kind, each.key) for each in found.rows] == [
        ("changed", 91),
        ("changed", 92),
        ("removed", 96),
        ("removed", 97),
        ("added", 200),
        ("added", 201),
    ]


def test_it_ends_at_once_when_nobody_wants_it(deals: Deals) -> None:
    two(deals)
    asked: list[int] = []

    def wanted() -> bool:
        asked.append(len(children()))
        return len(asked) < 2

    with pytest.raises(UnwantedError, match="nobody waited for it"):
        compared_apart(deals.path, 0, 2, limit=3, wanted=wanted)
    assert asked[-1] == 1
    assert not children()


def test_its_time_is_limited(deals: Deals) -> None:
    two(deals)
    with pytest.raises(UsageError, match=r"takes longer than it may.*b24lake diff"):
        compared_apart(deals.path, 0, 2, limit=3, seconds=0)
    assert not children()


def test_an_error_in_it_is_one_here(deals: Deals) -> None:
    two(deals)
    for file in deals.path.glob("*.parquet"):
        file.unlink()
    with pytest.raises(StreamError, match="Cannot read or write") as caught:
        compared_apart(deals.path, 0, 2, limit=3)
    assert caught.value.fix
    with pytest.raises(B24LakeError, match="cannot be read"):
        compared_apart(deals.path, 0, 99, limit=3)


def test_a_process_that_is_killed_is_told(deals: Deals) -> None:
    two(deals)

    def wanted() -> bool:
        for each in children():
            os.kill(each, signal.SIGKILL)
        return True

    with pytest.raises(UsageError, match=r"ended before its time.*memory"):
        compared_apart(deals.path, 0, 2, limit=3, wanted=wanted)


def test_memory_is_limited(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    two(deals)
    monkeypatch.setattr(comparing_apart, "usual_memory", lambda: 64 * 1024**2)
    with pytest.raises(UsageError, match=r"ended before its time.*0.0625 GB"):
        compared_apart(deals.path, 0, 2, limit=3)


def test_in_an_object_store_as_well(far_lake: Lake) -> None:
    deals = Deals(far_lake.path)
    two(deals)
    assert compared_apart(deals.path, 0, 2, limit=1).changed == 5

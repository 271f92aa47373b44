"""How much each version of a table holds, and until when it can be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from deltalake import DeltaTable
from lake_rows import Deals, rows

from aging import aged
from b24lake.lake import retention
from b24lake.lake.catalog import opened
from b24lake.lake.log import LogCommit, Size
from b24lake.lake.retention import Kept, ends, kept
from b24lake.lake.sizes import summed
from b24lake.lake.versions import VersionInfo, history

DAY = timedelta(days=1)


def told(deals: Deals) -> dict[int, tuple[int | None, int | None]]:
    return {one.version: (one.rows, one.bytes) for one in history(deals.path, opened(deals.path))}


def held(deals: Deals, version: int) -> tuple[int, int]:
    table = DeltaTable(str(deals.path), version=version)
    files = table.get_add_actions(flatten=True)
    return table.to_pyarrow_dataset().count_rows(), sum(files.column("size_bytes").to_pylist())


def several(deals: Deals) -> None:
    """A first read, changes, a full read that loses rows, and properties."""
    deals.full(rows(range(1, 41)), mark=1)
    deals.merge(rows([2, 50], title="new"), mark=2)
    deals.full(rows(range(1, 31)), mark=3)
    deals.delta().alter.set_table_description("Deals")
    deals.merge(rows([60], title="late"), mark=4)


def test_each_version_tells_its_rows_and_bytes(deals: Deals) -> None:
    several(deals)
    found = told(deals)
    assert found == {version: held(deals, version) for version in range(opened(deals.path).version() + 1)}
    assert [found[version][0] for version in (0, 2, 3, 5)] == [40, 41, 30, 31]


def test_files_from_before_the_log_are_known_by_its_checkpoint(deals: Deals) -> None:
    deals.full(rows([1, 2, 3]), mark=1)
    for number in range(4, 7):
        deals.merge(rows([number]), mark=number)
    before = told(deals)
    aged(deals.path, 40)
    deals.full(rows([9]), mark=9, accept=True)
    retention.apply(deals.path, opened(deals.path), datetime.now(UTC))
    after = told(deals)
    assert 0 not in after
    assert len(after) > 1
    assert {version: after[version] for version in after if version in before} == {
        version: before[version] for version in after if version in before
    }


def test_what_the_log_does_not_tell_is_left_out() -> None:
    commits = [
        LogCommit(3, added=frozenset("c")),
        LogCommit(2, added=frozenset("b"), removed=frozenset("a")),
        LogCommit(1),
    ]
    known = {"b": Size(5, 50), "c": Size(None, 10)}
    assert dict(summed(commits, frozenset("bc"), known)) == {3: Size(None, 60), 2: Size(5, 50)}
    assert dict(summed([], frozenset(), {})) == {}


@pytest.mark.parametrize("keep", [(30, 37), (30, 5), (30, 2), (5, 12), (2, 1), (1, 8)])
def test_what_goes_now_are_the_versions_whose_end_has_come(deals: Deals, keep: tuple[int, int]) -> None:
    several(deals)
    for days, number in ((3, 61), (4, 62)):
        aged(deals.path, days)
        deals.merge(rows([number]), mark=number)
    table, now = opened(deals.path), datetime.now(UTC)
    wanted = Kept(keep[0] * DAY, keep[1] * DAY)
    until = ends(history(deals.path, table), wanted)
    assert sorted(until) == list(range(table.version()))
    going = retention.effect(deals.path, table, now, wanted).versions
    assert going == tuple(version for version in sorted(until) if until[version] <= now)
    assert bool(going) is (keep != (30, 37))


def test_what_cannot_be_read_has_no_such_moment_and_neither_has_the_newest(deals: Deals) -> None:
    several(deals)
    table = opened(deals.path)
    first = DeltaTable(str(deals.path), version=0).file_uris()[0]
    (deals.path / first.rpartition("/")[2]).unlink()
    found = history(deals.path, table)
    assert not found[-1].readable
    assert found[-1].version not in ends(found, kept(table))
    assert table.version() not in ends(found, kept(table))
    assert ends([], kept(table)) == {}


def test_a_version_whose_files_are_all_in_use_ends_with_the_log() -> None:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    newer = VersionInfo(1, at + DAY, "WRITE", "", 0, 0, 0)
    older = VersionInfo(0, at, "WRITE", "", 0, 0, 0)
    assert ends([newer, older], Kept(10 * DAY, 2 * DAY)) == {0: at + 11 * DAY}

"""Two writers on one table, on a disk and in an object store: every row is there once, or one of them ends clearly.

A lock keeps the runs of one home apart; these have none in common.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pytest
from lake_rows import SCHEMA, Deals, rows

from b24lake.errors import StreamError
from b24lake.lake import staging as staging_module
from b24lake.lake.merging import commit_merge
from b24lake.lake.parts import STAGING
from b24lake.lake.replacing import commit_full
from b24lake.lake.staging import Staged, Staging
from b24lake.lake.sweeping import sweep
from b24lake.lake.table import Bookmark, Commit, Counts
from b24lake.lake.unfinished import KEPT, dead_before, resumable, unfinished
from running import Lake

FACTS = {"fingerprint": "asked"}
NOW = datetime.now(UTC)


@pytest.fixture(params=["disk", "store"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Deals:
    """A table that does not exist yet, on a disk or in a store."""
    if request.param == "disk":
        return Deals(tmp_path / "lake")
    far: Lake = request.getfixturevalue("far_lake")
    return Deals(far.path)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ten rows are a row group, and every row group is a part."""
    monkeypatch.setattr(staging_module, "GROUP_ROWS", 10)
    monkeypatch.setattr(staging_module, "PART_BYTES", 1)


def staged(deals: Deals, run_id: str, table: pa.Table, *, spool: bool = False) -> Staged:
    staging = Staging(deals.path, run_id, "ID", ["CHANGED"], schema=SCHEMA, spool=spool)
    staging.add(table)
    return staging.close()


def commit(run_id: str, mark: int = 1) -> Commit:
    return Commit(run_id, Bookmark("time", "asked", mark))


def at_once(*works: Callable[[], Counts]) -> list[Counts | StreamError]:
    """What they end with; all begin together."""
    together = Barrier(len(works))

    def work(one: Callable[[], Counts]) -> Counts | StreamError:
        together.wait()
        try:
            return one()
        except StreamError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(work, works))


@pytest.mark.parametrize("there", [False, True])
def test_full_reads_at_once_leave_the_rows_of_one(anywhere: Deals, there: bool) -> None:
    if there:
        anywhere.full(rows(range(50)))
    reads = [staged(anywhere, f"w{number}", rows(range(40), title=f"w{number}")) for number in range(3)]
    ends = at_once(
        *(lambda read=read: commit_full(anywhere.path, anywhere.owner, read, commit(read.run_id)) for read in reads)
    )
    assert any(isinstance(end, Counts) for end in ends)
    held = anywhere.read()  # which has every key once
    assert sorted(held) == list(range(40))
    assert len({row["TITLE"].split()[0] for row in held.values()}) == 1


def test_merges_at_once_lose_no_rows(anywhere: Deals) -> None:
    anywhere.full(rows(range(20)))
    reads = [
        staged(anywhere, f"w{number}", rows(range(number * 10, number * 10 + 20), title=f"w{number}"), spool=True)
        for number in range(3)
    ]
    ends = at_once(
        *(lambda read=read: commit_merge(anywhere.path, anywhere.owner, read, commit(read.run_id)) for read in reads)
    )
    held = anywhere.read()
    for number, end in enumerate(ends):
        assert isinstance(end, Counts), end
        assert set(range(number * 10, number * 10 + 20)) <= set(held)
    assert sorted(held) == list(range(40))


def test_a_merge_while_a_full_read_commits_is_not_lost_within_it(anywhere: Deals) -> None:
    anywhere.full(rows(range(20)))
    full, more = (
        staged(anywhere, "full", rows(range(30), title="full")),
        staged(anywhere, "more", rows([77]), spool=True),
    )
    ends = at_once(
        lambda: commit_full(anywhere.path, anywhere.owner, full, commit("full")),
        lambda: commit_merge(anywhere.path, anywhere.owner, more, commit("more")),
    )
    assert all(isinstance(end, Counts) for end in ends)
    assert sorted(anywhere.read()) in ([*range(30)], [*range(30), 77])


def begun(deals: Deals, run_id: str, count: int = 30) -> Staging:
    staging = Staging(deals.path, run_id, "ID", schema=SCHEMA, facts=FACTS)
    for start in range(0, count, 10):
        staging.add(rows(range(start, start + 10)), [(start - 1, start + 9)])
    return staging


def taken_over(deals: Deals, run_id: str) -> Staging:
    """Another run that takes the first for dead."""
    earlier = resumable(deals.path, FACTS, SCHEMA, datetime.now(UTC))
    assert earlier is not None
    sweep(deals.path, keep_run=earlier.run_id, older_than=dead_before(deals.path, datetime.now(UTC)))
    staging = Staging(deals.path, run_id, "ID", schema=SCHEMA, facts=earlier.facts)
    staging.go_on(earlier.run_id, earlier.parts, earlier.held)
    return staging


def test_of_two_that_go_on_with_one_read_the_second_to_commit_fails(anywhere: Deals, small_parts: None) -> None:
    anywhere.full(rows(range(5)))
    first = begun(anywhere, "first")
    second = taken_over(anywhere, "second")
    first.add(rows(range(30, 40), title="of the first"), [(29, 39)])
    second.add(rows(range(30, 40), title="of the second"), [(29, 39)])
    commit_full(anywhere.path, anywhere.owner, second.close(), commit("second"))
    with pytest.raises(StreamError, match="let only one run at a time write the table"):
        commit_full(anywhere.path, anywhere.owner, first.close(), commit("first"))
    first.discard()
    held = anywhere.read()
    assert sorted(held) == list(range(40))
    assert held[39]["TITLE"] == "of the second 39"


def test_parts_that_a_version_has_already_are_not_committed_again(
    anywhere: Deals, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("b24lake.lake.differing.COMPARED_ROWS", 0)  # as with tables that are too large for it
    first = begun(anywhere, "first")
    second = taken_over(anywhere, "second")
    second.add(rows([99]), [(29, 99)])
    commit_full(anywhere.path, anywhere.owner, first.close(), commit("first"))
    with pytest.raises(StreamError, match="let only one run at a time write the table"):
        commit_full(anywhere.path, anywhere.owner, second.close(), commit("second"))
    second.discard()
    assert sorted(anywhere.read()) == list(range(30))


def test_the_second_of_two_may_bring_more(anywhere: Deals, small_parts: None) -> None:
    first = begun(anywhere, "first")
    second = taken_over(anywhere, "second")
    second.add(rows([99]), [(29, 99)])
    commit_full(anywhere.path, anywhere.owner, first.close(), commit("first"))
    commit_full(anywhere.path, anywhere.owner, second.close(), commit("second"))
    assert sorted(anywhere.read()) == [*range(30), 99]


def test_a_read_can_be_taken_over_again_and_again(anywhere: Deals, small_parts: None) -> None:
    begun(anywhere, "r1")
    for number in range(2, 5):
        staging = taken_over(anywhere, f"r{number}")
        staging.add(rows(range(number * 10 + 10, number * 10 + 20)), [(number * 10 + 9, number * 10 + 19)])
        staging.leave()
    last = taken_over(anywhere, "r5")
    commit_full(anywhere.path, anywhere.owner, last.close(), commit("r5"))
    assert sorted(anywhere.read()) == list(range(60))
    assert resumable(anywhere.path, FACTS, SCHEMA, datetime.now(UTC)) is None


def test_rows_in_no_part_are_taken_over(anywhere: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("b24lake.lake.staging.fewest", lambda _: 10)
    begun(anywhere, "r1")
    taken_over(anywhere, "r2")
    (earlier,) = (one for one in unfinished(anywhere.path).values() if one.facts)
    assert (earlier.run_id, earlier.rows, earlier.closed) == ("r2", 30, ((-1, 29),))
    last = taken_over(anywhere, "r3")
    commit_full(anywhere.path, anywhere.owner, last.close(), commit("r3"))
    assert sorted(anywhere.read()) == list(range(30))
    assert STAGING not in anywhere.files()


def test_a_part_that_somebody_removed_is_missed(anywhere: Deals, small_parts: None) -> None:
    anywhere.full(rows(range(5)))
    read = staged(anywhere, "r1", rows(range(30)))
    (anywhere.path / read.parts[-1].path).unlink()
    with pytest.raises(StreamError):
        commit_full(anywhere.path, anywhere.owner, read, commit("r1"))
    assert sorted(anywhere.read()) == list(range(5))


def test_what_another_machine_may_be_writing_is_spared(far_lake: Lake, small_parts: None) -> None:
    deals = Deals(far_lake.path)
    begun(deals, "alive")
    assert sweep(deals.path, older_than=dead_before(deals.path, datetime.now(UTC))) == ()
    assert len(unfinished(deals.path)["alive"].parts) == 3
    assert sweep(deals.path, older_than=dead_before(deals.path, NOW + KEPT + timedelta(minutes=10))) == ("alive",)
    assert deals.files() == set()


def test_what_a_commit_may_need_that_was_not_answered_is_spared(far_lake: Lake) -> None:
    deals = Deals(far_lake.path)
    staging = begun(deals, "r1")
    read = staging.close()
    staging.discard()
    assert commit_full(deals.path, deals.owner, read, commit("r1")).rows == 30
    assert resumable(deals.path, FACTS, SCHEMA, datetime.now(UTC)) is None

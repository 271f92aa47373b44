"""Small files become larger ones when it pays."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from lake_rows import Deals, rows

from b24lake.errors import UsageError
from b24lake.lake.catalog import opened
from b24lake.lake.compacting import FEWEST, Compaction, compact, planned, worth
from b24lake.lake.versions import history

MB = 1024 * 1024


@pytest.mark.parametrize(
    ("sizes", "into"),
    [
        ([], None),
        ([MB // 10] * (FEWEST - 1), None),
        ([MB // 10] * FEWEST, 1),
        ([16 * MB] * 500, None),
        ([8 * MB] * 500, None),
        ([16 * MB] * 500 + [MB // 10] * 30, 1),
        ([7 * MB] * 100, None),  # hardly fewer afterwards
        ([MB] * 100, 13),
        ([2 * MB] * 100, 25),
        ([3 * MB] * 100, None),
    ],
)
def test_a_compaction_pays_for_many_small_files_that_become_few(sizes: list[int], into: int | None) -> None:
    found = worth(sizes, 16 * MB)
    assert (found.into if found else None) == into


def grown(deals: Deals) -> None:
    """A table of many merges, each of which has left a file of its own."""
    deals.full(rows(range(1, 101)), mark=1)
    for number in range(FEWEST):
        begin = 101 + 10 * number
        deals.merge(rows(range(begin, begin + 10), run=number), mark=2 + number)


def ranges(deals: Deals) -> list[tuple[int, int]]:
    files = pa.table(deals.delta().get_add_actions(flatten=True)).select(["min.ID", "max.ID"]).to_pylist()
    return sorted((each["min.ID"], each["max.ID"]) for each in files)


def test_a_compaction_changes_no_row_no_bookmark_and_no_owner(deals: Deals) -> None:
    grown(deals)
    before, properties, files = deals.read(), deals.delta().metadata().configuration, len(ranges(deals))
    table = opened(deals.path)
    plan = planned(deals.path, table)
    assert plan is not None
    version = compact(deals.path, table, plan, "run-9")
    assert len(ranges(deals)) <= plan.into + 1 < files
    assert deals.read() == before
    assert deals.delta().metadata().configuration == properties
    assert deals.delta().transaction_version("b24lake/time/asked") == 1 + FEWEST
    newest = history(deals.path, opened(deals.path))[0]
    assert (newest.version, newest.did, newest.operation, newest.run_id) == (version, "compaction", "OPTIMIZE", "run-9")
    assert planned(deals.path, opened(deals.path)) is None


def test_files_still_say_which_keys_they_hold(deals: Deals) -> None:
    grown(deals)
    table = opened(deals.path)
    compact(deals.path, table, planned(deals.path, table) or Compaction(0, 0, 0, 8 * MB), "run-9")
    found = ranges(deals)
    assert found[0][0] == 1
    assert found[-1][1] == 100 + 10 * FEWEST
    assert all(low <= high for low, high in found)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(found))


def test_a_merge_after_it_finds_its_rows(deals: Deals) -> None:
    grown(deals)
    table = opened(deals.path)
    compact(deals.path, table, planned(deals.path, table) or Compaction(0, 0, 0, 8 * MB), "run-9")
    counts = deals.merge(rows([5, 200, 9999], title="new"), mark=99)
    assert (counts.inserted, counts.updated) == (1, 2)
    assert deals.read()[200]["TITLE"] == "new 200"
    assert counts.version == deals.delta().version()


def test_a_read_that_is_to_be_gone_on_with_comes_first(deals: Deals) -> None:
    grown(deals)
    deals.stage(rows([1]))
    assert planned(deals.path, opened(deals.path)) is None


def test_a_table_of_another_program_is_left_alone(deals: Deals) -> None:
    path = deals.lake / "trusted" / "report"
    for _ in range(3):
        write_deltalake(str(path), pa.table({"a": [1]}), mode="append")
    with pytest.raises(UsageError, match="was not made by b24lake"):
        compact(path, opened(path), Compaction(3, 1, 100, 8 * MB), "run-9")
    assert opened(path).version() == 2

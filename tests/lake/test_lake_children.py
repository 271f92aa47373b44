"""Rows of records that were read as a whole: what did not come again goes, in the merge that brings the others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from lake_rows import NOON, SCHEMA, STAMP, Deals, rows, with_columns

from b24lake.lake import merging
from b24lake.lake.children import Replaced
from b24lake.lake.keys import Policy
from b24lake.lake.merging import commit_merge
from b24lake.lake.table import Counts, bookmark

WITH_OWNER = with_columns(pa.field("OWNER", pa.int64()), base=SCHEMA)


def children(owners: dict[int, int], **more: Any) -> pa.Table:
    """Rows by key -> the record each belongs to."""
    table = rows(list(owners), schema=WITH_OWNER, OWNER=None, **more)
    at = table.schema.get_field_index("OWNER")
    return table.set_column(at, table.schema.field(at), pa.array(list(owners.values()), pa.int64()))


def replace(
    deals: Deals, records: list[int], *read: pa.Table, mark: int | None = None, policy: Policy = "remove"
) -> Counts:
    staged = deals.stage(*read, spool=True, schema=WITH_OWNER)
    replaced = Replaced("OWNER", pa.array(records, pa.int64()), policy, NOON + timedelta(hours=9))
    return commit_merge(deals.path, deals.owner, staged, deals.commit(mark), replaced=replaced)


def owners(deals: Deals) -> dict[int, int]:
    return {key: row["OWNER"] for key, row in deals.read().items()}


@pytest.fixture
def table(deals: Deals) -> Deals:
    deals.full(children({11: 1, 12: 1, 13: 1, 21: 2, 22: 2, 31: 3}), mark=1)
    return deals


def test_rows_of_the_records_that_did_not_come_again_go_in_one_version(table: Deals) -> None:
    before = table.delta().version()
    counts = replace(table, [1, 2], children({11: 1, 14: 1, 21: 2}, run=1), children({22: 2}, title="new"), mark=2)
    assert (counts.rows, counts.inserted, counts.updated, counts.deleted) == (4, 1, 1, 2)
    assert owners(table) == {11: 1, 14: 1, 21: 2, 22: 2, 31: 3}
    assert counts.version == table.delta().version() == before + 1
    assert bookmark(table.path, "time", "asked") == 2


def test_records_without_rows_lose_all_of_theirs(table: Deals) -> None:
    counts = replace(table, [1, 3, 9], mark=2)
    assert (counts.rows, counts.deleted) == (0, 4)
    assert owners(table) == {21: 2, 22: 2}
    assert bookmark(table.path, "time", "asked") == 2


def test_nothing_new_writes_no_version(table: Deals) -> None:
    before = table.delta().version()
    assert replace(table, [2, 9], children({21: 2, 22: 2}, run=3), mark=2).version is None
    assert replace(table, [], mark=3).version is None
    assert replace(table, [9], mark=3).version is None
    assert table.delta().version() == before


def test_a_row_that_moved_to_another_record_stays(table: Deals) -> None:
    counts = replace(table, [1, 2], children({11: 1, 12: 2, 13: 1, 21: 2, 22: 2}))
    assert (counts.updated, counts.deleted) == (1, 0)
    assert owners(table)[12] == 2


def test_rows_that_go_are_marked_where_that_is_the_policy(table: Deals) -> None:
    counts = replace(table, [1], children({11: 1, 12: 1}, run=1), policy="mark")
    assert (counts.inserted, counts.updated, counts.deleted) == (0, 0, 1)
    assert [change.column for change in counts.changes] == ["_deleted_at"]
    marked = {key: row["_deleted_at"] for key, row in table.read().items() if row["_deleted_at"]}
    assert marked == {13: NOON + timedelta(hours=9)}
    assert replace(table, [1], children({11: 1, 12: 1}, run=2), policy="mark").version is None
    assert replace(table, [1], children({11: 1, 12: 1, 13: 1}, run=2), policy="mark").updated == 1
    assert table.read()[13]["_deleted_at"] is None
    assert table.read()[13]["TITLE"] == "deal 13"


def test_rows_that_go_are_kept_where_that_is_the_policy(table: Deals) -> None:
    assert replace(table, [1], policy="keep").version is None
    assert len(owners(table)) == 6


def test_large_reads_take_rows_away_with_their_last_piece(table: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "CHUNK_ROWS", 1)
    counts = replace(table, [1, 2], children({11: 1, 15: 1}), children({21: 2}), mark=2)
    assert (counts.inserted, counts.deleted) == (1, 3)
    assert owners(table) == {11: 1, 15: 1, 21: 2, 31: 3}
    assert bookmark(table.path, "time", "asked") == 2


def test_a_table_of_many_files_loses_only_what_it_should(deals: Deals) -> None:
    many = [children({key: key % 50 for key in range(start, start + 500)}) for start in range(0, 5000, 500)]
    deals.full(*many, mark=1)
    counts = replace(deals, list(range(0, 50, 2)), children({key: key % 50 for key in range(0, 5000, 4)}, run=1))
    assert counts.deleted == 5000 // 2 - len([key for key in range(0, 5000, 4) if key % 50 % 2 == 0])
    kept = {key: key % 50 for key in range(5000) if key % 50 % 2 or key % 4 == 0}
    assert owners(deals) == kept


def test_a_column_of_times_is_left_alone(table: Deals) -> None:
    replace(table, [1], children({11: 1}, run=5))
    assert table.read()[11]["_synced_at"] == NOON
    assert pa.schema(table.delta().schema()).field("_synced_at").type == STAMP

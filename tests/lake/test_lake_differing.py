"""Full reads of small tables: rows that do not differ keep their time, and where nothing differs nothing is written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from lake_rows import NOON, SCHEMA, Deals, rows, with_columns

from b24lake.lake.columns import UNDECLARED, note
from b24lake.lake.differing import different
from b24lake.lake.table import Owner, bookmark

HOUR = timedelta(hours=1)
CITY = pa.field("CITY", pa.string())
WIDE = with_columns(CITY)
MAP = pa.map_(pa.string(), pa.string())
STRUCT = pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])


def hours(deals: Deals) -> dict[Any, int]:
    """Key -> the run whose time the row has."""
    return {key: (row["_synced_at"] - NOON) // HOUR for key, row in deals.read().items()}


def one(key: int, *, run: int, **more: Any) -> pa.Table:
    return rows([key], run=run, **more)


SAME = [  # what the second read does besides bringing the same rows
    {},
    {"mark": None},
    {"policy": "keep"},
    {"mark": 9},
]


@pytest.mark.parametrize("more", SAME)
def test_a_read_in_which_nothing_differs_writes_nothing(deals: Deals, more: dict[str, Any]) -> None:
    deals.full(rows(range(50)), mark=7)
    version, files = deals.delta().version(), deals.files()
    counts = deals.full(rows(list(reversed(range(50))), run=1), **more)
    assert (counts.rows, counts.inserted, counts.updated, counts.deleted) == (50, 0, 0, 0)
    assert (counts.version, deals.delta().version(), deals.files()) == (None, version, files)
    assert bookmark(deals.path, "time", "asked") == 7


def test_an_empty_table_stays_as_it_is(deals: Deals) -> None:
    deals.full(schema=SCHEMA)
    assert deals.full(schema=SCHEMA).version is None


def test_unchanged_rows_keep_their_time(deals: Deals) -> None:
    deals.full(rows(range(1, 5)))
    counts = deals.full(rows([4, 3, 9], run=1), one(2, run=1, title="new"))
    assert (counts.inserted, counts.updated, counts.deleted, counts.carried) == (1, 1, 1, 0)
    assert hours(deals) == {2: 1, 3: 0, 4: 0, 9: 1}
    assert deals.delta().history(1)[0]["b24lake.rows_updated"] == "1"
    assert not (deals.path / "_staging").exists()
    assert not [name for name in deals.files() if name.startswith("part-run-2-0")]
    assert deals.full(rows([2], run=2, title="new"), rows([3, 4, 9], run=2)).version is None


CHANGED = [
    {"title": "other"},
    {"SUM": 11},
    {"SUM": None},
    {"PHONE": [{"ID": "1", "VALUE": "+8"}]},
    {"PHONE": []},
    {"PHONE": None},
    {"CHANGED": NOON + HOUR},
    {"_misfits": [("SUM", "a lot")]},
]


@pytest.mark.parametrize("more", CHANGED)
def test_a_row_in_which_anything_differs_is_changed(deals: Deals, more: dict[str, Any]) -> None:
    deals.full(rows([1, 2]))
    for run, there in ((1, more), (2, {})):
        counts = deals.full(one(1, run=run), one(2, run=run, **there))
        assert (counts.updated, counts.version is None) == (1, False)
        assert hours(deals) == {1: 0, 2: run}


PAIRS: list[tuple[pa.DataType, Any, Any, bool]] = [
    (pa.string(), None, None, False),
    (pa.string(), None, "", True),
    (pa.float64(), float("nan"), float("nan"), False),
    (pa.float64(), float("nan"), 1.0, True),
    (pa.float64(), None, float("nan"), True),
    (pa.binary(), b"a", b"a", False),
    (pa.list_(pa.string()), ["a", None], ["a", None], False),
    (pa.list_(pa.string()), ["a", "b"], ["b", "a"], True),
    (pa.list_(pa.string()), [], None, True),
    (MAP, [("a", "1"), ("b", None)], [("b", None), ("a", "1")], False),
    (MAP, [("a", "1")], [("a", "2")], True),
    (STRUCT, {"a": 1, "b": ["x"]}, {"a": 1, "b": ["x"]}, False),
    (STRUCT, {"a": 1, "b": ["x"]}, {"a": 1, "b": None}, True),
    (STRUCT, None, {"a": None, "b": None}, True),
]


@pytest.mark.parametrize(("kind", "before", "after", "expected"), PAIRS)
def test_values_are_compared_by_value(kind: pa.DataType, before: Any, after: Any, *, expected: bool) -> None:
    # The filler differs, so that the quick look at whole pieces does not decide.
    old, new = pa.chunked_array([pa.array([before, None], kind)]), pa.chunked_array([pa.array([after, None], kind)])
    assert different(old, new).to_pylist() == [expected, False]
    assert different(new, old).to_pylist() == [expected, False]


def test_new_and_vanished_columns_change_the_rows_that_have_values_there(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    counts = deals.full(rows([1, 2], run=1, schema=WIDE, CITY=None))
    assert (counts.updated, counts.version is not None, hours(deals)) == (0, True, {1: 0, 2: 0})
    counts = deals.full(one(1, run=2, schema=WIDE, CITY=None), one(2, run=2, schema=WIDE, CITY="Perm"))
    assert (counts.updated, hours(deals)) == (1, {1: 0, 2: 2})
    counts = deals.full(rows([1, 2], run=3))
    assert (counts.updated, hours(deals)) == (1, {1: 0, 2: 3})
    assert deals.full(rows([1, 2], run=4)).version is None


COLUMNS: list[tuple[pa.Field, dict[str, Any], int]] = [  # a column as it becomes, its values, rows that differ then
    (pa.field("TITLE", pa.string(), metadata={"comment": "Name of the deal"}), {}, 0),
    (pa.field("SUM", pa.decimal128(38, 9)), {}, 0),
    (pa.field("SUM", pa.string()), {"SUM": "10"}, 2),
    (pa.field("PHONE", pa.int64()), {"PHONE": None}, 2),
]


@pytest.mark.parametrize(("column", "more", "updated"), COLUMNS)
def test_changed_columns_are_a_version_of_their_own(
    deals: Deals, column: pa.Field, more: dict[str, Any], updated: int
) -> None:
    deals.full(rows([1, 2]))
    there = with_columns(column)
    counts = deals.full(rows([1, 2], run=1, schema=there, **more))
    assert (counts.updated, counts.version is not None) == (updated, True)
    assert deals.full(rows([1, 2], run=2, schema=there, **more)).version is None


def test_a_bookmark_that_is_missing_or_reset_is_written(deals: Deals) -> None:
    deals.full(rows([1]))
    counts = deals.full(rows([1], run=1), mark=5)
    assert (counts.version is not None, counts.updated, hours(deals)) == (True, 0, {1: 0})
    deals.merge(rows([1], run=2, schema=with_columns(pa.field("TITLE", pa.list_(pa.string()))), TITLE=["x"]), mark=6)
    assert bookmark(deals.path, "time", "asked") == 0
    deals.full(rows([1], run=3), mark=8)
    assert bookmark(deals.path, "time", "asked") == 8


def test_a_value_that_goes_with_its_side_column_is_a_change_of_its_row(deals: Deals) -> None:
    deals.full(rows([1, 2], TITLE=None))
    deals.merge(rows([1], run=1, schema=with_columns(pa.field("TITLE", pa.list_(pa.string()))), TITLE=["x"]))
    counts = deals.full(rows([1, 2], run=2, schema=with_columns(without=("TITLE",))))
    assert [(each.kind, each.column) for each in counts.changes] == [("removed", "TITLE"), ("dropped", "TITLE__ARRAY")]
    assert (counts.updated, hours(deals)) == (1, {1: 2, 2: 0})


def test_the_bookmark_of_a_log_without_rows_is_written_once(deals: Deals) -> None:
    deals.full(schema=SCHEMA, mark=0)
    assert deals.full(schema=SCHEMA, mark=0).version is None
    assert deals.full(schema=SCHEMA, mark=7).version is not None
    assert bookmark(deals.path, "time", "asked") == 7


def test_rows_that_go_are_a_change_by_the_policy_only(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    assert deals.full(one(1, run=1), policy="keep").version is None
    assert deals.full(one(1, run=2), policy="mark", at=NOON + 2 * HOUR).deleted == 1
    assert hours(deals) == {1: 0, 2: 2}
    assert deals.full(one(1, run=3), policy="mark").version is None
    counts = deals.full(rows([1, 2], run=4), policy="mark")
    assert (counts.inserted, counts.updated, hours(deals)) == (1, 0, {1: 0, 2: 4})
    deals.full(one(1, run=5), policy="mark")
    assert deals.full(one(1, run=6)).version is not None
    assert hours(deals) == {1: 0}


def test_a_changed_owner_is_written_all_the_same(deals: Deals) -> None:
    deals.full(rows([1]))
    deals.owner = Owner("portal-1", "deals", "acme.bitrix24.com", "bitrix24")
    assert deals.full(one(1, run=1)).version is None
    assert deals.delta().metadata().configuration["b24lake.source"] == "acme.bitrix24.com"
    assert hours(deals) == {1: 0}


def test_large_tables_are_not_compared(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("b24lake.lake.differing.COMPARED_ROWS", 2)
    deals.full(rows([1, 2, 3]))
    counts = deals.full(rows([1, 2], run=1))
    assert (counts.updated, counts.version is not None, hours(deals)) == (None, True, {1: 1, 2: 1})


def test_rows_are_paired_across_many_parts(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("staging.GROUP_ROWS", "replacing.GROUP_ROWS", "differing.PIECE_ROWS"):
        monkeypatch.setattr(f"b24lake.lake.{name}", 64)
    monkeypatch.setattr("b24lake.lake.staging.PART_BYTES", 1)
    deals.full(*[rows(range(start, start + 130)) for start in range(0, 1_300, 130)])
    deals.merge(rows(range(100, 150), run=1, title="merged"))
    wanted = [rows(range(900, 1_400), run=2), rows(range(100, 160), run=2, title="merged")]
    counts = deals.full(*wanted, policy="keep")
    assert (counts.inserted, counts.updated, counts.carried) == (100, 10, 1_300 - 400 - 60)
    expected = dict.fromkeys(range(1300), 0) | dict.fromkeys(range(100, 150), 1)
    expected |= dict.fromkeys([*range(150, 160), *range(1300, 1400)], 2)
    assert hours(deals) == expected
    assert deals.full(*wanted, policy="keep").version is None


# --- columns that only rows brought -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["full", "merge"])
def test_a_column_that_only_rows_brought_comes_and_goes_untold(deals: Deals, way: str) -> None:
    first = deals.full(rows([1]), one(2, run=0, schema=WIDE, CITY="Perm"))
    assert (first.changes, note(_city(deals), UNDECLARED)) == ((), "true")
    assert deals.full(rows([1]), one(2, run=1, schema=WIDE, CITY="Perm")).version is None
    write = getattr(deals, way)
    for run, batches in ((2, [rows([1, 2], run=2)]), (3, [rows([1]), one(2, run=3, schema=WIDE, CITY="Omsk")])):
        counts = write(*batches)
        assert (counts.changes, counts.version is not None, hours(deals)) == ((), True, {1: 0, 2: run})
    assert note(_city(deals), UNDECLARED) == "true"


@pytest.mark.parametrize("way", ["full", "merge"])
def test_a_column_that_is_declared_at_last_loses_its_note(deals: Deals, way: str) -> None:
    deals.full(rows([1]))
    grown = getattr(deals, way)(rows([1]), one(2, run=1, schema=WIDE, CITY="Perm"))
    assert [(each.kind, each.column) for each in grown.changes] == [("added", "CITY")]
    assert note(_city(deals), UNDECLARED) == "true"
    getattr(deals, way)(rows([1, 2], run=2, schema=WIDE, CITY="Perm"))
    assert note(_city(deals), UNDECLARED) == ""
    assert [each.kind for each in getattr(deals, way)(rows([1, 2], run=3)).changes] == ["removed"]


def _city(deals: Deals) -> pa.Field:
    return pa.schema(deals.delta().schema()).field("CITY")

"""The first look into a table: rows without a query, and how much of each column is filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from lake_rows import SCHEMA, Deals, rows, with_columns

from b24lake.errors import NotFoundError, StreamError
from b24lake.lake.columns import comment
from b24lake.lake.peeking import filled, peek
from running import Lake


def test_some_rows_come_with_all_columns_and_their_comments(deals: Deals) -> None:
    deals.full(rows(range(1, 100)))
    found = peek(deals.lake, "raw.bitrix24_deals", limit=7)
    held = deals.read()
    assert [held[row["ID"]] for row in found.to_pylist()] == found.to_pylist()
    assert (found.num_rows, found.schema.names, comment(found.schema.field("TITLE"))) == (7, SCHEMA.names, "Title")


def test_a_limit_goes_on_into_the_next_file_and_stops_with_the_last(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    deals.merge(rows([3, 4]))
    assert len(deals.delta().file_uris()) == 2
    assert sorted(peek(deals.lake, "bitrix24_deals", limit=3).column("ID").to_pylist())[-1] >= 3
    assert sorted(peek(deals.lake, "bitrix24_deals", limit=50).column("ID").to_pylist()) == [1, 2, 3, 4]


def test_a_table_without_rows_has_columns(deals: Deals) -> None:
    deals.full(rows([]))
    found = peek(deals.lake, "bitrix24_deals", limit=5)
    assert (found.num_rows, found.schema.names) == (0, SCHEMA.names)
    assert filled(deals.path, deals.delta()) == {}


def test_a_column_that_came_later_is_null_in_earlier_files(deals: Deals) -> None:
    deals.full(rows([1, 2, 3]))
    deals.merge(rows([4], schema=with_columns(pa.field("CITY", pa.string())), CITY="Perm"))
    found = {row["ID"]: row["CITY"] for row in peek(deals.lake, "bitrix24_deals", limit=9).to_pylist()}
    assert found == {1: None, 2: None, 3: None, 4: "Perm"}
    assert filled(deals.path, deals.delta())["CITY"] == 0.25


def test_shares_are_counted_of_everything_but_lists_and_maps(deals: Deals) -> None:
    some = rows([1, 2, 3, 4])
    titles = pa.array(["a", None, None, ""], pa.string())
    deals.full(some.set_column(1, SCHEMA.field("TITLE"), titles))
    assert filled(deals.path, deals.delta()) == {"ID": 1, "TITLE": 0.5, "SUM": 1, "CHANGED": 1, "_synced_at": 1}


def test_partitions_are_left_to_a_query(tmp_path: Path) -> None:
    told = pa.table({"kind": ["a", "b"], "n": [1, 2]})
    write_deltalake(str(tmp_path / "raw" / "parted"), told, partition_by=["kind"])
    found = peek(tmp_path, "raw.parted", limit=10)
    assert sorted(found.to_pylist(), key=lambda row: int(row["n"])) == told.to_pylist()


@pytest.mark.parametrize("names", [["select", "order"], ["a b", 'q"uote'], ["имя", "x.y"]])
def test_columns_may_be_called_anything(tmp_path: Path, names: list[str]) -> None:
    values: list[Any] = [["1", None], ["2", "3"]]
    write_deltalake(str(tmp_path / "raw" / "odd"), pa.table(dict(zip(names, values, strict=True))))
    assert peek(tmp_path, "raw.odd", limit=2).to_pylist() == [
        {names[0]: "1", names[1]: "2"},
        {names[0]: None, names[1]: "3"},
    ]


def test_files_that_are_gone_are_told(deals: Deals) -> None:
    deals.full(rows([1]))
    for file in deals.path.glob("part-*.parquet"):
        file.unlink()
    with pytest.raises(StreamError, match="bitrix24_deals"):
        peek(deals.lake, "bitrix24_deals", limit=1)
    with pytest.raises(StreamError, match="bitrix24_deals"):
        filled(deals.path, deals.delta())


def test_a_file_that_is_damaged_is_told(deals: Deals) -> None:
    deals.full(rows([1]))
    for file in deals.path.glob("part-*.parquet"):
        file.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(StreamError, match="bitrix24_deals"):
        peek(deals.lake, "bitrix24_deals", limit=1)


def test_a_table_that_is_not_there_is_told(deals: Deals) -> None:
    with pytest.raises(NotFoundError):
        peek(deals.lake, "raw.bitrix24_deals", limit=1)


def test_a_table_in_an_object_store_is_looked_into(far_lake: Lake) -> None:
    deals = Deals(far_lake.path)
    deals.full(rows([1, 2, 3]))
    assert peek(deals.lake, "bitrix24_deals", limit=2).column("ID").to_pylist() == [1, 2]
    from b24lake.lake.catalog import opened

    assert filled(deals.path, opened(deals.path))["ID"] == 1

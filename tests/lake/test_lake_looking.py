"""Rows of one version, read right from its files."""

from __future__ import annotations

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from lake_rows import Deals, rows, with_columns

from b24lake.errors import StreamError
from b24lake.lake.looking import rows_then
from running import Lake


def test_a_version_is_shown_as_it_was(deals: Deals) -> None:
    deals.full(rows([1, 2, 3]))
    last = with_columns(pa.field("SUM", pa.string()), pa.field("CITY", pa.string(), metadata={"comment": "Town"}))
    deals.full(rows([1, 2, 4], title="new", SUM="much", CITY="Perm", schema=last))
    then, now = rows_then(deals.path, 0, 50), rows_then(deals.path, deals.delta().version(), 50)
    assert then.schema.names == [name for name in now.schema.names if name != "CITY"]
    assert (then.schema.field("SUM").type, now.schema.field("SUM").type) == (pa.decimal128(18, 2), pa.string())
    assert now.schema.field("CITY").metadata[b"comment"] == b"Town"
    assert then.column("TITLE").to_pylist() == ["deal 1", "deal 2", "deal 3"]
    assert sorted(now.column("ID").to_pylist()) == [1, 2, 4]


def test_only_so_many_rows_are_read_from_as_many_files_as_it_takes(deals: Deals) -> None:
    deals.full(*(rows([number]) for number in range(1, 4)))
    for number in range(4, 8):
        deals.merge(rows([number]))
    version = deals.delta().version()
    assert len(deals.delta().file_uris()) > 2
    found = [len(rows_then(deals.path, version, count)) for count in (0, 1, 5, 50)]
    assert found == [0, 1, 5, 7]


def test_files_without_a_column_of_their_version_show_nothing_there(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    deals.merge(rows([9], schema=with_columns(pa.field("CITY", pa.string())), CITY="Perm"))
    found = {row["ID"]: row["CITY"] for row in rows_then(deals.path, deals.delta().version(), 50).to_pylist()}
    assert found == {1: None, 2: None, 9: "Perm"}


def test_a_version_without_rows_has_its_columns(deals: Deals) -> None:
    deals.full(rows([]))
    found = rows_then(deals.path, 0, 50)
    assert (found.num_rows, "TITLE" in found.schema.names) == (0, True)


def test_a_file_that_is_gone_is_told(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    for file in deals.path.glob("*.parquet"):
        file.unlink()
    with pytest.raises(StreamError, match="raw/bitrix24_deals"):
        rows_then(deals.path, 0, 50)


def test_a_partitioned_table_of_another_program_is_left_to_a_query(deals: Deals) -> None:
    path = deals.lake / "raw" / "theirs"
    data = pa.table({"id": [1, 2, 3], "day": ["a", "a", "b"]})
    write_deltalake(str(path), data, partition_by=["day"])
    write_deltalake(str(path), data.slice(0, 1), mode="overwrite")
    found = rows_then(path, 0, 50)
    assert sorted(map(tuple, (row.values() for row in found.select(["id", "day"]).to_pylist()))) == [
        (1, "a"),
        (2, "a"),
        (3, "b"),
    ]
    assert DeltaTable(str(path)).version() == 1


def test_in_an_object_store_as_well(far_lake: Lake) -> None:
    deals = Deals(far_lake.path)
    deals.full(rows([1, 2]))
    deals.full(rows([1, 2, 3]))
    assert rows_then(deals.path, 0, 50).column("ID").to_pylist() == [1, 2]

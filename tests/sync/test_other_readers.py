"""Other programs read in the tables of a lake what `b24lake query` reads: the same rows, of the same types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from test_every_stream import CHANGES

from b24lake.lake.catalog import tables
from b24lake.lake.columns import plain, type_name
from b24lake.lake.query import query
from b24lake.sandbox import Portal, Server, Settings
from running import SMALL, Lake

OPTIONS: dict[str, Any] = {"deal_contacts": True, "deal_comments": True, "deal_products": True}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Every stream of a portal, after a full run and one that brought changes."""
    folder = tmp_path_factory.mktemp("readers")
    lake = Lake(folder / "lake", folder / "home")
    portal = Portal(Settings(**SMALL, threshold=0))
    with Server(portal) as server:
        assert lake.sync(server.url, **OPTIONS).status == "success"
        for table, fields in CHANGES.items():
            ids = list(portal.tables[table].ids)
            portal.change(table, ids[len(ids) // 2], fields)
            portal.create(table, fields)
        assert lake.sync(server.url, deleted="mark", **OPTIONS).status == "success"
    yield lake


def by_polars(folder: str) -> pa.Table:
    return polars.read_delta(folder).to_arrow()


def by_duckdb(folder: str) -> pa.Table:
    files = DeltaTable(folder).file_uris()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        sql = "SELECT * FROM read_parquet(?, union_by_name = true)"
        return connection.sql(sql, params=[files]).to_arrow_table()


def by_pyarrow(folder: str) -> pa.Table:
    return DeltaTable(folder).to_pyarrow_dataset().to_table()


READERS: list[Callable[[str], pa.Table]] = [by_polars, by_duckdb, by_pyarrow]


def kind(column: pa.DataType) -> str:
    """A type by the name that Delta has for it; to Polars a map is a list of keys and values."""
    return type_name(plain(column)).replace("map<string,string>", "array<struct<key:string,value:string>>")


def value(one: Any) -> Any:
    """A value without what only tells readers apart: maps as pairs, times in one zone, decimals without zeros."""
    if isinstance(one, dict):
        return tuple(one.values()) if one.keys() == {"key", "value"} else {k: value(v) for k, v in one.items()}
    if isinstance(one, list):
        return [value(each) for each in one]
    return one.normalize() if isinstance(one, Decimal) else one


def rows(table: pa.Table) -> list[dict[str, Any]]:
    found = [{name: value(one) for name, one in row.items()} for row in table.to_pylist()]
    return sorted(found, key=lambda row: str(row.get("ID", row.get("id"))))


@pytest.mark.parametrize("reader", READERS)
def test_every_table_is_read_alike(lake: Lake, reader: Callable[[str], pa.Table]) -> None:
    found = tables(lake.path)
    assert len(found) == 22 + 2 * 3
    assert sum(each.rows or 0 for each in found) > 2_000
    for info in found:
        ours = query(lake.path, f'SELECT * FROM {info.layer}."{info.name}"')
        if reader is by_duckdb and not info.bytes:
            assert ours.num_rows == 0  # it reads files, and there are none
            continue
        theirs = reader(str(lake.path / info.layer / info.name)).select(ours.column_names)
        assert [kind(each.type) for each in theirs.schema] == [kind(each.type) for each in ours.schema], info.name
        assert ours.num_rows == info.rows
        assert rows(theirs) == rows(ours), info.name


def test_a_version_is_read_alike(lake: Lake) -> None:
    folder = Path(lake.table("deals"))
    newest = DeltaTable(folder).version()
    for version in (0, newest - 1, newest):
        ours = query(lake.path, f"SELECT * FROM raw.bitrix24_deals VERSION AS OF {version}")
        theirs = polars.read_delta(str(folder), version=version).to_arrow().select(ours.column_names)
        assert rows(theirs) == rows(ours)

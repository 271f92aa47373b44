"""Errors at their place in the SQL, tables that do not exist for everybody, and queries that others end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from lake_rows import Deals, rows

from b24lake.errors import SqlError, UsageError
from b24lake.lake.guarded import STOPPED, guarded_beginning, guarded_query, guarded_stream
from b24lake.lake.pointing import pointed
from b24lake.lake.query import query

ENDLESS = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) AS n FROM t"


@pytest.fixture
def lake(deals: Deals) -> Path:
    deals.full(rows([1, 2, 3]))
    return deals.lake


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("SELECT ID, nope FROM raw.bitrix24_deals", "nope"),
        ("SELECT d.nope FROM raw.bitrix24_deals d", "d.nope"),
        ('SELECT "my col" FROM raw.bitrix24_deals', '"my col"'),
        ("SELECT 'nope', nope FROM raw.bitrix24_deals -- nope", "nope"),
        ("SELECT foo(ID) FROM raw.bitrix24_deals", "foo"),
        ("SELECT ID, count(*) FROM raw.bitrix24_deals", "ID"),
        ("SELECT a,, b FROM raw.bitrix24_deals", ","),
        ("SELECT * FROM raw.bitrix24_deal AS d", "raw.bitrix24_deal"),
        ("SELECT * FROM deals", "deals"),
        ("SELECT * FROM read_csv('x')", "read_csv"),
        ("DROP TABLE x", "DROP"),
        ("SELECT 1; SELECT 2", "SELECT 2"),
        ("EXPLAIN SELECT /* ( */ ID\nFROM raw.bitrix24_deals GROUP TITLE", "TITLE"),
        ("EXPLAIN SELECT 1 AS a, 'abc", "'abc"),
        ("SELECT ID::foo FROM raw.bitrix24_deals", "foo"),
        ("SELECT CAST('x' AS INT)", "'x'"),
        ("SELECT ID FROM raw.bitrix24_deals VERSION AS OF 9", "raw.bitrix24_deals"),
        ("SELECT ID + TITLE FROM raw.bitrix24_deals", None),
    ],
)
def test_an_error_is_found_in_the_text(lake: Path, sql: str, place: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        query(lake, sql)
    at = pointed(sql, caught.value)
    assert (sql[at[0] : at[1]] if at else None) == place
    if sql.startswith("SELECT ID, nope"):
        assert at == (11, 15)


def test_the_place_comes_out_of_the_child(lake: Path) -> None:
    with pytest.raises(SqlError, match="No field named nope") as caught:
        guarded_query(lake, "SELECT nope FROM raw.bitrix24_deals", limit=1)
    assert caught.value.at == (7, 11)


def test_other_tables_do_not_exist_for_whoever_may_read_some(lake: Path) -> None:
    sql = "SELECT count(*) AS n FROM raw.bitrix24_deals"
    found = guarded_beginning(lake, sql, limit=5, most_bytes=1_000_000, seconds=60, limits=(("raw.bitrix24_deals",),))
    assert found.rows.to_pylist() == [{"n": 3}]
    for name in ("raw.bitrix24_deals", "raw.bitrix24_deals_readable", "raw.nothing"):
        with pytest.raises(SqlError, match=r"There is no table .* that may be read here") as caught:
            guarded_beginning(lake, f"SELECT 1 FROM {name}", limit=5, most_bytes=1, seconds=60, limits=(("raw.x",),))
        assert caught.value.at == (14, 14 + len(name))


def test_another_thread_ends_a_query(lake: Path) -> None:
    stop = threading.Event()
    threading.Timer(1, stop.set).start()
    with (
        pytest.raises(UsageError, match="was stopped") as caught,
        guarded_stream(lake, ENDLESS, limit=None, seconds=120, stop=stop) as answer,
    ):
        list(answer.batches)
    assert caught.value.code == STOPPED

"""SQL over a lake, and readers of other makers."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import polars
import pyarrow as pa
import pytest
from lake_rows import NOON, SCHEMA, STAMP, Deals, rows, with_columns

from b24lake.errors import UsageError
from b24lake.lake.query import query, stream


@pytest.fixture
def lake(deals: Deals) -> Path:
    deals.full(rows([1, 2, 3]))
    deals.merge(rows([4], title="new", run=1, _misfits=[("SUM", "a lot")]))
    return deals.lake


ANSWERS = [
    ("SELECT count(*) AS n FROM raw.bitrix24_deals", [{"n": 4}]),
    ('select COUNT("ID") AS n from "raw"."bitrix24_deals" t where t."ID" > 2;', [{"n": 2}]),
    ("WITH d AS (SELECT ID FROM raw.bitrix24_deals) SELECT max(ID) AS top FROM d", [{"top": 4}]),
    ("WITH raw AS (SELECT 1 AS a) SELECT a FROM raw", [{"a": 1}]),
    ("SELECT sum(SUM) AS total FROM raw.bitrix24_deals", [{"total": Decimal("40.00")}]),
    ("SELECT PHONE[1]['VALUE'] AS p FROM raw.bitrix24_deals WHERE ID = 4", [{"p": "+7"}]),
    ("SELECT _misfits['SUM'] AS m FROM raw.bitrix24_deals WHERE ID = 4", [{"m": "a lot"}]),
    ("SELECT a.ID FROM raw.bitrix24_deals a JOIN raw.bitrix24_deals b ON a.ID = b.ID + 3", [{"ID": 4}]),
    ("SELECT 'a;b -- c /* d */' AS text -- the end; DROP TABLE x", [{"text": "a;b -- c /* d */"}]),
    ("/* first */ SELECT /* COPY */ 1 AS a /* ; */ ;", [{"a": 1}]),
    ("(SELECT 1 AS a)", [{"a": 1}]),
    ("SELECT 1 AS a UNION ALL SELECT 1", [{"a": 1}, {"a": 1}]),
    ("SELECT value FROM generate_series(1, 2)", [{"value": 1}, {"value": 2}]),
    ("SELECT DATE '2026-01-02' AS d", [{"d": date(2026, 1, 2)}]),
]


@pytest.mark.parametrize(("sql", "expected"), ANSWERS)
def test_a_select_is_answered(lake: Path, sql: str, expected: list[dict[str, object]]) -> None:
    assert query(lake, sql).to_pylist() == expected


REFUSED = [
    "",
    ";",
    "-- nothing",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE raw.bitrix24_deals",
    "COPY (SELECT 1) TO '{file}'",
    "EXPLAIN COPY (SELECT 1) TO '{file}'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
    "EXPLAIN ANALYZE VERBOSE COPY raw.bitrix24_deals TO '{file}'",
    "/* x */ COPY (SELECT 1) TO '{file}'",
    "SELECT 1 INTO other FROM raw.bitrix24_deals",
    "INSERT INTO raw.bitrix24_deals SELECT * FROM raw.bitrix24_deals",
    "WITH a AS (SELECT 1) INSERT INTO raw.bitrix24_deals SELECT * FROM a",
    "UPDATE raw.bitrix24_deals SET SUM = 0",
    "DELETE FROM raw.bitrix24_deals",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{file}'",
    "CREATE VIEW v AS SELECT 1",
    "DROP TABLE raw.bitrix24_deals",
    "SET datafusion.execution.batch_size = 1",
    "SHOW TABLES",
    "DESCRIBE raw.bitrix24_deals",
    "VALUES (1)",
    "TABLE raw.bitrix24_deals",
    "SELECT * FROM '{file}'",
    'SELECT * FROM "{file}"',
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM raw.bitrix24_deals, read_parquet('{file}')",
    "SELECT * FROM bitrix24_deals",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM datafusion.raw.bitrix24_deals",
    "SELECT * FROM table_0",
    "SELECT (SELECT max(ID) FROM table_0) FROM raw.bitrix24_deals",
    "SELECT * FROM raw.bitrix24_leads",
    "SELECT id FROM raw.bitrix24_deals",
    "SELECT 1 / 0",
    "SELECT nonsense(1)",
    "SELECT FROM WHERE",
    "SELECT 'open",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_everything_else_is_refused_and_writes_nothing(lake: Path, tmp_path: Path, sql: str) -> None:
    before = {each for each in tmp_path.rglob("*") if each.is_file()}
    with pytest.raises(UsageError):
        query(lake, sql.format(file=tmp_path / "out.csv"))
    assert {each for each in tmp_path.rglob("*") if each.is_file()} == before


ADVICE = [
    ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "nested too deeply"),
    ("SELECT * FROM raw.bitrix24_deal", r"did you mean raw\.bitrix24_deals"),
    ("SELECT * FROM bitrix24_deals", "tables are called LAYER.TABLE"),
    ("SELECT id FROM raw.bitrix24_deals", "No field named id.*case-sensitive"),
    ("SELECT 1; SELECT 2", "exactly one statement"),
    ("DROP TABLE raw.bitrix24_deals", "begins with 'DROP'"),
]


@pytest.mark.parametrize(("sql", "advice"), ADVICE)
def test_a_refusal_says_what_to_do(lake: Path, sql: str, advice: str) -> None:
    with pytest.raises(UsageError, match=advice):
        query(lake, sql)


def test_explain_shows_the_plan(lake: Path) -> None:
    assert query(lake, "EXPLAIN SELECT ID FROM raw.bitrix24_deals").column_names == ["plan_type", "plan"]
    assert query(lake, "explain analyze verbose select 1").num_rows > 0


def test_values_come_out_as_they_went_in(lake: Path) -> None:
    found = query(lake, "SELECT * FROM raw.bitrix24_deals ORDER BY ID DESC")
    assert [each.type for each in found.schema] == [each.type for each in SCHEMA]
    assert found.to_pylist()[0] == {
        "ID": 4,
        "TITLE": "new 4",
        "SUM": Decimal("10.00"),
        "PHONE": [{"ID": "1", "VALUE": "+7"}],
        "CHANGED": NOON,
        "_synced_at": NOON.replace(hour=13),
        "_misfits": [("SUM", "a lot")],
    }


@pytest.mark.parametrize(("limit", "count"), [(None, 4), (0, 0), (1, 1), (4, 4), (5, 4)])
def test_a_limit_cuts_the_answer(lake: Path, limit: int | None, count: int) -> None:
    found = query(lake, "SELECT ID FROM raw.bitrix24_deals ORDER BY ID", limit=limit)
    assert found.column("ID").to_pylist() == [1, 2, 3, 4][:count]


def test_a_limit_stops_the_engine(lake: Path) -> None:
    assert query(lake, "SELECT value FROM generate_series(1, 1000000000000)", limit=3).num_rows == 3


def test_an_answer_can_be_read_batch_by_batch(lake: Path) -> None:
    reader = stream(lake, "SELECT ID FROM raw.bitrix24_deals WHERE ID > 100")
    assert (reader.schema.names, reader.read_all().num_rows) == (["ID"], 0)


# --- readers of other makers ------------------------------------------------------------------------------------------


def test_polars_and_duckdb_read_the_same(deals: Deals) -> None:
    deals.full(rows(range(1, 101)), rows([101], schema=with_columns(pa.field("CITY", pa.string())), CITY="Perm"))
    deals.merge(rows([5], title="edited", run=1))
    deals.full(rows(range(3, 50)), policy="mark", at=NOON)
    deals.merge(rows([7, 200], title="edited", run=2))
    expected = {key: row["TITLE"] for key, row in deals.read().items()}
    assert len(expected) == 102

    frame = polars.read_delta(str(deals.path))
    assert dict(frame.select("ID", "TITLE").iter_rows()) == expected
    assert frame.schema["CHANGED"] == polars.Datetime("us", "UTC")
    assert frame.filter(polars.col("_deleted_at").is_not_null()).height == 101 - 47

    files = deals.delta().file_uris()
    with duckdb.connect() as connection:
        found = connection.execute("SELECT ID, TITLE FROM read_parquet(?, union_by_name=true)", [files]).fetchall()
    assert dict(found) == expected


def test_a_filter_on_the_replication_key_skips_nothing_it_needs(deals: Deals) -> None:
    late = NOON.replace(microsecond=999_999)
    deals.full(rows([1]), rows([2], CHANGED=late))
    sql = f"SELECT ID FROM raw.bitrix24_deals WHERE CHANGED >= TIMESTAMP '{late:%Y-%m-%dT%H:%M:%S.%fZ}'"
    assert query(deals.lake, sql).column("ID").to_pylist() == [2]
    scan = polars.scan_delta(str(deals.path)).filter(polars.col("CHANGED") >= late)
    assert scan.collect()["ID"].to_list() == [2]
    assert pa.schema(deals.delta().schema()).field("CHANGED").type == STAMP

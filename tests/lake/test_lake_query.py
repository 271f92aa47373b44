"""SQL over a lake, and readers of other makers."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from datetime import time as dtime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pytest
from lake_rows import NOON, SCHEMA, STAMP, Deals, rows, with_columns

from b24lake.errors import UsageError
from b24lake.lake.columns import comment, type_name
from b24lake.lake.query import Means, query, stream


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


# --- time travel ------------------------------------------------------------------------------------------------------


@pytest.fixture
def travelled(deals: Deals) -> Deals:
    """Version 1 has rows 1 to 3 (its log begins with 0), the newest has another title of 2, and row 4."""
    deals.full(rows([1, 2, 3]))
    deals.merge(rows([2], title="new", run=1), rows([4], run=1))
    return deals


def counts(deals: Deals, sql: str) -> list[Any]:
    first, last = 1, deals.delta().version()
    text = sql.format(first=first, last=last, deals="raw.bitrix24_deals")
    return [tuple(row.values()) for row in query(deals.lake, text).to_pylist()]


TRAVELS = [
    ("SELECT count(*) FROM {deals} VERSION AS OF {first}", [(3,)]),
    ("SELECT count(*) FROM {deals} FOR VERSION AS OF '{last}'", [(4,)]),
    ("SELECT count(*) FROM {deals} TIMESTAMP AS OF '2100-01-01'", [(4,)]),
    ("SELECT count(*) FROM {deals}", [(4,)]),
    (
        "SELECT d.ID, d.TITLE, t.TITLE FROM {deals} VERSION AS OF {first} AS t"
        " JOIN {deals} d ON t.ID = d.ID WHERE t.TITLE <> d.TITLE",
        [(2, "new 2", "deal 2")],
    ),
    ("SELECT bitrix24_deals.ID FROM {deals} VERSION AS OF {first} WHERE bitrix24_deals.ID = 3", [(3,)]),
    ("SELECT ID FROM {deals} EXCEPT SELECT ID FROM {deals} VERSION AS OF {first}", [(4,)]),
    (
        "WITH old AS (SELECT * FROM {deals} VERSION AS OF {first}) SELECT count(*), max(TITLE) FROM old",
        [(3, "deal 3")],
    ),
    ("SELECT (SELECT count(*) FROM {deals} VERSION AS OF {first}) - (SELECT count(*) FROM {deals}) AS n", [(-1,)]),
]


@pytest.mark.parametrize(("sql", "expected"), TRAVELS)
def test_a_table_can_be_read_as_of_a_version_or_time(travelled: Deals, sql: str, expected: list[Any]) -> None:
    assert counts(travelled, sql) == expected


def test_a_version_keeps_its_own_columns(deals: Deals) -> None:
    deals.full(rows([1]))
    before = deals.delta().version()
    deals.merge(rows([1], schema=with_columns(pa.field("CITY", pa.string())), CITY="Perm"))
    assert "CITY" in query(deals.lake, "SELECT * FROM raw.bitrix24_deals").column_names
    old = query(deals.lake, f"SELECT * FROM raw.bitrix24_deals VERSION AS OF {before}")
    assert "CITY" not in old.column_names


NO_VERSIONS = [
    ("VERSION AS OF 99", r"There is no version 99 of raw\.bitrix24_deals.*its log knows 0 to .*b24lake history"),
    ("TIMESTAMP AS OF '2001-01-01'", r"does not go back to 2001-01-01.*it begins with version 0"),
    ("TIMESTAMP AS OF 'yesterday'", r"'yesterday' is neither a version nor a time"),
]


@pytest.mark.parametrize(("at", "said"), NO_VERSIONS)
def test_a_version_that_is_not_there(travelled: Deals, at: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        query(travelled.lake, f"SELECT * FROM raw.bitrix24_deals {at}")


def test_a_version_whose_files_are_gone(travelled: Deals) -> None:
    sql = "SELECT ID FROM raw.bitrix24_deals VERSION AS OF 1"
    assert query(travelled.lake, sql).num_rows == 3
    table = travelled.delta()
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(UsageError, match=r"Version 1 of .* cannot be read any more.*choose one that can"):
        query(travelled.lake, sql)


# --- answers ----------------------------------------------------------------------------------------------------------

VALUES = [
    ("TIMESTAMP '2026-01-02T03:04:05Z'", pa.timestamp("us"), datetime(2026, 1, 2, 3, 4, 5)),
    ("make_array(TIMESTAMP '2026-01-02T00:00:00Z')", pa.list_(pa.timestamp("us")), [datetime(2026, 1, 2)]),
    ("TIMESTAMP '2026-01-02' - TIMESTAMP '2026-01-01'", pa.duration("us"), timedelta(days=1)),
    ("TIME '10:00:00'", pa.time64("us"), dtime(10)),
    ("CAST(1.5 AS DECIMAL(38, 9))", pa.decimal128(38, 9), Decimal("1.5")),
    ("arrow_cast('a', 'Dictionary(Int32, Utf8)')", pa.string(), "a"),
    ("arrow_cast('a', 'LargeUtf8')", pa.string(), "a"),
    ("map(['a'], [1])", pa.map_(pa.string(), pa.int64()), [("a", 1)]),
    ("NULL", pa.null(), None),
]


@pytest.mark.parametrize(("sql", "kind", "value"), VALUES)
def test_types_are_those_that_every_reader_knows(lake: Path, sql: str, kind: pa.DataType, value: object) -> None:
    found = query(lake, f"SELECT {sql} AS a")
    assert type_name(found.schema.field("a").type) == type_name(kind)
    assert found.to_pylist() == [{"a": value}]


def test_the_present_moment_has_no_nanoseconds(lake: Path) -> None:
    assert query(lake, "SELECT now() AS a, make_array(now()) AS b").to_pylist()[0]["a"].microsecond >= 0


def test_columns_of_one_name_are_told_apart(lake: Path) -> None:
    sql = 'SELECT a.ID, b.ID, 3 AS "ID_2", c.ID FROM {0} a JOIN {0} b ON a.ID = b.ID JOIN {0} c ON a.ID = c.ID LIMIT 1'
    found = query(lake, sql.format("raw.bitrix24_deals"))
    assert found.column_names == ["ID", "ID_3", "ID_2", "ID_4"]
    assert found.column("ID_3").to_pylist() == found.column("ID").to_pylist()


def test_columns_keep_their_comments(lake: Path) -> None:
    found = query(lake, "SELECT TITLE, ID + 1 AS n FROM raw.bitrix24_deals")
    assert [comment(each) for each in found.schema] == ["Title", ""]


def test_too_little_memory_is_told_and_frugality_helps(deals: Deals, tmp_path: Path) -> None:
    deals.full(rows(range(6_000)))
    many = "SELECT ID, repeat(TITLE, 50) AS t FROM raw.bitrix24_deals, generate_series(0, 49)"
    sql = f"SELECT ID FROM ({many}) ORDER BY t"
    with pytest.raises(MemoryError, match="Resources exhausted"):
        stream(deals.lake, sql, Means(64 * 1024**2, tmp_path)).read_all()
    assert stream(deals.lake, sql, Means(64 * 1024**2, tmp_path, frugal=True)).read_all().num_rows == 300_000

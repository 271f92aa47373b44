"""What reaches the engine: one SELECT over tables of the lake, whatever is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from lake_rows import Deals, rows

from b24lake.errors import UsageError
from b24lake.lake.query import query
from b24lake.lake.statement import Source, parsed

DEALS = Source("raw", "deals")


@pytest.mark.parametrize(
    ("sql", "sent", "sources"),
    [
        ("SELECT 1 -- ; DROP TABLE x", "SELECT 1", []),
        ("select * from raw.deals ;", "select * from raw.deals", [DEALS]),
        (
            "SELECT * FROM raw.deals VERSION AS OF 3 AS d JOIN raw.deals t ON t.ID = d.ID",
            'SELECT * FROM "raw AS OF 3".deals AS d JOIN raw.deals t ON t.ID = d.ID',
            [DEALS, Source("raw", "deals", "3")],
        ),
        (
            'SELECT * FROM "raw"."my deals" FOR timestamp as\nof /* then */ \'2026-11-20 12:00\' d',
            'SELECT * FROM "raw AS OF 2026-11-20 12:00"."my deals" d',
            [Source("raw", "my deals", "2026-11-20 12:00")],
        ),
        (
            "SELECT (SELECT max(ID) FROM raw.deals VERSION AS OF 1), (SELECT 1 FROM raw.deals FOR VERSION AS OF '2')",
            'SELECT (SELECT max(ID) FROM "raw AS OF 1".deals), (SELECT 1 FROM "raw AS OF 2".deals)',
            [Source("raw", "deals", "1"), Source("raw", "deals", "2")],
        ),
        (
            "EXPLAIN SELECT 1 FROM raw.deals FOR SYSTEM_TIME AS OF '2026-11-20' WHERE version = 1",
            'EXPLAIN SELECT 1 FROM "raw AS OF 2026-11-20".deals WHERE version = 1',
            [Source("raw", "deals", "2026-11-20")],
        ),
        (
            "SELECT 'VERSION AS OF 3' AS version, TIMESTAMP '2026-01-01' AS \"AS OF\" FROM raw.deals version",
            "SELECT 'VERSION AS OF 3' AS version, TIMESTAMP '2026-01-01' AS \"AS OF\" FROM raw.deals version",
            [DEALS],
        ),
    ],
)
def test_a_statement_is_taken_apart(sql: str, sent: str, sources: list[Source]) -> None:
    found = parsed(sql)
    assert (found.sql.strip(), found.sources) == (sent, frozenset(sources))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM raw.deals VERSION AS OF",
        "SELECT * FROM raw.deals VERSION AS OF -1",
        "SELECT * FROM raw.deals VERSION AS OF 1.5",
        "SELECT * FROM raw.deals VERSION AS OF 'new'",
        "SELECT * FROM raw.deals VERSION AS OF $1",
        "SELECT * FROM raw.deals VERSION AS OF 1 VERSION AS OF 2",
        "SELECT * FROM raw.deals VERSION AS OF (SELECT 1)",
        "SELECT * FROM raw.deals TIMESTAMP AS OF 3",
        "SELECT * FROM raw.deals TIMESTAMP AS OF now()",
        "SELECT * FROM raw.deals TIMESTAMP AS OF now() - INTERVAL '1 day'",
        "SELECT * FROM raw.deals FOR VERSION BETWEEN 1 AND 2",
        "SELECT * FROM generate_series(1, 2) VERSION AS OF 1",
        "WITH d AS (SELECT 1) SELECT * FROM d VERSION AS OF 1",
        "SELECT * FROM deals VERSION AS OF 1",
        "SELECT * FROM raw.deals d VERSION AS OF 1",
    ],
)
def test_as_of_needs_a_number_or_a_time(sql: str) -> None:
    with pytest.raises(UsageError):
        parsed(sql)


def test_an_alias_at_the_wrong_place_is_told() -> None:
    with pytest.raises(UsageError, match="the alias comes last"):
        parsed("SELECT * FROM raw.deals d VERSION AS OF 1")


# --- doors ------------------------------------------------------------------------------------------------------------

FILES = [
    "{file}",
    "file:" + "//{file}",
    "s3://bucket/secret.parquet",
    "https://example.com/secret.csv",
    "../secret.csv",
]
ATTACKS = [
    # tables that are files or addresses
    *[f"SELECT * FROM '{name}'" for name in FILES],
    *[f'SELECT * FROM "{name}"' for name in FILES],
    *[f'SELECT * FROM "{name}".secret' for name in FILES],
    *[f'SELECT * FROM raw."{name}"' for name in FILES],
    *[f'SELECT * FROM raw."{name}" VERSION AS OF 0' for name in FILES],
    "SELECT * FROM raw.deals VERSION AS OF 0, '{file}'",
    "SELECT * FROM secret.csv",
    'SELECT * FROM "..".".."',
    # functions that read
    *[
        f"SELECT * FROM {name}('{{file}}')"
        for name in (
            "read_csv",
            "read_parquet",
            "read_json",
            "read_text",
            "read_blob",
            "glob",
            "parquet_scan",
            "parquet_metadata",
            "delta_scan",
            "sniff_csv",
            "pg_read_file",
            "pg_ls_dir",
            "lo_import",
            "dblink",
            "query_table",
        )
    ],
    "SELECT * FROM metadata_cache()",
    "SELECT pg_read_file('{file}')",
    "SELECT (SELECT * FROM read_csv('{file}'))",
    "SELECT * FROM raw.deals WHERE ID IN (SELECT ID FROM read_csv('{file}'))",
    "SELECT * FROM raw.deals d, LATERAL read_csv('{file}') x",
    "WITH f AS (SELECT * FROM read_csv('{file}')) SELECT * FROM f",
    # what the engine knows of itself
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.df_settings",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM datafusion.public.table_0",
    "SELECT current_setting('datafusion.catalog.location')",
    "SHOW ALL",
    "SHOW FUNCTIONS",
    # writing, settings, more than one statement
    "COPY raw.deals TO '{file}'",
    "COPY (SELECT 1) TO '{file}' STORED AS CSV",
    "COPY raw.deals FROM '{file}'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
    "EXPLAIN EXPLAIN SELECT 1",
    "EXPLAIN (ANALYZE) SELECT 1",
    "EXPLAIN FORMAT TREE SELECT 1",
    "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{file}'",
    "EXPLAIN ANALYZE CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{file}'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW raw.deals AS SELECT 1",
    "CREATE DATABASE d",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
    "DROP VIEW raw.deals",
    "ALTER TABLE raw.deals ADD COLUMN x INT",
    "TRUNCATE TABLE raw.deals",
    "INSERT INTO raw.deals VALUES (1)",
    "INSERT OVERWRITE raw.deals SELECT 1",
    "MERGE INTO raw.deals USING raw.deals s ON true WHEN MATCHED THEN DELETE",
    "WITH d AS (DELETE FROM raw.deals RETURNING *) SELECT * FROM d",
    "WITH d AS (INSERT INTO raw.deals SELECT 1) SELECT 1",
    "SELECT * INTO t FROM raw.deals",
    "SELECT * FROM raw.deals INTO OUTFILE '{file}'",
    "SET datafusion.runtime.memory_limit = '100G'",
    "RESET datafusion.runtime.memory_limit",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "BEGIN",
    "START TRANSACTION",
    "CALL f()",
    "DO $$ BEGIN END $$",
    "LOAD '{file}'",
    "ATTACH '{file}'",
    "VACUUM raw.deals",
    "OPTIMIZE raw.deals",
    "USE raw",
    "DECLARE c CURSOR FOR SELECT 1",
    "ANALYZE raw.deals",
    "SELECT 1; COPY (SELECT 1) TO '{file}'",
    "SELECT 1;;COPY (SELECT 1) TO '{file}'",
    "SELECT '\\'; COPY (SELECT 1) TO ''{file}'' --'; COPY (SELECT 1) TO '{file}'",
    "SELECT $$a$$; COPY (SELECT 1) TO '{file}'",
    "SELECT 1 /* /* */ ; COPY (SELECT 1) TO '{file}' /* */ */ ; COPY (SELECT 1) TO '{file}'",
    "FROM raw.deals",
    "(COPY (SELECT 1) TO '{file}')",
    "((DROP TABLE raw.deals))",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake, in which there is raw.deals, and with a secret beside it."""
    folder = tmp_path_factory.mktemp("house")
    deals = Deals(folder / "lake")
    deals.full(rows([1]))
    deals.path.rename(deals.path.parent / "deals")
    (folder / "secret.csv").write_text("ID,TITLE\n1,secret\n")
    assert query(deals.lake, "SELECT ID FROM raw.deals").num_rows == 1
    return folder


@pytest.mark.parametrize("sql", ATTACKS)
def test_no_door_opens(house: Path, sql: str) -> None:
    before = {each: each.stat().st_mtime_ns for each in house.rglob("*")}
    with pytest.raises(UsageError):
        query(house / "lake", sql.replace("{file}", str(house / "secret.csv")))
    assert {each: each.stat().st_mtime_ns for each in house.rglob("*")} == before

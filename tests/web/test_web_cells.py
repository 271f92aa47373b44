"""Values as cells of a page, and snippets: pure."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from b24lake.lake.catalog import TableInfo
from b24lake.lake.place import ObjectPath, Place
from b24lake.web import cells
from b24lake.web.cells import Cell, cell, lines
from b24lake.web.snippets import select, snippets

SAO_PAULO = ZoneInfo("America/Sao_Paulo")

CELLS: list[tuple[Any, Cell]] = [
    (None, Cell(None)),
    ("", Cell("")),
    ("text", Cell("text")),
    ("a\nb", Cell("a b", "a\nb")),
    ("x" * 81, Cell("x" * 80 + " …", "x" * 81)),
    (True, Cell("true")),
    (-5, Cell("-5", number=True)),
    (0.1, Cell("0.1", number=True)),
    (Decimal("19000.500000000"), Cell("19000.5", number=True)),
    (Decimal("100"), Cell("100", number=True)),
    (Decimal("1E+3"), Cell("1000", number=True)),
    (date(2026, 8, 21), Cell("2026-08-21")),
    (datetime(2026, 8, 21, 12, tzinfo=UTC), Cell("2026-08-21 09:00:00")),
    (datetime(2026, 8, 21, 12), Cell("2026-08-21 12:00:00")),
    (b"\x00\xff", Cell("00ff")),
    ([1, None], Cell("[1,null]", "[\n  1,\n  null\n]")),
    ({"a": Decimal("1.50")}, Cell('{"a":1.5}', '{\n  "a": 1.5\n}')),
]


@pytest.mark.parametrize(("value", "wanted"), CELLS, ids=[repr(each[0])[:20] for each in CELLS])
def test_a_value_is_a_short_text_with_the_whole_behind_it(value: Any, wanted: Cell) -> None:
    assert cell(value, SAO_PAULO) == wanted


def test_a_page_holds_only_so_much_of_long_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "BUDGET", 1_000)
    long = pa.table({"a": ["x" * 800], "b": ["y" * 800], "c": ["z" * 800]})
    ((first, second, third),) = lines(long, SAO_PAULO)
    assert (len(first.whole), len(second.whole), len(third.whole)) == (800, 202, 2)


def test_rows_are_lines_of_cells() -> None:
    table = pa.table({"a": [1, 2], "m": pa.array([[("k", "v")], None], pa.map_(pa.string(), pa.string()))})
    assert [[each.text for each in line] for line in lines(table, SAO_PAULO)] == [["1", '{"k":"v"}'], ["2", None]]


def test_names_that_are_no_plain_words_are_quoted() -> None:
    info = TableInfo("raw", "my-table")
    assert select(info, ["ID", "order", 'a"b', "x y", "more"]) == (
        'SELECT ID, "order", "a""b", "x y"\nFROM raw."my-table"\nLIMIT 100'
    )
    assert select(info, [], readable=True) == 'SELECT *\nFROM raw."my-table_readable"\nLIMIT 100'


@pytest.mark.parametrize(
    ("path", "duckdb", "spark", "command"),
    [
        (
            Path("/data/it's/raw/deals"),
            "INSTALL delta; LOAD delta;\nSELECT * FROM delta_scan('/data/it''s/raw/deals') LIMIT 100;",
            'load("/data/it\'s/raw/deals")',
            "--lake '/data/it'\"'\"'s'",
        ),
        (
            ObjectPath("company", "lake/raw/deals"),
            "INSTALL delta; LOAD delta;\nCREATE SECRET (TYPE s3, PROVIDER credential_chain);\n"
            "SELECT * FROM delta_scan('s3://company/lake/raw/deals') LIMIT 100;",
            "load('s3a://company/lake/raw/deals')",
            "--lake s3://company/lake",
        ),
    ],
)
def test_snippets_lead_to_the_table_wherever_it_is(path: Place, duckdb: str, spark: str, command: str) -> None:
    found = {one.key: one.code for one in snippets(TableInfo("raw", "deals"), ["ID"], path)}
    assert found["duckdb"] == duckdb
    assert spark in found["spark"]
    assert found["command"] == f"b24lake query 'SELECT ID FROM raw.deals LIMIT 100' {command}"
    assert "readable" not in found

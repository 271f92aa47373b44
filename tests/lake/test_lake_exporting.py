"""Rows as text and as files: what is read back is what was written."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lake_rows import NOON, SCHEMA, STAMP, rows

from b24lake.errors import StopError, UsageError
from b24lake.lake.columns import comment, type_name
from b24lake.lake.exporting import Form, form_of, new_file, write
from b24lake.lake.texts import lines_of_csv, lines_of_json

MONEY = pa.decimal128(38, 9)
PHONES = pa.list_(pa.struct([("ID", pa.string()), ("VALUE", pa.string())]))


def csv_of(*values: Any, kind: pa.DataType, **options: Any) -> list[str]:
    """The cells of one column as a reader of CSV finds them."""
    batch = pa.record_batch({"a": pa.array(values, kind), "b": pa.array([1] * len(values))})
    text = bytes(lines_of_csv(batch, **options)).decode()
    return [line[0] for line in csv.reader(io.StringIO(text, newline=""))]


def json_of(*values: Any, kind: pa.DataType) -> list[str]:
    """The values of one column as their JSON."""
    text = bytes(lines_of_json(pa.record_batch({"a": pa.array(values, kind)}))).decode()
    return [line.removeprefix('{"a":').removesuffix("}") for line in text.splitlines()]


# type, value -> in CSV, in JSON
TEXTS: list[tuple[pa.DataType, Any, str, str]] = [
    (pa.int64(), -5, "-5", "-5"),
    (pa.uint64(), 2**64 - 1, "18446744073709551615", "18446744073709551615"),
    (pa.bool_(), True, "true", "true"),
    (pa.float64(), 0.1, "0.1", "0.1"),
    (pa.float64(), 1e300, "1e+300", "1e+300"),
    (pa.float64(), math.nan, "nan", "null"),
    (pa.float64(), math.inf, "inf", "null"),
    (MONEY, Decimal("19000.5"), "19000.5", "19000.5"),
    (MONEY, Decimal("-0.000000001"), "-0.000000001", "-0.000000001"),
    (MONEY, Decimal("0"), "0", "0"),
    (MONEY, Decimal("100"), "100", "100"),
    (MONEY, Decimal("123456789.123456"), "123456789.123456", "123456789.123456"),
    (MONEY, Decimal("1234567890123456789.5"), "1234567890123456789.5", '"1234567890123456789.5"'),
    (pa.decimal256(50, 2), Decimal("1.20"), "1.2", "1.2"),
    (pa.date32(), date(2026, 8, 21), "2026-08-21", '"2026-08-21"'),
    (STAMP, NOON, "2026-08-21T12:00:00Z", '"2026-08-21T12:00:00Z"'),
    (STAMP, NOON.replace(microsecond=5), "2026-08-21T12:00:00.000005Z", '"2026-08-21T12:00:00.000005Z"'),
    (pa.timestamp("us", "Europe/Berlin"), NOON, "2026-08-21T12:00:00Z", '"2026-08-21T12:00:00Z"'),
    (pa.timestamp("us"), NOON.replace(tzinfo=None), "2026-08-21T12:00:00", '"2026-08-21T12:00:00"'),
    (pa.string(), "", "", '""'),
    (pa.string(), 'a "b", c', 'a "b", c', '"a \\"b\\", c"'),
    (pa.string(), "a\r\nb", "a\r\nb", '"a\\r\\nb"'),
    (pa.string(), "имя 🙂", "имя 🙂", '"имя 🙂"'),
    (pa.string(), "\x00\x1f\\", "\x00\x1f\\", '"\\u0000\\u001f\\\\"'),
    (pa.string(), "=1+1", "=1+1", '"=1+1"'),
    (pa.binary(), b"\x00\xff", "00ff", '"00ff"'),
    (pa.list_(pa.int64()), [1, None], "[1,null]", "[1,null]"),
    (pa.list_(pa.int64()), [], "[]", "[]"),
    (pa.list_(MONEY), [Decimal("1.50")], "[1.5]", "[1.5]"),
    (pa.list_(STAMP), [NOON], '["2026-08-21T12:00:00Z"]', '["2026-08-21T12:00:00Z"]'),
    (PHONES, [{"ID": "1", "VALUE": 'a"'}], '[{"ID":"1","VALUE":"a\\""}]', '[{"ID":"1","VALUE":"a\\""}]'),
    (pa.map_(pa.string(), pa.string()), [("SUM", "a lot")], '{"SUM":"a lot"}', '{"SUM":"a lot"}'),
    (pa.duration("us"), timedelta(seconds=90), "0:01:30", '"0:01:30"'),
    (pa.null(), None, "", "null"),
]


@pytest.mark.parametrize(("kind", "value", "in_csv", "in_json"), TEXTS)
def test_a_value_as_text(kind: pa.DataType, value: Any, in_csv: str, in_json: str) -> None:
    assert csv_of(value, kind=kind) == [in_csv]
    assert json_of(value, kind=kind) == [in_json]
    json.loads(in_json)
    assert (csv_of(None, kind=kind), json_of(None, kind=kind)) == ([""], ["null"])


def test_csv_tells_null_from_an_empty_text() -> None:
    batch = pa.record_batch({"a": pa.array(["", None, "x"]), "b": pa.array(["y", "", None])})
    assert bytes(lines_of_csv(batch)) == b'"",y\n,""\nx,\n'


FORMULAS = [("=1+1", "'=1+1"), ("+7 999", "'+7 999"), ("-5", "'-5"), ("@a", "'@a"), ("\tx", "'\tx"), ("a=b", "a=b")]


@pytest.mark.parametrize(("text", "escaped"), FORMULAS)
def test_formulas_are_escaped_where_that_is_asked(text: str, escaped: str) -> None:
    assert csv_of(text, kind=pa.string(), escape_formulas=True) == [escaped]
    assert csv_of(text, kind=pa.string()) == [text]
    assert csv_of(-5, kind=pa.int64(), escape_formulas=True) == ["-5"]


TABLES = st.lists(
    st.fixed_dictionaries(
        {
            "t": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
            "d": st.none() | st.decimals(-(10**20), 10**20, places=9),
            "s": st.none()
            | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda at: at.replace(tzinfo=UTC)),
            "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "l": st.none()
            | st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=3),
        }
    ),
    min_size=1,
    max_size=10,
)
KINDS = pa.schema([("t", pa.string()), ("d", MONEY), ("s", STAMP), ("f", pa.float64()), ("l", pa.list_(pa.string()))])


@given(TABLES)
def test_text_can_be_read_back(table: list[dict[str, Any]]) -> None:
    batch = pa.RecordBatch.from_pylist(table, KINDS)
    found = [json.loads(line) for line in bytes(lines_of_json(batch)).decode().split("\n")[:-1]]
    lines = list(csv.reader(io.StringIO(bytes(lines_of_csv(batch)).decode(), newline="")))
    assert len(found) == len(lines) == len(table)
    for row, read, (text, number, moment, real, items) in zip(table, found, lines, strict=True):
        assert (read["t"], read["f"], read["l"]) == (row["t"], row["f"], row["l"])
        assert (text, float(real or 0), items) == (row["t"] or "", row["f"] or 0, "" if row["l"] is None else items)
        assert row["l"] is None or json.loads(items) == row["l"]
        for told, wanted, back in ((number, row["d"], Decimal), (moment, row["s"], datetime.fromisoformat)):
            assert (back(told) if told else None) == wanted
        assert (None if read["d"] is None else Decimal(str(read["d"]))) == row["d"]


# --- files ------------------------------------------------------------------------------------------------------------


def batches(*sizes: int) -> Iterator[pa.RecordBatch]:
    start = 0
    for size in sizes:
        yield from rows(range(start, start + size)).to_batches() or [SCHEMA.empty_table().to_batches()]
        start += size


def written(form: Form, *sizes: int) -> bytes:
    sink = io.BytesIO()
    told: list[int] = []
    assert write(sink, form, SCHEMA, batches(*sizes), told.append) == sum(sizes)
    assert told == sorted(told)
    return sink.getvalue()


@pytest.mark.parametrize("sizes", [(), (1,), (2, 3), (5000,), (1, 4000, 1)])
def test_every_format_holds_every_row_once(sizes: tuple[int, ...]) -> None:
    ids = list(range(sum(sizes)))
    assert [row["ID"] for row in json.loads(written(Form("json"), *sizes))] == ids
    assert [json.loads(line)["ID"] for line in written(Form("ndjson"), *sizes).splitlines()] == ids
    table = csv.DictReader(io.StringIO(written(Form("csv"), *sizes).decode(), newline=""))
    assert [int(row["ID"]) for row in table] == ids
    found = pq.read_table(io.BytesIO(written(Form("parquet"), *sizes)))
    assert found.column("ID").to_pylist() == ids
    assert [(each.name, type_name(each.type), comment(each), each.nullable) for each in found.schema] == [
        (each.name, type_name(each.type), comment(each), each.nullable) for each in SCHEMA
    ]


def test_parquet_is_written_in_groups_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("b24lake.lake.exporting._GROUP_ROWS", 10)
    found = pq.ParquetFile(io.BytesIO(written(Form("parquet"), *[5] * 7)))
    assert [found.metadata.row_group(number).num_rows for number in range(found.num_row_groups)] == [10, 10, 10, 5]


def test_parquet_says_which_type_it_does_not_have() -> None:
    kind = pa.month_day_nano_interval()
    batch = pa.record_batch({"a": pa.array([None], kind)})
    with pytest.raises(UsageError, match=r"Parquet has no type.*cast it in SQL"):
        write(io.BytesIO(), Form("parquet"), batch.schema, iter([batch]), lambda _: None)


def test_a_column_of_nothing_is_text_in_parquet() -> None:
    sink, batch = io.BytesIO(), pa.record_batch({"a": pa.nulls(2)})
    write(sink, Form("parquet"), batch.schema, iter([batch]), lambda _: None)
    assert pq.read_table(io.BytesIO(sink.getvalue())).schema.field("a").type == pa.string()


def test_compressed_text_and_the_mark_for_excel() -> None:
    plain = written(Form("csv"), 3)
    assert gzip.decompress(written(Form("csv", gzipped=True), 3)) == plain
    assert written(Form("csv", bom=True), 3) == b"\xef\xbb\xbf" + plain
    assert plain.startswith(b"ID,TITLE,SUM,PHONE,")


FORMS = [
    ("a.csv", None, Form("csv")),
    ("A.CSV.GZ", None, Form("csv", gzipped=True)),
    ("a.jsonl", None, Form("ndjson")),
    ("a.b.ndjson.gz", None, Form("ndjson", gzipped=True)),
    ("a.parquet", None, Form("parquet")),
    ("a.txt", "csv", Form("csv")),
    ("-", "json", Form("json")),
]


@pytest.mark.parametrize(("file", "wanted", "form"), FORMS)
def test_the_name_says_the_format(file: str, wanted: str | None, form: Form) -> None:
    assert form_of(file, wanted=wanted) == form


@pytest.mark.parametrize(
    ("file", "options", "said"),
    [
        ("a.xlsx", {}, "does not say which format"),
        ("csv", {}, "does not say which format"),
        ("-", {}, "with --format"),
        ("a.csv", {"wanted": "excel"}, "'excel' is not a format"),
        ("a.parquet.gz", {}, "compressed already"),
        ("a.json", {"bom": True}, "are for CSV"),
        ("a.parquet", {"escape_formulas": True}, "are for CSV"),
    ],
)
def test_a_format_that_is_none(file: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        form_of(file, **options)


def test_a_file_appears_when_all_is_written(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    with new_file(target, overwrite=False) as file:
        file.write(b"rows")
        assert not target.exists()
    assert target.read_bytes() == b"rows"
    plain = tmp_path / "plain"
    plain.touch()
    assert target.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError(28, "No space left on device"), UsageError("no")])
def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path: Path, fault: Any) -> None:
    target = tmp_path / "a.csv"
    target.write_text("before")
    expected = StopError if isinstance(fault, OSError) else type(fault) if isinstance(fault, Exception) else fault
    with pytest.raises(expected), new_file(target, overwrite=True) as file:
        file.write(b"half")
        raise fault
    assert (target.read_text(), list(tmp_path.iterdir())) == ("before", [target])


def test_a_file_that_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("before")
    with pytest.raises(UsageError, match=r"is there already.*--overwrite"), new_file(target, overwrite=False):
        pass
    with new_file(target, overwrite=True) as file:
        file.write(b"after")
    assert target.read_text() == "after"


def test_a_file_that_came_meanwhile_is_not_replaced_either(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    with pytest.raises(UsageError, match="is there already"), new_file(target, overwrite=False):
        target.write_text("somebody else's")
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_text() == "somebody else's"


@pytest.mark.parametrize(("name", "said"), [("nowhere/a.csv", "no folder"), ("folder", "is not a file")])
def test_a_target_that_cannot_be(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=said), new_file(tmp_path / name, overwrite=True):
        pass


def test_zones_do_not_matter() -> None:
    berlin = timezone(timedelta(hours=2))
    assert csv_of(NOON.astimezone(berlin), kind=STAMP) == ["2026-08-21T12:00:00Z"]

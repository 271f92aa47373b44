"""Names of types, and rows brought into a table's shape."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from b24lake.lake.columns import conform, only_last, plain, quoted, stored, type_name, with_notes

PHONES = pa.list_(pa.struct([("ID", pa.string()), ("VALUE", pa.string())]))
MISFITS = pa.map_(pa.string(), pa.string())
NOON, MIDNIGHT = datetime(2026, 8, 21, 12, tzinfo=UTC), datetime(2026, 8, 21, tzinfo=UTC)
SAID = ("2026-08-21 12:00:00.000000Z", "2026-08-21 00:00:00.000000Z")

TYPE_NAMES = [
    (pa.bool_(), "boolean"),
    (pa.int8(), "byte"),
    (pa.int16(), "short"),
    (pa.int32(), "integer"),
    (pa.int64(), "long"),
    (pa.float32(), "float"),
    (pa.float64(), "double"),
    (pa.decimal128(38, 9), "decimal(38,9)"),
    (pa.date32(), "date"),
    (pa.timestamp("us", "UTC"), "timestamp"),
    (pa.string(), "string"),
    (pa.binary(), "binary"),
    (PHONES, "array<struct<ID:string,VALUE:string>>"),
    (MISFITS, "map<string,string>"),
    (pa.month_day_nano_interval(), "month_day_nano_interval"),
]


@pytest.mark.parametrize(("kind", "name"), TYPE_NAMES)
def test_types_have_the_names_of_delta(kind: pa.DataType, name: str) -> None:
    assert type_name(kind) == name


STORED = [
    (pa.timestamp("ns"), pa.timestamp("us", "UTC")),
    (pa.timestamp("ms", "Asia/Tokyo"), pa.timestamp("us", "UTC")),
    (pa.null(), pa.string()),
    (pa.large_string(), pa.string()),
    (pa.dictionary(pa.int32(), pa.string()), pa.string()),
    (pa.large_list(pa.timestamp("s")), pa.list_(pa.timestamp("us", "UTC"))),
    (pa.map_(pa.string(), pa.large_binary()), pa.map_(pa.string(), pa.binary())),
    (PHONES, PHONES),
]


@pytest.mark.parametrize(("kind", "expected"), STORED)
def test_types_as_a_table_stores_them(kind: pa.DataType, expected: pa.DataType) -> None:
    assert stored(kind) == expected


def test_plain_types_have_neither_views_nor_nanoseconds() -> None:
    assert plain(pa.list_(pa.struct([("ID", pa.string_view()), ("B", pa.binary_view())]))) == pa.list_(
        pa.struct([("ID", pa.string()), ("B", pa.binary())])
    )
    assert plain(pa.timestamp("ns", "UTC")) == pa.timestamp("us", "UTC")
    assert plain(pa.list_(pa.time64("ns"))) == pa.list_(pa.time64("us"))
    assert [plain(kind) for kind in (pa.duration("ns"), pa.timestamp("ms"))] == [pa.duration("us"), pa.timestamp("ms")]


def test_notes_are_added_and_taken_away() -> None:
    field = with_notes(pa.field("A", pa.string(), metadata={"comment": "x"}), b24lake__removed="true")
    assert field.metadata == {b"b24lake.removed": b"true", b"comment": b"x"}
    assert not with_notes(field, b24lake__removed="", comment="").metadata


def test_quotes_are_doubled() -> None:
    assert quoted('a"b') == '"a""b"'


def test_rows_get_exactly_the_columns_of_the_schema() -> None:
    rows = pa.table({"b": [1], "EXTRA": [2], "A": ["x"]})
    schema = pa.schema([("A", pa.string()), ("B", pa.decimal128(10, 2)), ("C", PHONES)])
    assert conform(rows, schema, {"b": "B"}).to_pylist() == [{"A": "x", "B": Decimal("1.00"), "C": None}]


CASTS = [
    (pa.array([None, "7", "-8"]), pa.int64(), [None, 7, -8], None),
    (pa.array(["7", "seven", None]), pa.int64(), [7, None, None], [None, [("X", "seven")], None]),
    (pa.array([["a", "я"], None]), pa.string(), ['["a","я"]', None], None),
    (pa.array([["a"], None]), pa.int64(), [None, None], [[("X", '["a"]')], None]),
    (pa.array([["5"], ["a"]]), pa.list_(pa.int64()), [[5], None], [None, [("X", '["a"]')]]),
    (pa.array([5, 1, 0]), pa.bool_(), [None, True, False], [[("X", "5")], None, None]),
    (pa.array([True, False]), pa.int64(), [1, 0], None),
    (pa.array([True]), pa.date32(), [None], [[("X", "true")]]),
    (pa.array([5]), pa.timestamp("us", "UTC"), [None], [[("X", "5")]]),
    (pa.array([NOON, MIDNIGHT]), pa.int64(), [None, None], [[("X", SAID[0])], [("X", SAID[1])]]),
    (pa.array([NOON, MIDNIGHT]), pa.date32(), [None, MIDNIGHT.date()], [[("X", SAID[0])], None]),
    (pa.array([NOON]), pa.string(), [SAID[0]], None),
    (pa.array(["5", "2026-08-21"]), pa.date32(), [None, MIDNIGHT.date()], [[("X", "5")], None]),
    (pa.array([1.5, 2.0]), pa.int64(), [None, 2], [[("X", "1.5")], None]),
    (pa.array([12, 10**12]), pa.decimal128(10, 2), [Decimal("12.00"), None], [None, [("X", "1000000000000")]]),
    (pa.array([[1], [2, 3]]), pa.list_(pa.string()), [["1"], ["2", "3"]], None),
    (pa.array([0], pa.date32()), pa.timestamp("us", "UTC"), [datetime(1970, 1, 1, tzinfo=UTC)], None),
]


@pytest.mark.parametrize(("column", "kind", "values", "misfits"), CASTS)
def test_values_are_cast_and_what_does_not_fit_is_kept(
    column: pa.Array, kind: pa.DataType, values: list[object], misfits: list[object] | None
) -> None:
    rows = conform(pa.table({"X": column}), pa.schema([("X", kind), ("_misfits", MISFITS)]))
    assert rows.column("X").to_pylist() == values
    assert rows.column("_misfits").to_pylist() == (misfits or [None] * len(values))


def test_misfits_of_earlier_stay() -> None:
    rows = pa.table({"X": ["x", "1"], "_misfits": pa.array([[("A", "a")], [("B", "b")]], MISFITS)})
    held = conform(rows, pa.schema([("X", pa.int64()), ("_misfits", MISFITS)])).column("_misfits").to_pylist()
    assert held == [[("A", "a"), ("X", "x")], [("B", "b")]]


def test_of_rows_with_one_key_the_last_stays_in_its_place() -> None:
    rows = pa.table({"K": [3, 1, 3, 2, 1], "V": ["a", "b", "c", "d", "e"]})
    assert only_last(rows, "K").to_pylist() == [{"K": 3, "V": "c"}, {"K": 2, "V": "d"}, {"K": 1, "V": "e"}]
    assert only_last(rows.slice(0, 2), "K").equals(rows.slice(0, 2))

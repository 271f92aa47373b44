"""Columns of a lake table: the names of their types, and rows brought into a table's shape (pure)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

SYNCED_AT = "_synced_at"
MISFITS = "_misfits"
DELETED_AT = "_deleted_at"
SYSTEM_COLUMNS = (SYNCED_AT, MISFITS, DELETED_AT)
"""Columns that b24lake adds; always the last ones of a table, in this order."""

UNDECLARED = "b24lake.undeclared"
"""Metadata of a column that came with rows, not from the source's description: portals leave out empty keys."""

OWN, LABEL = "b24lake.own_comment", "b24lake.label"
"""Metadata of a column of which a person wrote something: "true", and the label that its source gives it."""

UTC_MICROS = pa.timestamp("us", tz="UTC")
DELETED_AT_FIELD = pa.field(
    DELETED_AT, UTC_MICROS, metadata={"comment": "When the row was first missing at its source"}
)

_UNCASTABLE = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)
_DIGITS = {pa.int8(): 3, pa.int16(): 5, pa.int32(): 10, pa.int64(): 19}
_NAMES: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_int8, "byte"),
    (pa.types.is_int16, "short"),
    (pa.types.is_int32, "integer"),
    (pa.types.is_int64, "long"),
    (pa.types.is_float32, "float"),
    (pa.types.is_float64, "double"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "timestamp"),
    (pa.types.is_string, "string"),
    (pa.types.is_large_string, "string"),
    (pa.types.is_string_view, "string"),
    (pa.types.is_binary, "binary"),
    (pa.types.is_decimal, "decimal"),
    (pa.types.is_map, "map"),
    (pa.types.is_struct, "struct"),
    (pa.types.is_list, "array"),
    (pa.types.is_large_list, "array"),
)


def base_name(kind: pa.DataType) -> str:
    """The Delta protocol's name of a type without its parameters: `long`, `decimal`, `array`."""
    return next((name for matches, name in _NAMES if matches(kind)), str(kind))


def type_name(kind: pa.DataType) -> str:
    """A type as people who know Delta tables write it: `decimal(38,9)`, `array<struct<ID:string>>`."""
    base = base_name(kind)
    if base == "decimal":
        return f"decimal({kind.precision},{kind.scale})"
    if base == "array":
        return f"array<{type_name(kind.value_type)}>"
    if base == "map":
        return f"map<{type_name(kind.key_type)},{type_name(kind.item_type)}>"
    if base == "struct":
        return f"struct<{','.join(f'{field.name}:{type_name(field.type)}' for field in kind)}>"
    return base


def plain(kind: pa.DataType) -> pa.DataType:
    """The type without what some readers do not know: views, 64-bit offsets, dictionaries, nanoseconds."""
    return _mapped(kind, _plain_leaf)


def stored(kind: pa.DataType) -> pa.DataType:
    """The type that a Delta table has for such values: times in microseconds of UTC, text where all is null."""
    return _mapped(kind, _stored_leaf)


def _mapped(kind: pa.DataType, leaf: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """The type with `leaf` applied to the types within lists, structs and maps."""
    if pa.types.is_map(kind):
        return pa.map_(_mapped(kind.key_type, leaf), _mapped(kind.item_type, leaf))
    if pa.types.is_struct(kind):
        return pa.struct([each.with_type(_mapped(each.type, leaf)) for each in kind])
    if base_name(kind) == "array":
        return pa.list_(pa.field("element", _mapped(kind.value_type, leaf)))
    return leaf(kind)


def _plain_leaf(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_leaf(kind.value_type)
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if kind in {pa.duration("ns"), pa.time64("ns")}:
        return pa.duration("us") if pa.types.is_duration(kind) else pa.time64("us")
    return pa.binary() if pa.types.is_binary_view(kind) or pa.types.is_large_binary(kind) else kind


def _stored_leaf(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_null(kind):
        return pa.string()
    return UTC_MICROS if pa.types.is_timestamp(kind) else _plain_leaf(kind)


def comment(field: pa.Field) -> str:
    """The description of a column; "" where it has none."""
    return note(field, "comment")


def label(field: pa.Field) -> str:
    """What the source calls the column, whatever a person wrote of it; "" where it does not say."""
    return note(field, LABEL) if note(field, OWN) else comment(field)


def own_comment(field: pa.Field) -> str:
    """What a person wrote of the column; "" where nobody did."""
    return comment(field) if note(field, OWN) else ""


def note(field: pa.Field, name: str) -> str:
    """One entry of a column's metadata; "" where it has none."""
    return ((field.metadata or {}).get(name.encode()) or b"").decode()


def with_notes(field: pa.Field, **notes: str) -> pa.Field:
    """The field with these entries in its metadata (`__` in a name stands for a dot); an empty text takes one away."""
    known = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    merged = known | {name.replace("__", "."): text for name, text in notes.items()}
    return field.with_metadata({name: text for name, text in sorted(merged.items()) if text} or None)


def quoted(name: str) -> str:
    """The name as SQL takes it literally, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as SQL takes it literally."""
    return "'" + text.replace("'", "''") + "'"


def castable(before: pa.DataType, after: pa.DataType) -> bool:
    """Tell whether a plain cast gives every value of `before` its equal in `after`.

    Whole numbers into wider ones, into decimals with enough digits and into doubles; dates into timestamps; plain
    values into text; lists where their elements are castable.
    """
    if before == after:
        return True
    if base_name(before) == base_name(after) == "array":
        return castable(before.value_type, after.value_type)
    if pa.types.is_nested(before) or pa.types.is_nested(after):
        return False
    if pa.types.is_string(after):
        return bool(not pa.types.is_binary(before))
    if pa.types.is_decimal(after):
        return _whole_digits(before) <= _whole_digits(after) and _scale(before) <= _scale(after)
    if before in _DIGITS:
        return bool(pa.types.is_float64(after)) or _DIGITS[before] < _DIGITS.get(after, 0)
    return (base_name(before), base_name(after)) in {("float", "double"), ("date", "timestamp")}


def _whole_digits(kind: pa.DataType) -> int:
    return int(kind.precision - kind.scale) if pa.types.is_decimal(kind) else _DIGITS.get(kind, 1000)


def _scale(kind: pa.DataType) -> int:
    return int(kind.scale) if pa.types.is_decimal(kind) else 0


def conform(rows: pa.Table, schema: pa.Schema, renames: Mapping[str, str] | None = None) -> pa.Table:
    """The rows with exactly the columns of `schema`: renamed, cast, in its order; missing columns are null.

    A value that does not fit its new type becomes null and its text goes to `_misfits`, where `schema` has that column.
    """
    names = [(renames or {}).get(name, name) for name in rows.column_names]
    held = dict(zip(names, rows.columns, strict=True))
    columns: dict[str, pa.ChunkedArray] = {}
    refused: dict[str, pa.ChunkedArray] = {}
    for field in schema:
        column = held.get(field.name)
        if column is None:
            column = pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
        if column.type != field.type:
            column, misfits = _cast(column, field.type)
            refused |= {field.name: misfits} if misfits is not None else {}
        columns[field.name] = column
    if refused and MISFITS in columns:
        columns[MISFITS] = _noted(columns[MISFITS], refused)
    return pa.table(list(columns.values()), schema=schema)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> tuple[pa.ChunkedArray, list[str | None] | None]:
    """The column in its new type, and per row the text of a value that does not fit; None where all fit."""
    with suppress(*_UNCASTABLE):
        cast = column.cast(kind)
        if _means_the_same(column, cast):
            return cast, None
    pairs = [_cast_one(value, kind) for value in column]
    return pa.chunked_array([pa.array([value for value, _ in pairs], kind)]), [text for _, text in pairs]


def _cast_one(value: pa.Scalar, kind: pa.DataType) -> tuple[Any, str | None]:
    if not value.is_valid:
        return None, None
    text = _text(value)
    if pa.types.is_string(kind):
        return text, None
    with suppress(*_UNCASTABLE):
        cast = value.cast(kind)
        if _means_the_same(value, cast):
            return cast.as_py(), None
    with suppress(*_UNCASTABLE):
        # By way of its text a number gets into a decimal that could not hold every number of its type.
        return pa.scalar(text).cast(kind).as_py(), None
    return None, text


def _means_the_same(before: Any, after: Any) -> bool:
    """Tell whether a cast of a column, or of one value, was none of those that Arrow does by taking something away.

    A moment would lose its time as a day, a number all but its sign as a boolean, and become a moment of 1970.
    """
    if castable(before.type, after.type) or pa.types.is_string(before.type):
        return True
    moments = [pa.types.is_temporal(each.type) for each in (before, after)]
    return moments[0] == moments[1] and bool(after.cast(before.type).equals(before))


def _text(value: pa.Scalar) -> str:
    """A value as text; lists, structs and maps as JSON."""
    if pa.types.is_nested(value.type):
        return json.dumps(value.as_py(), ensure_ascii=False, separators=(",", ":"), default=str)
    return str(value.cast(pa.string()).as_py())


def _noted(misfits: pa.ChunkedArray, refused: Mapping[str, Sequence[str | None]]) -> pa.ChunkedArray:
    rows = [dict(row or ()) for row in misfits.to_pylist()]
    for name, texts in refused.items():
        for row, text in zip(rows, texts, strict=True):
            row |= {name: text} if text is not None else {}
    return pa.chunked_array([pa.array([list(row.items()) or None for row in rows], misfits.type)])


def only_last(rows: pa.Table, key: str) -> pa.Table:
    """Of rows with the same key, the one that comes last; the order of the others stays."""
    keys = rows.column(key)
    if pc.count_distinct(keys).as_py() == rows.num_rows:
        return rows
    numbered = pa.table({"key": keys, "row": pa.array(range(rows.num_rows), pa.int64())})
    last = numbered.group_by("key").aggregate([("row", "max")]).column("row_max")
    return rows.take(last.take(pc.sort_indices(last)))

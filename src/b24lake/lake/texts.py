"""Columns as text, for CSV and JSON: numbers with all their digits, times as ISO 8601, lists and structs as JSON.

Whole columns at once; only lists, structs, maps and odd types become Python values on their way.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

EXACT_DIGITS = 15
"""So many digits of a decimal number any reader of JSON keeps; numbers with more are text."""
_FORMULA = r"^[=+\-@\t\r]"
"""What spreadsheets take for a formula when a text begins with it (OWASP, "CSV Injection")."""
_NEEDS_QUOTES = r'[",\r\n]|^\s|\s$|^$'


def lines_of_csv(batch: pa.RecordBatch, *, escape_formulas: bool = False) -> pa.Buffer:
    """The rows as lines of CSV: null is empty, an empty text is `""`, lists and structs are JSON.

    escape_formulas   put a `'` before texts that spreadsheets would take for a formula
    """
    cells = [_csv_cells(column, escape_formulas=escape_formulas) for column in batch.columns]
    ends = [*[","] * (len(cells) - 1), "\n"]
    return _joined([piece for pair in zip(cells, ends, strict=True) for piece in pair], batch.num_rows)


def lines_of_json(batch: pa.RecordBatch, before: str = "", after: str = "\n") -> pa.Buffer:
    """The rows as JSON objects, each between `before` and `after`."""
    pieces: list[pa.Array | str] = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        pieces += [("," if pieces else before + "{") + orjson.dumps(name).decode() + ":", json_values(column)]
    return _joined([*pieces, "}" + after], batch.num_rows)


def json_values(column: pa.Array) -> pa.Array:
    """Each value as JSON; null is `null`, and so is what JSON has no number for."""
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        texts = column.cast(pa.string())
    elif pa.types.is_floating(kind):
        texts = pc.if_else(pc.is_finite(column), column, None).cast(pa.string())
    elif pa.types.is_decimal(kind):
        texts = _json_decimals(column)
    elif _is_simple(kind):
        texts = _json_strings(_plain_texts(column))
    else:
        texts = _each(column, json_text)
    return pc.fill_null(texts, "null")


def cell_texts(column: pa.Array) -> pa.Array:
    """Each value as text, lists and structs as JSON; null stays null."""
    kind = column.type
    if pa.types.is_string(kind):
        return column
    if _is_simple(kind):
        return _plain_texts(column)
    return _each(column, json_text if pa.types.is_nested(kind) else lambda value: str(plain_value(value)))


def _csv_cells(column: pa.Array, *, escape_formulas: bool) -> pa.Array:
    kind = column.type
    if pa.types.is_string(kind):
        texts = column
        if escape_formulas:
            texts = pc.replace_substring_regex(texts, pattern=f"({_FORMULA})", replacement=r"'\1")
        return pc.fill_null(_quoted_where_needed(texts), "")
    texts = cell_texts(column)
    return pc.fill_null(texts if _is_simple(kind) else _quoted_where_needed(texts), "")


def _is_simple(kind: pa.DataType) -> bool:
    """Whether there is a plain text for each value."""
    tests = (
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        pa.types.is_string,
        pa.types.is_date,
        pa.types.is_timestamp,
        pa.types.is_null,
    )
    return any(test(kind) for test in tests)


def head_of_csv(schema: pa.Schema) -> bytes:
    """The first line."""
    names = pa.array(schema.names, pa.string())
    return (",".join(_quoted_where_needed(names).to_pylist()) + "\n").encode()


def _plain_texts(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_decimal(kind):
        return _decimal_texts(column)
    if pa.types.is_timestamp(kind):
        return _times(column)
    if pa.types.is_date(kind):
        return column.cast(pa.date32()).cast(pa.string())
    return column.cast(pa.string())


def _times(column: pa.Array) -> pa.Array:
    """Times as ISO 8601: in UTC with a Z where they have a zone, with a fraction of a second where there is one."""
    zone = "Z" if column.type.tz else ""
    if zone:
        column = column.cast(pa.timestamp(column.type.unit, "UTC")).cast(pa.timestamp(column.type.unit))
    try:
        texts = column.cast(pa.timestamp("s")).cast(pa.string())
    except pa.ArrowInvalid:  # not all of them are whole seconds
        texts = pc.replace_substring_regex(column.cast(pa.string()), pattern=r"\.0+$", replacement="")
    texts = pc.replace_substring(texts, pattern=" ", replacement="T", max_replacements=1)
    return pc.binary_join_element_wise(texts, zone, "") if zone else texts


def _decimal_texts(column: pa.Array) -> pa.Array:
    """All digits, without zeros at the end and without an exponent."""
    texts = column.cast(pa.string())
    exponents = pc.match_substring(texts, "E")
    if pc.any(exponents).as_py():
        plain = pa.array([f"{value:f}" for value in column.filter(exponents).to_pylist()], pa.string())
        texts = pc.replace_with_mask(texts, pc.fill_null(exponents, False), plain)
    stripped = pc.replace_substring_regex(texts, pattern=r"(\.\d*?)0+$", replacement=r"\1")
    return pc.replace_substring_regex(stripped, pattern=r"\.$", replacement="")


def _json_decimals(column: pa.Array) -> pa.Array:
    texts = _decimal_texts(column)
    digits = pc.utf8_length(pc.replace_substring_regex(texts, pattern=r"^-?0*\.?0*|\.", replacement=""))
    return pc.if_else(pc.less_equal(digits, EXACT_DIGITS), texts, _json_strings(texts))


def _json_strings(texts: pa.Array) -> pa.Array:
    """Texts as JSON strings."""
    odd = pc.fill_null(pc.match_substring_regex(texts, pattern=r'[\x00-\x1f"\\]'), False)
    if pc.any(odd).as_py():
        escaped = [orjson.dumps(text).decode()[1:-1] for text in texts.filter(odd).to_pylist()]
        texts = pc.replace_with_mask(texts, odd, pa.array(escaped, pa.string()))
    return pc.binary_join_element_wise('"', texts, '"', "")


def _quoted_where_needed(texts: pa.Array) -> pa.Array:
    needs = pc.fill_null(pc.match_substring_regex(texts, pattern=_NEEDS_QUOTES), False)
    if not pc.any(needs).as_py():
        return texts
    doubled = pc.replace_substring(texts.filter(needs), pattern='"', replacement='""')
    return pc.replace_with_mask(texts, needs, pc.binary_join_element_wise('"', doubled, '"', ""))


def _each(column: pa.Array, told: Callable[[Any], str]) -> pa.Array:
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.string())
    values = column.to_pylist(maps_as_pydicts="lossy")
    return pa.array([None if value is None else told(value) for value in values], pa.string())


def json_text(value: Any) -> str:
    """A Python value as JSON on one line."""
    return orjson.dumps(value, default=plain_value, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z).decode()


def plain_value(value: Any) -> Any:
    """What JSON has no type for: decimals as numbers where they are short enough, all else as text."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return float(value) if len(text.replace(".", "").strip("-0")) <= EXACT_DIGITS else text
    return value.hex() if isinstance(value, bytes) else str(value)


def _joined(pieces: list[pa.Array | str], rows: int) -> pa.Buffer:
    """The pieces of each row put together, row after row."""
    if not rows:
        return pa.py_buffer(b"")
    texts = pc.binary_join_element_wise(*pieces, "")
    _, offsets, values = texts.buffers()
    first, last = (memoryview(offsets).cast("i")[texts.offset + row] for row in (0, rows))
    return values.slice(first, last - first)

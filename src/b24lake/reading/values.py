"""Values as the portal sends them -> one Arrow array of the declared type, and what did not fit. Pure.

In: "Y", "19000.50", "", false, 5, {"id": 1}, "2026-08-21T19:52:37+03:00". Empties of every kind become null. A value
that does not fit its type becomes null and is returned beside the array, verbatim.
Source: api-reference/data-types.md of the vendor's docs; rules for dates: api-reference/date-time.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from b24lake.portal.replies import printed
from b24lake.reading import cutting
from b24lake.streams.fields import BOOL, DATE, FLOAT, INT, LINKS, MOMENT, MONEY, SMALL, TEXT, Column

Values = Sequence[Any] | cutting.Column  # of one column, row by row
Misfits = Mapping[int, str]  # position -> the value as the portal sent it
Decoded = tuple[pa.Array, Misfits]

_NONE: Misfits = {}
_LISTED = {list, bool, type(None)}  # what a plain multiple field is made of; False means "empty"
_NINE_DECIMALS = Decimal("1E-9")
_FAILED = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)
_YES, _NO = ("Y", "1", "true"), ("N", "0", "false")


def decode(values: Values, column: Column, zone: tzinfo) -> Decoded:
    """One column's values, in order; `zone` is the server's, for times without an offset."""
    if _are_nothing(values):
        return pa.nulls(len(values), column.type), _NONE
    if column.many:
        return _lists(values, column, zone)
    if isinstance(values, cutting.Column):
        values = values.texts(flags=column.type == BOOL)
    return _scalars(values, column.kind, column.type, zone)


def _are_nothing(values: Values) -> bool:
    if isinstance(values, cutting.Column):
        return values.is_null()
    return not values or (values[0] is None and values.count(None) == len(values))


def as_text(value: Any) -> str | None:
    """A JSON value as text: text stays as it is, objects become JSON; every kind of emptiness is None."""
    if isinstance(value, str):
        return value or None
    return None if is_empty(value) else printed(value)


def is_empty(value: Any) -> bool:
    """Whether a value means "nothing": null, false, "", [] and {}, but not the number 0."""
    return not value and (value is False or not isinstance(value, int | float))


def _scalars(values: Sequence[Any] | pa.Array, kind: str, type_: pa.DataType, zone: tzinfo) -> Decoded:
    if type_ == BOOL:
        return _booleans(_texts(values, _boolean_text), kind)
    array = _texts(values, as_text)
    if type_ == TEXT:
        return array, _NONE
    decoded, misfits = _CASTS[type_](array, zone)
    if kind in LINKS:
        decoded = pc.if_else(pc.equal(decoded, 0), pa.scalar(None, type_), decoded)
    return decoded, misfits


def _texts(values: Sequence[Any] | pa.Array, convert: Callable[[Any], str | None]) -> pa.Array:
    """Values as an Arrow array of texts with empty ones as null; the quick way serves columns of only texts."""
    if isinstance(values, pa.Array):
        return values
    try:
        array = pa.array(values, TEXT)
    except _FAILED:
        return pa.array([convert(value) for value in values], TEXT)
    empty = pc.equal(array, "")
    return pc.if_else(empty, pa.scalar(None, TEXT), array) if pc.any(empty).as_py() else array


def _boolean_text(value: Any) -> str | None:
    return "false" if value is False else as_text(value)


def _booleans(array: pa.Array, kind: str) -> Decoded:
    count = 1 if kind == "char" else len(_YES)  # a char is Y or N, nothing else
    if count == 1:
        yes, no = pc.equal(array, _YES[0]), pc.equal(array, _NO[0])
    else:
        yes, no = (pc.is_in(array, pa.array(words)) for words in (_YES, _NO))
    known = pc.or_(yes, no)
    if pc.sum(known).as_py() == len(array):
        return yes, _NONE
    return pc.if_else(known, yes, pa.scalar(None, BOOL)), _misfits(array, pc.invert(known))


def _misfits(array: pa.Array, bad: pa.Array) -> Misfits:
    bad = pc.and_(bad, pc.is_valid(array))
    places = pc.indices_nonzero(bad).to_pylist()
    return {place: array[place].as_py() for place in places}


def _cast(type_: pa.DataType, parse: Callable[[str, tzinfo], Any]) -> Callable[[pa.Array, tzinfo], Decoded]:
    """A cast of a whole column that falls back to value by value where one does not fit."""

    def cast(array: pa.Array, zone: tzinfo) -> Decoded:
        try:
            return pc.cast(array, type_), _NONE
        except _FAILED:
            return _one_by_one(array, type_, parse, zone)

    return cast


def _one_by_one(array: pa.Array, type_: pa.DataType, parse: Callable[[str, tzinfo], Any], zone: tzinfo) -> Decoded:
    fitting: list[Any] = []
    misfits: dict[int, str] = {}
    for place, text in enumerate(array.to_pylist()):
        value = None
        if text is not None:
            try:
                value = pa.scalar(parse(text, zone), type_).as_py()
            except (ValueError, InvalidOperation, *_FAILED):
                misfits[place] = text
        fitting.append(value)
    return pa.array(fitting, type_), misfits


_NUMBER = re.compile(r"^\s*[+-]?\d{1,40}(?:\.\d*)?(?:[eE][+-]?\d{1,3})?\s*$", re.ASCII)


def _whole(text: str, zone: tzinfo) -> int:
    number = _decimal(text, zone)
    if number != number.to_integral_value():
        raise ValueError(text)
    return int(number)


def _float(text: str, zone: tzinfo) -> float:
    number = float(_decimal(text, zone))
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _decimal(text: str, _zone: tzinfo) -> Decimal:
    if not _NUMBER.match(text):
        raise ValueError(text)  # Decimal() would take "1_000" and "infinity"
    return Decimal(text)


def _money_sum(text: str, zone: tzinfo) -> Decimal:
    """A sum with nine decimals: 83.33333333333333 is a third of a price, not a value of another type."""
    number = _decimal(text, zone)
    rounded = number.quantize(_NINE_DECIMALS)
    return number if number == rounded else rounded


def _integers(type_: pa.DataType) -> Callable[[pa.Array, tzinfo], Decoded]:
    """A cast to integers; "0x1F", which Arrow would take, is no number here."""
    quick = _cast(type_, _whole)

    def cast(array: pa.Array, zone: tzinfo) -> Decoded:
        texts = array.buffers()[2]  # all texts of the column in a row: searched much quicker than one by one
        letters = texts.to_pybytes() if texts is not None else b""
        return _one_by_one(array, type_, _whole, zone) if b"x" in letters or b"X" in letters else quick(array, zone)

    return cast


def _floats(array: pa.Array, zone: tzinfo) -> Decoded:
    """Floats; "nan" and "inf", which Arrow would take, are no numbers."""
    decoded, misfits = _cast(FLOAT, _float)(array, zone)
    if pc.all(pc.is_finite(decoded)).as_py() is False:
        return _one_by_one(array, FLOAT, _float, zone)
    return decoded, misfits


_PORTAL_TIMES = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y")
_ISO = re.compile(r"^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?")


def moment(text: str, zone: tzinfo) -> datetime:
    """A time as the portal writes it, in UTC: ISO with or without offset, or the portal's own dotted format.

    Raises ValueError for anything else; slashes are refused, since month and day cannot be told apart.
    """
    if _ISO.match(text):
        parsed = datetime.fromisoformat(text)
    else:
        parsed = next((p for form in _PORTAL_TIMES if (p := _strptime(text, form))), None) or _refuse(text)
    try:
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        raise ValueError(text) from None  # the first and the last day that there are, beyond UTC


def _strptime(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _refuse(text: str) -> datetime:
    raise ValueError(text)


def _day(text: str, zone: tzinfo) -> date:
    """A date: midnight UTC printed in the server's offset; a plain date, or midnight in local time, is that day."""
    if len(text) == 10:
        return moment(text, UTC).date()
    parsed = moment(text, zone)
    return moment(text[:10], UTC).date() if text[10:19] in {"T00:00:00", " 00:00:00"} else parsed.date()


def _dates(array: pa.Array, zone: tzinfo) -> Decoded:
    """The vectorised way serves columns in which every value is midnight UTC, printed in one offset or another."""
    try:
        moments = pc.cast(array, MOMENT)
    except _FAILED:
        return _one_by_one(array, DATE, _day, zone)
    days = pc.cast(moments, DATE)
    local_midnight = pc.match_substring(array, "T00:00:00")
    if not pc.any(local_midnight).as_py():
        return days, _NONE
    as_written = pc.cast(pc.utf8_slice_codeunits(array, 0, 10), DATE)
    return pc.if_else(local_midnight, as_written, days), _NONE


def _moments(array: pa.Array, zone: tzinfo) -> Decoded:
    return _cast(MOMENT, moment)(array, zone)


_CASTS: Mapping[pa.DataType, Callable[[pa.Array, tzinfo], Decoded]] = {
    INT: _integers(INT),
    SMALL: _integers(SMALL),
    FLOAT: _floats,
    MONEY: _cast(MONEY, _money_sum),
    DATE: _dates,
    MOMENT: _moments,
}


def _lists(values: Values, column: Column, zone: tzinfo) -> Decoded:
    """A multiple field: its items are decoded as one flat column; a bare value is a list of one."""
    quick = None if pa.types.is_struct(column.type.value_type) else _plain_lists(values, column, zone)
    if quick is not None:
        return quick
    if not isinstance(values, cutting.Column):
        return _any_lists(values, column, zone)
    different, places = values.distinct()
    lists, unfit = _any_lists(different, column, zone)
    return lists.take(places), {row: unfit[place] for row, place in enumerate(places.to_pylist()) if place in unfit}


def _plain_lists(values: Values, column: Column, zone: tzinfo) -> Decoded | None:
    """The quick way, for lists of texts that all fit; None where there is anything else."""
    lists = values.lists() if isinstance(values, cutting.Column) else _lists_of_texts(values)
    if lists is None:
        return None
    texts = lists.flatten()
    decoded, unfit = _scalars(texts, column.kind, column.type.value_type, zone)
    if unfit:
        return None
    return pa.ListArray.from_arrays(lists.offsets, decoded, type=column.type, mask=lists.is_null()), _NONE


def _lists_of_texts(values: Sequence[Any]) -> pa.ListArray | None:
    if not _LISTED.issuperset(map(type, values)):
        return None  # Arrow would take a bare text for a list of letters
    try:
        lists = pa.array([value or None for value in values], pa.list_(TEXT))
    except _FAILED:
        return None
    texts = lists.flatten()
    return None if texts.null_count or pc.any(pc.equal(texts, "")).as_py() else lists


def _any_lists(values: Sequence[Any], column: Column, zone: tzinfo) -> Decoded:
    """The thorough way: numbers, objects, empty items, bare values, and values that do not fit."""
    items = [_items(value, flags=column.type.value_type == BOOL) for value in values]
    flat = [item for one in items for item in one or ()]
    item_type = column.type.value_type
    if pa.types.is_struct(item_type):
        decoded, unfit = _structs(flat, item_type)
    else:
        decoded, unfit = _scalars(flat, column.kind, item_type, zone)
    ends = list(accumulate((len(one or ()) for one in items), initial=0))
    offsets = pa.array([None if one is None else start for one, start in zip(items, ends, strict=False)] + ends[-1:])
    lists = pa.ListArray.from_arrays(offsets.cast(pa.int32()), decoded, type=column.type)
    return lists, _rows_of(unfit, ends, values) if unfit else _NONE


def _items(value: Any, *, flags: bool) -> list[Any] | None:
    """The items of a multiple value without its empty ones; None where nothing is left. A false among flags stays."""
    if isinstance(value, dict) and value and all(key.isdigit() for key in value):
        value = list(value.values())  # a PHP list with gaps arrives as an object
    elif not isinstance(value, list):
        return None if is_empty(value) else [value]
    return [item for item in value if not is_empty(item) or (flags and item is False)] or None


def _structs(flat: list[Any], type_: pa.StructType) -> Decoded:
    """Objects with known keys of text, such as one phone number. One with other keys is a misfit as well."""
    spelled = {each.name: each.name for each in type_} | {_camel(each.name): each.name for each in type_}
    unfit = {
        place: as_text(item) or ""
        for place, item in enumerate(flat)
        if not isinstance(item, dict) or len({spelled.get(key) for key in item} - {None}) < len(item)
    }
    rows = [
        {spelled[key]: _plain(part) for key, part in item.items() if key in spelled} if isinstance(item, dict) else None
        for item in flat
    ]
    return pa.array(rows, type_), unfit


def _plain(value: Any) -> str | None:
    return value if isinstance(value, str) else as_text(value)


def _camel(name: str) -> str:
    """`VALUE_TYPE` as the universal methods spell it: `valueType`."""
    first, *rest = name.lower().split("_")
    return first + "".join(map(str.capitalize, rest))


def _rows_of(unfit: Misfits, ends: Sequence[int], values: Sequence[Any]) -> Misfits:
    """Misfits of items -> misfits of the rows that hold them, the whole value kept."""
    return {
        row: as_text(value) or ""
        for row, value in enumerate(values)
        if any(place in unfit for place in range(ends[row], ends[row + 1]))
    }

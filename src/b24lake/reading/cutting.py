"""Rows of JSON text -> columns of it: where every value lies is found for all rows at once, without parsing them. Pure.

A Python object for every value costs several times as much as its cast to the Arrow type. So the quotes of many rows
are looked up in one go; they tell the strings, the strings before a colon are keys, and a value lies between two keys.
Texts, flags, whole numbers and lists of texts become Arrow arrays from there. Whatever else there is gets parsed, each
different value once: texts with escapes, objects, fractions, mixed lists. The JSON must be valid, and UTF-8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw

from b24lake.portal.replies import parsed, printed

Places = npt.NDArray[np.int32]  # offsets in a text, or numbers of values
Bytes = npt.NDArray[np.uint8]

_QUOTE, _BACKSLASH, _COLON, _OPEN, _CLOSE, _SPACE = b'"\\:{} '
_NULL, _FALSE, _TRUE, _NUMBER, _LIST, _OBJECT, _TEXT, _EMPTY = (1 << bit for bit in range(8))  # what a value may be
_KINDS = np.zeros(256, np.uint8)  # by its first byte; an empty text is found later
for _kind, _firsts in {
    _NULL: b"n",
    _FALSE: b"f",
    _TRUE: b"t",
    _NUMBER: b"-0123456789",
    _LIST: b"[",
    _OBJECT: b"{",
    _TEXT: b'"',
}.items():
    _KINDS[list(_firsts)] = _kind
_SILENT = _NULL | _FALSE | _EMPTY  # what is nothing, in all columns but flags
_BLOCK = 640  # rows that are cut at a time: so many fit into a processor's cache
_LONGEST_WHOLE = 18  # digits of a number that is printed as it was written, sign included


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one key, row by row: cut out, but not read.

    pieces   the JSON texts of the values, strings without their quotes; nothing for those in `_SILENT`
    kinds    what the values are
    found    all kinds together
    """

    pieces: Sequence[pa.Array]
    kinds: Bytes
    found: int

    def __len__(self) -> int:
        return len(self.kinds)

    def __getitem__(self, row: int) -> Any:
        """One value, parsed."""
        values, places = self.distinct()
        return values[places[row].as_py()]

    def is_null(self) -> bool:
        """Whether no row has a value."""
        return self.found == _NULL

    def texts(self, *, flags: bool) -> pa.Array:
        """The values as texts: objects as JSON; null for every kind of emptiness.

        flags   a false is the text "false", not nothing
        """
        array = self._joined()
        if self.found & _TEXT and (escaped := _with_escapes(array)) is not None:
            array = _replaced(array, escaped & (self.kinds == _TEXT), _unescaped)
        if self.found & (_LIST | _OBJECT) or (self.found & _NUMBER and not self._are_whole(array)):
            array = _replaced(array, self.kinds & (_LIST | _OBJECT | _NUMBER) > 0, _printed)
        if self.found & _FALSE and flags:
            array = pc.replace_with_mask(array, self.kinds == _FALSE, "false")
        return array

    def lists(self) -> pa.ListArray | None:
        """The values as lists of texts, without empty ones; None where there is anything but lists of texts."""
        return None if self.found & ~(_LIST | _FALSE | _NULL) else _lists(self._joined())

    def distinct(self) -> tuple[list[Any], pa.Array]:
        """The different values, parsed, and which of them each row has."""
        words = {_NULL: "null", _FALSE: "false", _EMPTY: '""'}
        texts = [
            f'"{text}"' if kind == _TEXT else words.get(kind, text)
            for kind, text in zip(self.kinds.tolist(), self._joined().to_pylist(), strict=True)
        ]
        encoded = pa.array(texts, pa.string()).dictionary_encode()
        return _parsed_all(encoded.dictionary.to_pylist()), encoded.indices

    def _joined(self) -> pa.Array:
        """All pieces in one; null where they hold nothing."""
        array = pa.concat_arrays(self.pieces)
        if not self.found & _SILENT:
            return array
        valid = np.packbits(self.kinds & _SILENT == 0, bitorder="little")
        return pa.Array.from_buffers(array.type, len(array), [pa.py_buffer(valid), *array.buffers()[1:]])

    def _are_whole(self, array: pa.Array) -> bool:
        """Whether every number is printed as it was written: digits only, and not too many of them."""
        numbers = array.filter(pa.array(self.kinds == _NUMBER))
        digits = _data(numbers)
        few = pc.max(pc.binary_length(numbers)).as_py() <= _LONGEST_WHOLE
        return few and bool(((digits == ord("-")) | (digits - ord("0") < 10)).all()) and b"-0" not in digits.tobytes()


def cut(rows: Sequence[Raw]) -> dict[str, Column]:
    """Rows, at least one and all of them objects -> their columns, in the order in which the keys come first."""
    blocks = [_block(rows[first : first + _BLOCK]) for first in range(0, len(rows), _BLOCK)]
    columns = {}
    for key in dict.fromkeys(chain.from_iterable(block.numbers for block in blocks)):
        pieces, kinds = zip(*[block.column(key) for block in blocks], strict=True)
        joined = np.concatenate(kinds)
        columns[key] = Column(pieces, joined, int(np.bitwise_or.reduce(joined)))
    return columns


@dataclass(frozen=True, slots=True)
class _Block:
    """The values of some rows, column by column.

    numbers   of the columns, by key; the last column, which has no key, is nothing in every row
    texts     all values of the first column, then those of the second, ...
    kinds     what they are: by column and row
    """

    numbers: Mapping[str, int]
    texts: pa.Array
    kinds: Bytes

    def column(self, key: str) -> tuple[pa.Array, Bytes]:
        """Texts and kinds of one column's values."""
        number, count = self.numbers.get(key, -1), self.kinds.shape[1]
        return self.texts.slice(number % len(self.kinds) * count, count), self.kinds[number]


def _block(rows: Sequence[Raw]) -> _Block:
    """Find the strings, among them the rows' own keys, from these the values, and put them in columns."""
    text = b",".join(rows)
    buffer = np.frombuffer(text, np.uint8)
    ends = np.cumsum(np.fromiter(map(len, rows), np.int32, len(rows)) + 1, dtype=np.int32) - 1
    quotes = _quotes(buffer)
    opens, closes = quotes[0::2], quotes[1::2]
    colons = _past_space(buffer, closes + 1, 1)
    keys = np.flatnonzero(buffer.take(colons) == _COLON)
    if np.count_nonzero(buffer == _OPEN) > len(rows):
        keys = keys[_depths(buffer, quotes, opens.take(keys)) == 1]
    opens, closes, colons = opens.take(keys), closes.take(keys), colons.take(keys)
    counts = np.diff(np.searchsorted(opens, ends), prepend=0)
    bounds, kinds = _values(buffer, colons, _behind(buffer, opens, ends, counts))
    numbers, table = _table(_in_turns(text, _pairs(opens + 1, closes)), counts)
    shown = np.where(kinds & _SILENT, 0, np.arange(0, 2 * len(kinds), 2, dtype=np.int32))
    texts = _in_turns(text, bounds).take(pa.array(shown.take(table).ravel()))
    return _Block(numbers, texts, kinds.take(table))


def _quotes(buffer: Bytes) -> Places:
    """Where the quotes are that begin and end strings: those behind an even number of backslashes."""
    quotes = np.flatnonzero(buffer == _QUOTE).astype(np.int32)
    doubtful = np.flatnonzero(buffer.take(quotes - 1, mode="clip") == _BACKSLASH)
    if not len(doubtful):
        return quotes
    before, escaped = quotes.take(doubtful) - 1, np.zeros(len(doubtful), bool)
    while (more := buffer.take(before, mode="clip") == _BACKSLASH).any():
        escaped ^= more
        before -= more
    return np.delete(quotes, doubtful[escaped])


def _past_space(buffer: Bytes, places: Places, step: int) -> Places:
    """The places, moved on in steps of 1 or -1 until none of them is white space."""
    while (space := buffer.take(places, mode="clip") <= _SPACE).any():
        places = places + step * space.astype(np.int32)
    return places


def _depths(buffer: Bytes, quotes: Places, places: Places) -> npt.NDArray[np.int16]:
    """In how many objects each place lies; the places rise, and lie behind the first brace."""
    braces = np.flatnonzero((buffer == _OPEN) | (buffer == _CLOSE))
    braces = braces[np.searchsorted(quotes, braces) % 2 == 0]  # those outside of strings
    depths = np.cumsum(np.where(buffer.take(braces) == _OPEN, 1, -1), dtype=np.int16)
    return np.repeat(depths, np.diff(np.searchsorted(places, braces), append=len(places)))


def _behind(buffer: Bytes, opens: Places, ends: Places, counts: npt.NDArray[np.int64]) -> Places:
    """What ends each key's value: the comma before the next key, or the brace at the end of the row.

    opens          opening quotes of the keys
    ends, counts   of the rows: their ends, and how many keys they have
    """
    behind = np.append(_past_space(buffer, opens[1:] - 1, -1), np.int32(0))[: len(opens)]
    filled = counts > 0
    behind[np.cumsum(counts)[filled] - 1] = ends[filled] - 1
    return behind


def _values(buffer: Bytes, colons: Places, behind: Places) -> tuple[Places, Bytes]:
    """Bounds and kinds of the values between colons and what ends them, with the value that is none before them."""
    begins = _past_space(buffer, colons + 1, 1)
    ends = _past_space(buffer, behind - 1, -1) + 1
    kinds = _KINDS.take(buffer.take(begins))
    strings = kinds == _TEXT
    begins, ends = begins + strings, ends - strings
    kinds[begins == ends] = _EMPTY
    return np.concatenate([np.zeros(2, np.int32), _pairs(begins, ends)]), np.append(np.uint8(_NULL), kinds)


def _table(keys: pa.Array, counts: npt.NDArray[np.int64]) -> tuple[dict[str, int], Places]:
    """The different keys, numbered; by key and row, the number of the value, from 1 on, 0 where a row has none.

    Of a key that a row has twice, the last value counts. The last line of the table is for no key and has no values.

    keys     of all rows, in turns with what lies between them
    counts   of the keys of each row
    """
    encoded = keys.take(pa.array(np.arange(0, len(keys), 2, dtype=np.int32))).dictionary_encode()
    spelled = _unescaped(encoded.dictionary.to_pylist())
    numbers = {name: number for number, name in enumerate(dict.fromkeys(spelled))}
    number = np.array([numbers[name] for name in spelled], np.int32).take(encoded.indices.to_numpy())
    row = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    table = np.zeros((len(numbers) + 1, len(counts)), np.int32)
    table.reshape(-1)[number * np.int32(len(counts)) + row] = np.arange(1, len(number) + 1, dtype=np.int32)
    return numbers, table


def _lists(array: pa.Array) -> pa.ListArray | None:
    """JSON arrays -> lists of their texts without empty ones, null where none is left; None if they hold anything else.

    Of a JSON array of n texts, n + 1 bytes are not in its texts: brackets and commas. Anything else takes more.
    """
    data, bounds = _data(array), _bounds(array)
    quotes = _quotes(data)
    opens, ends = quotes[0::2], quotes[1::2] + 1
    before = np.searchsorted(opens, bounds)
    between = np.maximum(np.diff(before) + 1, 2) * (np.diff(bounds) > 0)
    if len(data) - (ends - opens).sum() != between.sum():
        return None
    filled = ends - opens > 2
    offsets = np.append(np.int32(0), np.cumsum(filled, dtype=np.int32)).take(before)
    opens, ends = opens[filled], ends[filled]
    items = _in_turns(data, _pairs(opens + 1, ends - 1)).take(pa.array(np.arange(0, 2 * len(opens), 2, dtype=np.int32)))
    if (escaped := _with_escapes(items)) is not None:
        items = _replaced(items, escaped, _unescaped)
    return pa.ListArray.from_arrays(offsets, items, mask=pa.array(np.diff(offsets) == 0))


def _with_escapes(array: pa.Array) -> npt.NDArray[np.bool_] | None:
    """In which texts a backslash is; None if there is none."""
    escapes = np.flatnonzero(_data(array) == _BACKSLASH)
    if not len(escapes):
        return None
    escaped = np.zeros(len(array), bool)
    escaped[np.searchsorted(_bounds(array), escapes, side="right") - 1] = True
    return escaped


def _replaced(
    array: pa.Array, where: npt.NDArray[np.bool_], by: Callable[[Sequence[str]], Sequence[str | None]]
) -> pa.Array:
    """The texts, with others for some of them; only different ones are looked at."""
    encoded = array.filter(pa.array(where)).dictionary_encode()
    others = pa.array(by(encoded.dictionary.to_pylist()), pa.string())
    return pc.replace_with_mask(array, where, others.take(encoded.indices))


def _unescaped(insides: Sequence[str]) -> list[str]:
    """Insides of JSON strings -> the texts they mean."""
    return _parsed_all([f'"{inside}"' for inside in insides])


def _printed(values: Sequence[str]) -> list[str | None]:
    """JSON lists, objects and numbers -> the same, all printed in one way; None for empty ones."""
    return [None if value in ([], {}) else printed(value) for value in _parsed_all(values)]


def _parsed_all(values: Iterable[str]) -> list[Any]:
    """JSON texts -> their values."""
    found: list[Any] = parsed(Raw(f"[{','.join(values)}]".encode()))
    return found


def _in_turns(text: bytes | Bytes, bounds: Places) -> pa.Array:
    """The texts between all bounds, without a copy of any; every second one, the first included, was bounded."""
    return pa.Array.from_buffers(pa.string(), max(0, len(bounds) - 1), [None, pa.py_buffer(bounds), pa.py_buffer(text)])


def _pairs(begins: Places, ends: Places) -> Places:
    """Bounds, one after the other."""
    bounds = np.empty(2 * len(begins), np.int32)
    bounds[0::2], bounds[1::2] = begins, ends
    return bounds


def _bounds(array: pa.Array) -> Places:
    """Where each text of an array ends and the next one begins, from 0 on: one more than there are texts."""
    return np.frombuffer(array.buffers()[1], np.int32)[: len(array) + 1]


def _data(array: pa.Array) -> Bytes:
    """The bytes of all texts of an array."""
    data = array.buffers()[2]
    return np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)

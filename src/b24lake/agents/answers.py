"""What tools answer: a document for programs, and the same in few words for models (pure)."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from b24lake.errors import B24LakeError
from b24lake.lake.columns import type_name
from b24lake.portal.webhook import mask

LONGEST = 1_000
"""Signs of one cell; of a longer one its length is told."""
ROOM = 60_000
"""Signs of all cells of an answer."""


@dataclass(frozen=True)
class Answer:
    """A document, and its text; failed: it says what went wrong."""

    document: Mapping[str, Any]
    text: str
    failed: bool = False


def rows_of(table: pa.Table, limit: int) -> Answer:
    """The first `limit` rows, as many of them as there is room for; the table has one more where there are more."""
    names = table.column_names
    rows: list[list[Any]] = []
    room, cut = ROOM, ""
    for row in table.slice(0, limit).to_pylist(maps_as_pydicts="lossy"):
        cells = [_bounded(_cell(value)) for value in row.values()]
        room -= sum(len(str(cell)) for cell in cells)
        if room < 0 and rows:
            cut = f"only the first {len(rows)} rows: the answer would be too long; ask for fewer columns"
            break
        rows.append(cells)
    if not cut and table.num_rows > limit:
        cut = f"only the first {limit} rows; there are more"
    columns = [{"name": one.name, "type": type_name(one.type)} for one in table.schema]
    document = {"columns": columns, "rows": rows, "truncated": bool(cut), "note": cut}
    head = f"{len(rows)} row{'' if len(rows) == 1 else 's'}{f' ({cut})' if cut else ''}, as CSV:"
    return Answer(document, f"{head}\n{as_csv(names, rows)}")


def listed(what: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str], **more: Any) -> Answer:
    """Documents of one kind; their text has the columns `names`."""
    plain = [{name: _cell(value) for name, value in one.items()} for one in rows]
    text = as_csv(names, [[one.get(name) for name in names] for one in plain]) if plain else f"There are no {what}."
    return Answer({what: plain, **more}, text)


def one(document: Mapping[str, Any], text: str) -> Answer:
    """A document with its text."""
    return Answer({name: _cell(value) for name, value in document.items()}, text)


def failure(error: B24LakeError) -> Answer:
    """What went wrong, why, and what to do; never a secret."""
    told = {name: mask(text) for name, text in error.as_json().items() if text}
    return Answer({"error": told}, mask(str(error)), failed=True)


def as_csv(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    r"""Rows as CSV: whatever a cell holds, it ends where its quotation marks do.

    >>> as_csv(["a", "b"], [[1, "x, y"], [None, [2, 3]]])
    'a,b\n1,"x, y"\n,"[2, 3]"\n'
    """
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(names)
    for row in rows:
        lines.writerow(_text(each) if isinstance(each, list | dict | bool) else each for each in row)
    return out.getvalue()


def _bounded(cell: Any) -> Any:
    """A cell of a row; a list or map that is too long becomes the beginning of its text."""
    return _cell(_text(cell)) if isinstance(cell, list | dict) and len(_text(cell)) > LONGEST else cell


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cell(value: Any) -> Any:
    """A value as JSON has it: exact where it can be, text where it cannot, and never longer than `LONGEST`."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            near = float(value)
            return near if Decimal(repr(near)) == value else f"{value:f}"
        case datetime() | date():
            return value.isoformat()
        case str():
            return value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value):,} signs in all)"
        case bytes():
            return _cell(value.hex())
        case Mapping():
            return {str(name): _cell(each) for name, each in value.items()}
        case Sequence() | set() | frozenset():
            return [_cell(each) for each in value]
        case _:
            return _cell(str(value))

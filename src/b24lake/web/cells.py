"""Values of a table as cells of a page: short enough to be read in a line, and whole where somebody asks for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from b24lake.lake.texts import plain_value

LONGEST = 80  # signs of a cell
WHOLE = 50_000  # signs of a value that somebody may look at
BUDGET = 2_000_000  # signs of all of these on one page
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z


class Cell(NamedTuple):
    """A value. `text` None = there is none; `whole` is what a click shows, "" where `text` is all of it."""

    text: str | None
    whole: str = ""
    number: bool = False


@dataclass
class Cells:
    """The cells of one page: all that is shown of them as a whole stays within `left` signs. Times are in this zone."""

    zone: tzinfo
    left: int = field(default_factory=lambda: BUDGET)

    def cell(self, value: Any) -> Cell:
        """The next value."""
        made = cell(value, self.zone, most=min(WHOLE, self.left))
        self.left = max(0, self.left - len(made.whole))
        return made


def lines(rows: pa.Table, zone: tzinfo) -> list[list[Cell]]:
    """The rows as cells; times are in this zone."""
    made = Cells(zone)
    columns = [[made.cell(value) for value in _values(column)] for column in rows.columns]
    return [list(line) for line in zip(*columns, strict=True)]


def cell(value: Any, zone: tzinfo, *, most: int = WHOLE) -> Cell:
    """One value.

    most   signs of it as a whole
    """
    if value is None:
        return Cell(None)
    if isinstance(value, list | dict):
        text = orjson.dumps(value, default=plain_value, option=_OPTIONS).decode()
        pretty = orjson.dumps(value, default=plain_value, option=_OPTIONS | orjson.OPT_INDENT_2).decode()
        return Cell(_cut(text, LONGEST), _cut(pretty, most))
    text = plain(value, zone)
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if len(text) <= LONGEST and "\n" not in text:
        return Cell(text, number=number)
    return Cell(_cut(" ".join(text.split()), LONGEST), _cut(text, most))


def plain(value: Any, zone: tzinfo) -> str:
    """A value that is no list and no struct, for people."""
    match value:
        case datetime():
            moment = value.astimezone(zone) if value.tzinfo else value
            return f"{moment:%Y-%m-%d %H:%M:%S}"
        case Decimal():
            text = f"{value:f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
        case bytes():
            return value.hex()
        case bool():
            return str(value).lower()
    return str(value)


def _values(column: pa.ChunkedArray) -> list[Any]:
    return [value for chunk in column.chunks for value in chunk.to_pylist(maps_as_pydicts="lossy")]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} …"

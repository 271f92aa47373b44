"""The tables of the lake: by layer and folder, and one of them with its columns and some rows."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from fastapi import APIRouter, Response

from b24lake.lake import catalog, guarded, layers
from b24lake.lake.catalog import TableInfo
from b24lake.web.asking import Asked
from b24lake.web.rendering import Viewer

router = APIRouter(prefix="/catalog", include_in_schema=False)
ROWS = 50  # of a preview
LONGEST = 120  # characters of a value in a preview
UNITS = ("B", "kB", "MB", "GB", "TB")


@router.get("")
def tables(asked: Asked) -> Response:
    """Layers, their folders, and the tables in these."""
    lake = asked.site.here.lake
    found = catalog.tables(lake)
    shown = [(layer, _folders([one for one in found if one.layer == layer.name])) for layer in layers.layers(lake)]
    return asked.page("catalog/list.html", section="catalog", layers=shown, lake=str(lake), size=_size(asked.viewer))


@router.get("/{layer}/{name}")
def table(layer: str, name: str, asked: Asked) -> Response:
    """One table: its columns, and its last versions."""
    details = catalog.describe(asked.site.here.lake, f"{layer}.{name}")
    return asked.page("catalog/table.html", section="catalog", table=details, size=_size(asked.viewer))


@router.get("/{layer}/{name}/rows")
def rows(layer: str, name: str, asked: Asked) -> Response:
    """Some rows of a table, as a part of its page."""
    found = guarded.preview(asked.site.here.lake, f"{layer}.{name}", limit=ROWS)
    lines = [[_cell(value, asked.viewer) for value in row.values()] for row in found.to_pylist()]
    return asked.page("catalog/rows.html", names=found.column_names, lines=lines)


def _folders(found: list[TableInfo]) -> list[tuple[str, list[TableInfo]]]:
    """What is in no folder comes first."""
    found.sort(key=lambda one: (one.folder, one.name))
    return [(folder, list(within)) for folder, within in groupby(found, key=lambda one: one.folder)]


def _cell(value: Any, viewer: Viewer) -> str | None:
    """A value for people; None where there is none."""
    match value:
        case None:
            return None
        case datetime():
            text = viewer.moment(value)
        case str() | int() | float() | Decimal() | date():
            text = str(value)
        case _:
            text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _size(viewer: Viewer) -> Any:
    """A function bytes -> words; 1 kB = 1,000 bytes."""

    def words(count: int) -> str:
        value, step = float(count), 0
        while value >= 1000 and step < len(UNITS) - 1:
            value, step = value / 1000, step + 1
        return f"{viewer.language.number(value, 1 if step else 0)} {UNITS[step]}"

    return words

"""One table of the catalog: its columns, its last versions, and some rows."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Response

from b24lake.lake import guarded
from b24lake.web.asking import Asked
from b24lake.web.pages.one_table import frame
from b24lake.web.rendering import Viewer

router = APIRouter(prefix="/catalog", include_in_schema=False)
ROWS = 50  # of a preview
LONGEST = 120  # characters of a value in a preview


@router.get("/{layer}/{name}")
def schema(layer: str, name: str, asked: Asked) -> Response:
    """Its columns, and its last versions."""
    return asked.page("catalog/table.html", **frame(asked, layer, name, "schema"))


@router.get("/{layer}/{name}/rows")
def rows(layer: str, name: str, asked: Asked) -> Response:
    """Some rows of a table, as a part of its page."""
    found = guarded.preview(asked.site.here.lake, f"{layer}.{name}", limit=ROWS)
    lines = [[_cell(value, asked.viewer) for value in row.values()] for row in found.to_pylist()]
    return asked.page("catalog/rows.html", names=found.column_names, lines=lines)


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

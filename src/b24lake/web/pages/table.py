"""One table of the catalog: its columns with what is in them, and some of its rows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow.compute as pc
from fastapi import APIRouter, Response

from b24lake.control import cataloging
from b24lake.errors import B24LakeError
from b24lake.lake.catalog import opened
from b24lake.lake.index import Indexed
from b24lake.lake.peeking import filled, peek, peek_readable
from b24lake.lake.place import Place
from b24lake.web.asking import Asked, Asking
from b24lake.web.cells import Cell, Cells, lines
from b24lake.web.pages.one_table import frame

router = APIRouter(prefix="/catalog", include_in_schema=False)
ROWS = 50  # of a preview
LOOKED_AT = 200  # rows in which examples are looked for


class Sample(NamedTuple):
    """What is in the columns of one version: shares of 0 to 1, and a value of each as Arrow has it.

    error   why there are no examples
    """

    shares: dict[str, float]
    examples: dict[str, Any]
    error: B24LakeError | None = None


@lru_cache(maxsize=64)
def sample(lake: Place, layer: str, name: str, version: int, written: str) -> Sample:  # noqa: ARG001  see below
    """What is in the columns of a table; kept, since a version never changes. Raises as `peek`."""
    path, found = lake / layer / name, {}
    shares = filled(path, opened(path))
    rows = peek(lake, f"{layer}.{name}", limit=LOOKED_AT)
    for column, held in zip(rows.column_names, rows.columns, strict=True):
        some = pc.drop_null(held)
        if len(some):
            found[column] = some.slice(0, 1).to_pylist(maps_as_pydicts="lossy")[0]
    return Sample(shares, found)


@router.get("/{layer}/{name}")
def columns(layer: str, name: str, asked: Asked, whole: str = "") -> Response:
    """Its columns; what is in them comes after the page, since that takes a look into its files."""
    told = frame(asked, layer, name, "schema")
    table: Indexed = told["table"]
    looked = _sample(asked, table) if asked.fragment or whole else None
    tables = [one.info for one in asked.site.index.look(patience=0).tables]
    return asked.page(
        "catalog/columns.html" if asked.fragment else "catalog/table.html",
        **told,
        looked=looked,
        examples=_examples(asked, looked),
        folders=cataloging.folders(tables, layer),
    )


def _sample(asked: Asking, table: Indexed) -> Sample:
    info = table.info
    try:
        return sample(asked.site.here.lake, info.layer, info.name, info.version or 0, str(info.committed_at))
    except B24LakeError as error:
        return Sample({}, {}, error)


def _examples(asked: Asking, looked: Sample | None) -> dict[str, Cell]:
    if looked is None:
        return {}
    made = Cells(asked.viewer.zone)
    return {name: made.cell(value) for name, value in looked.examples.items()}


@router.get("/{layer}/{name}/rows")
def rows(layer: str, name: str, asked: Asked, view: str = "", whole: str = "") -> Response:
    """Some rows, as they are or readable; the page comes first, then the rows."""
    told = frame(asked, layer, name, "rows")
    table: Indexed = told["table"]
    readable = view == "readable" and table.info.has_view
    if not (asked.fragment or whole):
        return asked.page("catalog/preview.html", **told, readable=readable, grid=None)
    look = peek_readable if readable else peek
    found = look(asked.site.here.lake, table.info.sql_name, limit=ROWS)
    own = {column.name: column.comment for column in table.columns}
    grid = {
        "heads": [(column, own.get(column, ""), column not in own) for column in found.column_names],
        "lines": lines(found, asked.viewer.zone),
        "rows": table.info.rows,
    }
    page = "catalog/rows.html" if asked.fragment else "catalog/preview.html"
    return asked.page(page, **told, readable=readable, grid=grid)

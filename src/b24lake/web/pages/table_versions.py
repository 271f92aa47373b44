"""The versions of a table: all of them, and the rows and columns of any that can still be read."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from fastapi import APIRouter, Response

from b24lake.errors import B24LakeError, NotFoundError
from b24lake.lake.columns import comment, type_name
from b24lake.lake.comparing import schema_changes
from b24lake.lake.looking import rows_then
from b24lake.lake.table import schema_of
from b24lake.lake.versions import VersionInfo, as_of
from b24lake.web.asking import Asked, Asking
from b24lake.web.cells import lines
from b24lake.web.failing import status_of
from b24lake.web.pages.one_table import frame
from b24lake.web.pages.table_then import Table, shown, table_of

router = APIRouter(prefix="/catalog/{layer}/{name}/versions", include_in_schema=False)
LISTED = 100  # versions on a page
ROWS = 50  # of a version


@router.get("")
def versions(layer: str, name: str, asked: Asked) -> Response:
    """The versions, newest first, and which of them can be read until when."""
    table = table_of(asked, layer, name)
    given = asked.request.query_params.get("before", "")
    before = int(given) if given.isascii() and given.isdigit() else table.newest + 1
    some = [one for one in table.versions if one.version < before][: LISTED + 1]
    return asked.page(
        "catalog/versions/list.html",
        **frame(asked, layer, name, "versions"),
        versions=shown(asked, table, some[:LISTED]),
        older=some[LISTED - 1].version if len(some) > LISTED else None,
        first=before > table.newest,
        readable=[one for one in table.versions if one.readable],
        unreadable=sum(not one.readable for one in table.versions),
    )


@router.get("/{version}")
def look(layer: str, name: str, version: str, asked: Asked) -> Response:
    """Some rows of a version, with the columns that it had then."""
    table = table_of(asked, layer, name)
    info = numbered(table, version)
    told = {**frame(asked, layer, name, "versions"), "version": shown(asked, table, [info])[0], "newest": table.newest}
    try:
        rows = _rows(table, info)
    except B24LakeError as error:
        return asked.page("catalog/versions/look.html", status=status_of(error), **told, rows=None, error=error)
    changes = schema_changes(rows.schema, schema_of(table.delta))
    return asked.page("catalog/versions/look.html", **told, **_grid(asked, rows), changes=changes, error=None)


def numbered(table: Table, version: str) -> VersionInfo:
    """The version of this number. Raises NotFoundError where its log knows none."""
    found = next((one for one in table.versions if str(one.version) == version), None)
    if found is None:
        raise NotFoundError(
            f"There is no version {version} of {table.name}",
            why=f"its log knows {table.versions[-1].version} to {table.newest}" if table.versions else "",
            fix="choose one of those on the tab Versions",
        )
    return found


def _rows(table: Table, info: VersionInfo) -> pa.Table:
    as_of(table.versions, str(info.version), table.name)  # says why it cannot be read
    return rows_then(table.path, info.version, ROWS)


def _grid(asked: Asking, rows: pa.Table) -> dict[str, Any]:
    return {
        "columns": [(each.name, type_name(each.type), comment(each)) for each in rows.schema],
        "rows": lines(rows, asked.viewer.zone),
    }

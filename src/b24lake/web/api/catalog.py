"""/tables and /query: what is in the lake, and SQL over it."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from b24lake.control import claims, queries
from b24lake.control.models import Source
from b24lake.errors import NotFoundError, SqlError, UsageError
from b24lake.lake import catalog, views
from b24lake.lake.catalog import ColumnInfo, TableInfo
from b24lake.lake.guarded import Beginning
from b24lake.lake.readable import SUFFIX
from b24lake.web import querying
from b24lake.web.api import catalog_shapes as shapes
from b24lake.web.api.callers import Caller, Reader
from b24lake.web.api.strict import StrictRoute

router = APIRouter(tags=["tables"], route_class=StrictRoute)


@router.get("/tables", response_model=shapes.Tables)
def list_tables(caller: Reader) -> Any:
    """The tables of the lake and their readable views; for a token that is limited to sources, those of these."""
    found = catalog.tables(caller.site.here.lake)
    only = own_tables(caller)
    known = sorted([*found, *views.listed(found)], key=lambda one: one.sql_name)
    return {"tables": [_line(one) for one in known if only is None or _base(one.sql_name) in only]}


@router.get("/tables/{layer}/{table}", response_model=shapes.Table)
def show_table(caller: Reader, layer: str, table: str) -> Any:
    """A table, or the readable view of one, with its columns."""
    lake, name, only = caller.site.here.lake, f"{layer}.{table}", own_tables(caller)
    if only is not None and _base(name) not in only:
        raise NotFoundError(f"There is no table {name!r}", fix="GET /api/v1/tables lists the tables")
    try:
        view = views.view(lake, name) if views.is_view(lake, name) else None
        details = catalog.describe(lake, _base(name) if view else name)
    except UsageError as error:
        raise NotFoundError(error.what, why=error.why, fix="GET /api/v1/tables lists the tables") from None
    info = details.info
    return {
        "name": view.name if view else info.sql_name,
        "kind": "view" if view else "table",
        "description": info.description,
        "rows": info.rows,
        "version": info.version,
        "committed_at": info.committed_at,
        "columns": [_column(one) for one in (view.columns if view else details.columns)],
    }


@router.post("/query", response_model=shapes.Answer)
async def run_query(caller: Reader, body: shapes.Query, request: Request) -> Response:
    """Run one SELECT. It only reads, and ends when its time is up or whoever asked is gone."""
    sql = queries.checked(body.sql)

    def work(stop: Any) -> Beginning:
        only = own_tables(caller)
        return querying.beginning(caller.site, sql, limit=body.limit, seconds=body.seconds, only=only, stop=stop)

    try:
        found = await querying.until_gone(request, work)
    except SqlError as error:
        raise _with_place(sql, error) from None
    return Response(_document(found), media_type="application/json")


def own_tables(caller: Caller) -> frozenset[str] | None:
    """The tables that exist for a caller, as `layer.table`; None = all."""
    if caller.limited is None:
        return None
    lake, here = caller.site.here.lake, caller.site.here
    with caller.site.database.reading() as session:
        sources = [session.get(Source, one) for one in caller.limited]
        paths = [path for one in sources if one is not None for path in claims.tables_of(one, here).values()]
    return frozenset(f"{path.parent.name}.{path.name}" for path in paths if path.parent.parent == lake)


def _base(name: str) -> str:
    """The table of a view; a table is its own."""
    return name.removesuffix(SUFFIX)


def _line(one: TableInfo) -> dict[str, Any]:
    copied = ("kind", "layer", "folder", "stream", "description", "rows", "bytes", "version", "committed_at", "run_id")
    return {name: getattr(one, name) for name in copied} | {
        "name": one.sql_name,
        "table": one.name,
        "error": one.error,
    }


def _column(one: ColumnInfo) -> dict[str, Any]:
    return {"name": one.name, "type": one.type, "comment": one.comment, "nullable": one.nullable}


def _with_place(sql: str, error: SqlError) -> UsageError:
    """The error with its place in its reason, unless that is said there."""
    if not error.at or "in line " in error.why:
        return error
    line, column = sql.count("\n", 0, error.at[0]) + 1, error.at[0] - sql.rfind("\n", 0, error.at[0])
    why = f"{error.why.rstrip('.')}, in line {line}, column {column}".removeprefix(", ")
    return UsageError(error.what, why=why, fix=error.fix, code=error.code)


def _document(found: Beginning) -> bytes:
    """The answer as JSON, its values with all their digits."""
    from b24lake.lake.columns import type_name
    from b24lake.lake.texts import lines_of_json

    columns = [{"name": field.name, "type": type_name(field.type)} for field in found.rows.schema]
    lines = [bytes(lines_of_json(batch, after=",")) for batch in found.rows.to_batches()] if columns else []
    rows = b"".join(lines).removesuffix(b",")
    truncated = b"true" if found.cut else b"false"
    return b'{"columns":' + orjson.dumps(columns) + b',"rows":[' + rows + b'],"truncated":' + truncated + b"}"

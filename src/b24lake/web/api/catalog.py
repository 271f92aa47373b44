"""/tables and /query: what is in the lake, and SQL over it."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from b24lake.control import queries
from b24lake.errors import NotFoundError, SqlError, UsageError
from b24lake.lake import views
from b24lake.lake.catalog import ColumnInfo, TableInfo, find
from b24lake.lake.guarded import Beginning
from b24lake.lake.index import WHOLE
from b24lake.lake.readable import SUFFIX
from b24lake.web import querying
from b24lake.web.api import catalog_shapes as shapes
from b24lake.web.api.callers import Reader
from b24lake.web.api.strict import StrictRoute

router = APIRouter(tags=["tables"], route_class=StrictRoute)


@router.get("/tables", response_model=shapes.Tables)
def list_tables(caller: Reader) -> Any:
    """The tables of the lake and their readable views; for a token with limits, those that it may read."""
    reach, found = caller.reach, [one.info for one in caller.site.index.look(patience=WHOLE).tables]
    known = [one for one in found if reach.allows(one.sql_name)]
    known += [one for one in views.listed(found) if reach.allows(one.sql_name.removesuffix(SUFFIX))]
    return {"tables": [_line(one) for one in sorted(known, key=lambda one: one.sql_name)]}


@router.get("/tables/{layer}/{table}", response_model=shapes.Table)
def show_table(caller: Reader, layer: str, table: str) -> Any:
    """A table, or the readable view of one, with its columns."""
    lake = caller.site.here.lake
    try:
        name = caller.reach.found(f"{layer}.{table}")
        view = views.view(lake, name) if views.is_view(lake, name) else None
        path = find(lake, name.removesuffix(SUFFIX) if view else name)
        known = caller.site.index.table(path.parent.name, path.name)
    except UsageError as error:
        raise NotFoundError(error.what, why=error.why, fix="GET /api/v1/tables lists the tables") from None
    info = known.info
    return {
        "name": view.name if view else info.sql_name,
        "kind": "view" if view else "table",
        "description": info.description,
        "rows": info.rows,
        "version": info.version,
        "committed_at": info.committed_at,
        "columns": [_column(one) for one in (view.columns if view else known.columns)],
    }


@router.post("/query", response_model=shapes.Answer)
async def run_query(caller: Reader, body: shapes.Query, request: Request) -> Response:
    """Run one SELECT. It only reads, and ends when its time is up or whoever asked is gone."""
    sql = queries.checked(body.sql)

    def work(stop: Any) -> Beginning:
        limits = caller.reach.limits
        return querying.beginning(caller.site, sql, limit=body.limit, seconds=body.seconds, limits=limits, stop=stop)

    try:
        found = await querying.until_gone(request, work)
    except SqlError as error:
        raise _with_place(sql, error) from None
    return Response(_document(found), media_type="application/json")


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

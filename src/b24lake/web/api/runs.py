"""/runs: what runs there are, what they say, and one more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from b24lake.control import logs, runs
from b24lake.web.api import shapes
from b24lake.web.api.callers import Caller, Reader, Runner
from b24lake.web.api.paging import Cursor, Most, after_last, number_of
from b24lake.web.api.strict import StrictRoute

router = APIRouter(tags=["runs"], route_class=StrictRoute)
Level = Annotated[Literal["info", "warning", "error"], Query(description="From this level on")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="Asking again under the same key gives the same run, for a day",
    ),
]
_NDJSON = "application/x-ndjson"


@router.post("/sources/{source}/runs", status_code=202, response_model=shapes.Run)
def start_run(
    caller: Runner,
    source: str,
    body: shapes.NewRun | None = None,
    idempotency_key: Key = None,
) -> Any:
    """Ask for a run of a source: a worker takes it up within seconds."""
    asked, site = body or shapes.NewRun(full=False, streams=[]), caller.site
    with site.database.reading() as session:
        caller.source(session, source)
    run = runs.request(
        site.database,
        source,
        caller.now,
        full=asked.full,
        streams=asked.streams,
        requested_by=caller.who,
        key=idempotency_key or "",
    )
    return runs.shown(site.database, run)


@router.get("/runs", response_model=shapes.Runs)
def list_runs(
    caller: Reader,
    source: Annotated[str | None, Query(max_length=200, description="Of this source only")] = None,
    state: Annotated[list[shapes.State] | None, Query(description="In these states only")] = None,
    limit: Most = 50,
    cursor: Cursor = None,
) -> Any:
    """The newest runs first."""
    found = runs.listed(
        caller.site.database,
        source_id=source,
        states=state or (),
        limit=limit,
        among=caller.limited,
        before=cursor or "",
    )
    return {"runs": found, "next_cursor": after_last(found, limit, "cursor")}


@router.get("/runs/{run}", response_model=shapes.Run)
def show_run(caller: Reader, run: str) -> Any:
    """A run with its progress or its report, stream by stream."""
    _check(caller, run)
    return runs.shown(caller.site.database, run)


@router.get("/runs/{run}/log", response_model=shapes.Log)
def show_log(caller: Reader, run: str, level: Level = "info", limit: Most = 200, cursor: Cursor = None) -> Any:
    """The log of a run, the oldest line first; ask again with the last line's id as the cursor to follow it."""
    _check(caller, run)
    lines = logs.page(caller.site.database, run, level=level, after=number_of(cursor) or 0, limit=limit)
    return {"lines": lines, "next_cursor": after_last(lines, limit)}


@router.get(
    "/runs/{run}/log/download",
    response_class=StreamingResponse,
    responses={200: {"content": {_NDJSON: {"schema": {"type": "string"}}}, "description": "One JSON document a line"}},
)
def download_log(caller: Reader, run: str, level: Level = "info") -> StreamingResponse:
    """The whole log of a run as a file: one JSON document a line."""
    _check(caller, run)

    def lines() -> Iterator[bytes]:
        for line in logs.read(caller.site.database, run, level=level):
            yield shapes.LogLine.model_validate(line).model_dump_json().encode() + b"\n"

    return StreamingResponse(
        lines(), media_type=_NDJSON, headers={"Content-Disposition": f'attachment; filename="{run}.jsonl"'}
    )


@router.post("/runs/{run}/cancel", response_model=shapes.Run)
def cancel_run(caller: Runner, run: str) -> Any:
    """End a run. What it has read is kept: the next one goes on there."""
    _check(caller, run)
    runs.cancel(caller.site.database, run, caller.now, requested_by=caller.who)
    return runs.shown(caller.site.database, run)


@router.post("/runs/{run}/retry", status_code=202, response_model=shapes.Run)
def retry_run(caller: Runner, run: str) -> Any:
    """Ask for a run once more, with the same streams."""
    _check(caller, run)
    again = runs.retry(caller.site.database, run, caller.now, requested_by=caller.who)
    return runs.shown(caller.site.database, again)


def _check(caller: Caller, run: str) -> None:
    """Raises NotFoundError where there is no such run for this caller."""
    with caller.site.database.reading() as session:
        caller.run(session, run)

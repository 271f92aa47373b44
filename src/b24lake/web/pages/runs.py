"""Runs: the list of them, one of them while it goes on and when it has ended, and its log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from b24lake.control import course, logs, runs, waiting
from b24lake.control.database import Database
from b24lake.control.models import Source
from b24lake.control.runs import ENDED
from b24lake.control.telling import INFO
from b24lake.errors import UsageError
from b24lake.web.asking import Asked, Asking, Sent, may, seen_after

router = APIRouter(prefix="/runs", include_in_schema=False)
PAGE = 50  # runs
LINES = 300  # of a log
_MOMENTS = ("due_at", "queued_at", "not_before", "started_at", "ended_at")
Words = Annotated[str, Query(max_length=200)]


# --- the list ---------------------------------------------------------------------------------------------------------


@router.get("")
def listed(
    asked: Asked, state: Annotated[list[str], Query(default_factory=list)], source: str = "", before: str = ""
) -> Response:
    """The newest runs, page by page; of some states, and of one source, where they are named."""
    chosen = [one for one in state if one]
    found = runs.listed(asked.site.database, source_id=source or None, states=chosen, limit=PAGE + 1, before=before)
    shown = [for_people(run, asked.viewer.now) for run in found[:PAGE]]
    return asked.page(
        "runs/list.html",
        section="runs",
        runs=shown,
        sources=_sources(asked.site.database),
        source=source,
        states=chosen,
        here=_address("/runs", state=chosen, source=source, before=before),
        newest=_address("/runs", state=chosen, source=source) if before else "",
        older=_address("/runs", state=chosen, source=source, before=shown[-1]["cursor"]) if len(found) > PAGE else "",
    )


def for_people(run: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A run as `runs.listed` and `runs.shown` tell it, for templates: with moments, and with the seconds it took."""
    moments = {name: datetime.fromisoformat(run[name]) if run[name] else None for name in _MOMENTS}
    begun, ended = moments["started_at"], moments["ended_at"]
    seconds = max(0.0, ((ended or now) - begun).total_seconds()) if begun else None
    return {**run, **moments, "seconds": seconds, "live": run["state"] not in ENDED}


def _sources(database: Database) -> list[tuple[str, str]]:
    """The id and the name of every source, by name."""
    with database.reading() as session:
        return [(row.id, row.name) for row in session.execute(select(Source.id, Source.name).order_by(Source.name))]


def _address(path: str, **chosen: Any) -> str:
    """A path with what is chosen, without what is not."""
    query = urlencode({name: value for name, value in chosen.items() if value}, doseq=True)
    return f"{path}?{query}" if query else path


# --- one run ----------------------------------------------------------------------------------------------------------


@router.get("/{run_id}")
def shown(
    asked: Asked, run_id: str, level: str = INFO, q: Words = "", before: Annotated[int | None, Query(ge=0)] = None
) -> Response:
    """One run: its error first, then how far it is or what it did, stream by stream, and its log."""
    run = _run(asked, run_id)
    live = asked.fragment  # what follows the run asks for everything but the log, which follows by itself
    log = {} if live else _log(asked, run, level, q, before=before)
    return asked.page("runs/live.html" if live else "runs/run.html", section="runs", run=run, alone=False, **log)


@router.get("/{run_id}/progress")
def progress(asked: Asked, run_id: str) -> Response:
    """How far a run is, stream by stream: a fragment for other pages, which goes on by itself until the run ends."""
    return asked.page("runs/alone.html", run=_run(asked, run_id), alone=True)


@router.post("/{run_id}/cancel", dependencies=[may("editor")])
def cancel(asked: Asked, run_id: str, form: Sent) -> Response:  # noqa: ARG001  it has checked the token
    """End a run."""
    runs.cancel(asked.site.database, run_id, asked.viewer.now, requested_by=asked.actor.who)
    return seen_after(asked, f"/runs/{run_id}")


@router.post("/{run_id}/retry", dependencies=[may("editor")])
def retry(asked: Asked, run_id: str, form: Sent) -> Response:  # noqa: ARG001
    """Ask for a run once more, and look at it."""
    again = runs.retry(asked.site.database, run_id, asked.viewer.now, requested_by=asked.actor.who)
    return seen_after(asked, f"/runs/{again}")


def _run(asked: Asking, run_id: str) -> dict[str, Any]:
    database, now = asked.site.database, asked.viewer.now
    run = for_people(_found(asked, run_id), now)
    moving = run["progress"]
    return {
        **run,
        "streams": run["streams"] or [_moving(stream, now) for stream in moving.get("streams", [])],
        "so_far": _so_far(run),
        "rate": course.rate(run["course"]) if run["live"] else None,
        "waits": waiting.reason(database, run["id"], now) if run["live"] else None,
    }


def _found(asked: Asking, run_id: str) -> dict[str, Any]:
    try:
        return runs.shown(asked.site.database, run_id)
    except UsageError as error:
        raise HTTPException(404, error.what) from None


def _so_far(run: Mapping[str, Any]) -> dict[str, Any]:
    """The figures at the top: of a run at work those of its progress, else those that were written down."""
    moving, streams = run["progress"], run["progress"].get("streams", [])
    if not moving:
        return {name: run[name] for name in ("rows_read", "requests", "portal_seconds", "rests")}
    return {
        "rows_read": moving["rows"],
        "requests": run["requests"] + moving["requests"],
        "portal_seconds": run["portal_seconds"] + sum(stream.get("portal_seconds", 0.0) for stream in streams),
        "rests": run["rests"] + sum(stream.get("rests", 0) for stream in streams),
    }


def _moving(stream: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A stream of a run at work, with the names that a report has."""
    until = stream.get("rests_until")
    left = max(0.0, until - now.timestamp()) if until else None
    names = {"stream": stream["name"], "status": stream["state"], "rows_read": stream.get("rows")}
    return {**stream, **names, "rests_left": left}


# --- its log ----------------------------------------------------------------------------------------------------------


@router.get("/{run_id}/log")
def log(
    asked: Asked,
    run_id: str,
    level: str = INFO,
    q: Words = "",
    after: Annotated[int | None, Query(ge=0)] = None,
    before: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """Lines of the log: the last ones, those after a line, or those before one."""
    found = _log(asked, _found(asked, run_id), level, q, after=after, before=before)
    if after is not None and found["follows"] and not found["lines"]:
        return Response(status_code=204)
    return asked.page("runs/log_part.html", **found)


def _log(
    asked: Asking, run: Mapping[str, Any], level: str, words: str, *, after: int | None = None, before: int | None
) -> dict[str, Any]:
    """What the templates of the log need. The run must have been looked up before: its last lines are there then."""
    chosen: dict[str, Any] = {"level": level, "words": words, "after": after or 0, "before": before}
    lines = logs.tail(asked.site.database, run["id"], most=LINES, **chosen)
    filters = {"level": "" if level == INFO else level, "q": words}
    path = f"/runs/{run['id']}"
    last = lines[-1]["id"] if lines else after or 0
    follows = run["state"] not in ENDED and before is None
    full = len(lines) == LINES and after is None
    return {
        "lines": [{**line, "at": datetime.fromisoformat(line["at"])} for line in lines],
        "level": level,
        "sought": words,
        "part": after is not None or before is not None,
        "follows": _address(f"{path}/log", **filters, after=str(last)) if follows else "",
        "earlier": _address(f"{path}/log", **filters, before=lines[0]["id"]) if full else "",
        "earlier_page": _address(path, **filters, before=lines[0]["id"]) + "#log" if full else "",
        "downloads": {kind: _address(f"{path}/log.{kind}", **filters) for kind in ("txt", "ndjson")},
    }


@router.get("/{run_id}/log.{kind}")
def download(asked: Asked, run_id: str, kind: str, level: str = INFO, q: Words = "") -> Response:
    """The log as a file: NDJSON, or text with the times of the viewer's zone. Sent as it is read."""
    if kind not in _WRITTEN:
        raise UsageError(f"There is no log as {kind!r}", fix=f"choose of {', '.join(_WRITTEN)}")
    run = _found(asked, run_id)
    logs.from_level(level)  # a wrong one is told before anything is sent
    lines = logs.read(asked.site.database, run["id"], level=level)
    write, media = _WRITTEN[kind]
    headers = {"Content-Disposition": f'attachment; filename="{run["id"]}.{kind}"'}
    wanted = (line for line in lines if logs.holds(line, q))
    return StreamingResponse(write(wanted, asked), media_type=media, headers=headers)


def _ndjson(lines: Iterable[Mapping[str, Any]], asked: Asking) -> Iterator[bytes]:  # noqa: ARG001
    for line in lines:
        yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _text(lines: Iterable[Mapping[str, Any]], asked: Asking) -> Iterator[bytes]:
    for line in lines:
        at = datetime.fromisoformat(line["at"]).astimezone(asked.viewer.zone).isoformat(timespec="seconds")
        told = " ".join(f"{name}={value}" for name, value in line["data"].items())
        words = (at, f"{line['level']:7}", line["stream"] or "", line["event"], told)
        yield ("  ".join(word for word in words if word) + "\n").encode()


_WRITTEN = {"txt": (_text, "text/plain; charset=utf-8"), "ndjson": (_ndjson, "application/x-ndjson")}

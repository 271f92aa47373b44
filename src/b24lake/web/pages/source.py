"""The page of one source: how it is, its streams, its runs, and what happened to its columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control import recent, runs, triggers
from b24lake.control.models import Run, RunStream, SchemaChange, Source
from b24lake.control.recent import Recent
from b24lake.control.runs import CANCELED, ENDED, SUCCESS
from b24lake.streams.definitions import STREAMS
from b24lake.web.asking import Asked
from b24lake.web.pages.one_source import frame

router = APIRouter(prefix="/sources/{source_id}", include_in_schema=False)
CHARTED = 60  # runs in the charts
SHOW_RUNS, FORMS = ("overview", "streams", "runs", "schema"), ("state", "triggers", "settings", "alerts")
LISTED = 50  # runs, and changes of columns, on their tabs


@router.get("")
def overview(source_id: str, asked: Asked) -> Response:
    """How the source is: what is wrong first, then figures and charts."""
    told = frame(asked, source_id, "overview")
    source: Source = told["source"]
    with asked.site.database.reading() as session:
        shown = recent.newest(session, Source.id == source_id, count=CHARTED).get(source_id, [])
        began = recent.began(session, [run for run in shown if run.state == SUCCESS])
        last = next((run for run in shown if run.state in ENDED and run.state != CANCELED), None)
        error = session.scalar(select(Run.error).where(Run.id == last.id)) if last is not None else None
    ended = [run for run in reversed(shown) if run.state in ENDED and run.started_at]
    return asked.page(
        "source/overview.html",
        **told,
        last=last,
        error=error if last is not None and last.state != SUCCESS else None,
        next_at=triggers.next_run(source, told["of"].triggers, asked.viewer.now),
        streams=sum(one.selected for one in source.streams),
        charts=charts(ended, began, asked.viewer.now) if ended else None,
    )


def charts(ended: Sequence[Recent], began: dict[str, datetime | None], now: datetime) -> dict[str, Any]:
    """What the charts show: seconds since 1970, and for each run its rows and its seconds; freshness in hours.

    ended   runs that have ended, the oldest first
    began   when the data of each run that succeeded is from, by its id
    """
    successes = [(run.ended_at, began.get(run.id)) for run in ended if run.state == SUCCESS and run.whole]
    return {
        "at": [int(run.ended_at.timestamp()) for run in ended if run.ended_at],
        "rows": [run.rows_read for run in ended],
        "seconds": [round(run.seconds or 0, 1) for run in ended],
        "bad": [run.state != SUCCESS for run in ended],
        "fresh": freshness([(end, start) for end, start in successes if end and start], now),
    }


def freshness(successes: Iterable[tuple[datetime, datetime]], now: datetime) -> list[list[float]]:
    """How old the data was, in hours, as a line: it rises until a run succeeds, and falls to how long that run took.

    successes   (when a run ended, when its data is from), the oldest first
    """
    points: list[tuple[datetime, float]] = []
    ordered = list(successes)
    for place, (ended, began) in enumerate(ordered):
        if place:
            points.append((ended, _hours(ordered[place - 1][1], ended)))
        points.append((ended, _hours(began, ended)))
    if ordered:
        points.append((now, _hours(ordered[-1][1], now)))
    return [[at.timestamp() for at, _ in points], [hours for _, hours in points]]


def _hours(since: datetime, until: datetime) -> float:
    return round(max(0.0, (until - since).total_seconds()) / 3600, 3)


@router.get("/now")
def now(source_id: str, asked: Asked) -> Response:
    """How the source is at the moment. When its run is over, tabs that show runs load anew; forms are left alone."""
    tab = asked.request.query_params.get("tab", "")
    told = frame(asked, source_id, tab if tab in {*SHOW_RUNS, *FORMS} else "overview")
    answer = asked.page("source/now.html", **told)
    if told["at_work"] is None and told["tab"] in SHOW_RUNS:
        answer.headers["HX-Refresh"] = "true"
    return answer


@router.get("/streams")
def streams(source_id: str, asked: Asked) -> Response:
    """What is read, how, into which table, and how that went last."""
    told = frame(asked, source_id, "streams")
    source: Source = told["source"]
    with asked.site.database.reading() as session:
        last = _last_of_streams(session, [run.id for run in told["of"].runs if run.state in ENDED])
    read = [one for one in source.streams if one.selected]
    order = {name: place for place, name in enumerate(STREAMS)}
    lines = [(one, last.get(one.stream)) for one in sorted(read, key=lambda one: order.get(one.stream, len(order)))]
    return asked.page("source/streams.html", **told, lines=lines)


def _last_of_streams(session: Session, run_ids: Sequence[str]) -> dict[str, RunStream]:
    """What the newest of these runs (the newest first) that had a stream says of it, by stream."""
    place = {run_id: number for number, run_id in enumerate(run_ids)}
    found = session.scalars(select(RunStream).where(RunStream.run_id.in_(run_ids)))
    newest_last = sorted(found, key=lambda one: -place[one.run_id])
    return {one.stream: one for one in newest_last}


@router.get("/runs")
def its_runs(source_id: str, asked: Asked) -> Response:
    """The newest runs of the source."""
    told = frame(asked, source_id, "runs")
    found = runs.listed(asked.site.database, source_id=source_id, limit=LISTED)
    for run in found:
        run["at"] = datetime.fromisoformat(run["started_at"] or run["queued_at"])
        ends = (run["started_at"], run["ended_at"])
        start, end = (datetime.fromisoformat(at) if at else None for at in ends)
        run["seconds"] = (end - start).total_seconds() if start and end else None
    return asked.page("source/runs.html", **told, runs=found, most=LISTED)


@router.get("/schema")
def schema(source_id: str, asked: Asked) -> Response:
    """What happened to columns, the newest first."""
    told = frame(asked, source_id, "schema")
    query = select(SchemaChange).where(SchemaChange.source_id == source_id).order_by(SchemaChange.id.desc())
    with asked.site.database.reading() as session:
        found = session.scalars(query.limit(LISTED + 1)).all()
    return asked.page("source/schema.html", **told, changes=found[:LISTED], more=len(found) > LISTED)

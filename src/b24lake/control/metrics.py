"""The service in figures, as Prometheus reads them: counted from the runs whenever somebody asks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from b24lake import __version__
from b24lake.control.database import Database
from b24lake.control.health import healths
from b24lake.control.models import Run, Worker
from b24lake.control.runs import AT_WORK, ENDED, QUEUED, WAITING
from b24lake.control.workers import ALIVE

_COUNTERS = {
    "b24lake_rows_read_total": ("rows_read", "Rows that runs read."),
    "b24lake_requests_total": ("requests", "Requests to portals."),
    "b24lake_portal_seconds_total": ("portal_seconds", "Seconds of work that portals counted."),
    "b24lake_rests_total": ("rests", "Times that a method rested because of its operating time."),
}


class Sample(NamedTuple):
    """One value; `suffix` tells the parts of a summary apart."""

    labels: dict[str, str]
    value: float
    suffix: str = ""


class Family(NamedTuple):
    """One metric."""

    name: str
    kind: str
    help: str
    samples: list[Sample]


def text(families: Iterable[Family]) -> str:
    r"""The text format of Prometheus, version 0.0.4.

    >>> print(text([Family("up", "gauge", "Whether.", [Sample({"source": 'a"b'}, 1.0)])]), end="")
    # HELP up Whether.
    # TYPE up gauge
    up{source="a\"b"} 1
    """
    lines = []
    for family in families:
        lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
        lines += [f"{family.name}{one.suffix}{_labels(one.labels)} {_number(one.value)}" for one in family.samples]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    quoted = {
        name: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in quoted.items()) + "}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def families(database: Database, now: datetime) -> list[Family]:
    """All metrics."""
    with database.reading() as session:
        return [
            Family("b24lake_info", "gauge", "The version of the program.", [Sample({"version": __version__}, 1.0)]),
            *_totals(session, database.engine.dialect.name),
            *_queue(session, now),
            *_sources(session, now),
        ]


def _totals(session: Session, dialect: str) -> list[Family]:
    ended = (
        select(Run.source_id, Run.state, func.count()).where(Run.state.in_(ENDED)).group_by(Run.source_id, Run.state)
    )
    by_state = [Sample({"source": source, "state": state}, count) for source, state, count in session.execute(ended)]
    seconds = _seconds(dialect)
    totals = [func.sum(getattr(Run, column)) for column, _ in _COUNTERS.values()]
    rows = session.execute(
        select(Run.source_id, *totals, func.sum(seconds), func.count(seconds)).group_by(Run.source_id)
    ).all()
    counters = [
        Family(name, "counter", help_, [Sample({"source": row[0]}, float(row[number] or 0)) for row in rows])
        for number, (name, (_, help_)) in enumerate(_COUNTERS.items(), 1)
    ]
    took = [
        Sample({"source": row[0]}, float(value or 0), suffix)
        for row in rows
        for suffix, value in zip(("_sum", "_count"), row[-2:], strict=True)
    ]
    return [
        Family("b24lake_runs_total", "counter", "Ended runs by how they ended.", by_state),
        *counters,
        Family("b24lake_run_duration_seconds", "summary", "How long ended runs took.", took),
    ]


def _seconds(dialect: str) -> ColumnElement[Any]:
    """How long an ended run took; null where it has not ended or never began."""
    if dialect == "sqlite":
        return (func.julianday(Run.ended_at) - func.julianday(Run.started_at)) * 86400
    return func.extract("epoch", Run.ended_at - Run.started_at)


def _queue(session: Session, now: datetime) -> list[Family]:
    states = (*WAITING, *AT_WORK)
    found = select(Run.state, func.count()).where(Run.state.in_(states)).group_by(Run.state)
    counts = {row.state: row[1] for row in session.execute(found)}
    oldest = session.scalar(select(func.min(Run.queued_at)).where(Run.state == QUEUED))
    waited = (now - oldest).total_seconds() if oldest is not None else 0.0
    workers = session.scalar(select(func.count()).where(Worker.state == ALIVE)) or 0
    lengths = [Sample({"state": state}, counts.get(state, 0)) for state in states]
    return [
        Family("b24lake_queue_length", "gauge", "Runs that wait or are at work.", lengths),
        Family(
            "b24lake_queue_oldest_seconds", "gauge", "How long the oldest run waits.", [Sample({}, round(waited, 3))]
        ),
        Family("b24lake_workers", "gauge", "Workers that are alive.", [Sample({}, workers)]),
    ]


def _sources(session: Session, now: datetime) -> list[Family]:
    found = [*healths(session, now)]
    badges = [Sample({"source": source.id, "health": one.badge}, 1.0) for source, one in found]
    ages = [Sample({"source": source.id}, one.age(now)) for source, one in found if one.fresh_at is not None]
    return [
        Family("b24lake_source_health", "gauge", "How each source is doing.", badges),
        Family("b24lake_source_age_seconds", "gauge", "How old the data of each source may be.", ages),
    ]


def vital(database: Database, now: datetime) -> dict[str, Any]:
    """Whether the database answers, and how many workers live. Raises RetryError where it does not."""
    with database.reading() as session:
        beats = session.scalars(select(Worker.heartbeat_at).where(Worker.state == ALIVE)).all()
        waiting = session.scalar(select(func.count()).where(Run.state == QUEUED)) or 0
    youngest = max(beats, default=None)
    since = round((now - youngest).total_seconds(), 1) if youngest is not None else None
    return {"workers": len(beats), "last_heartbeat_seconds": since, "queued": waiting}

"""The newest runs of all sources at once: as many queries for a thousand sources as for one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Text, cast, func, literal, select
from sqlalchemy.orm import Session, aliased

from b24lake.control.models import Moment, Run, Source
from b24lake.control.runs import PARTIAL, SUCCESS

NEWEST = 14  # runs of a source that are looked at, besides its last success
_BEGINNING = datetime.fromtimestamp(0, UTC)
_WHOLE = cast(Run.streams, Text) == "[]"
_COLUMNS = (
    *(Run.id, Run.source_id, Run.state, _WHOLE.label("whole"), Run.attempt, Run.retry_of),
    *(Run.queued_at, Run.started_at, Run.ended_at, Run.rows_read),
)


class Recent(NamedTuple):
    """A run without its report; `whole` = it read all streams of the source."""

    id: str
    source_id: str
    state: str
    whole: bool
    attempt: int
    retry_of: str | None
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    rows_read: int

    @property
    def seconds(self) -> float | None:
        """How long it took; None where it has not ended, or never began."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at and self.started_at else None


def newest(session: Session, *which: ColumnElement[bool], count: int = NEWEST) -> dict[str, list[Recent]]:
    """The newest runs of each source, newest first; `which` are conditions on sources."""
    nth = select(Run.queued_at).where(Run.source_id == Source.id).order_by(Run.queued_at.desc())
    since = func.coalesce(nth.offset(count - 1).limit(1).scalar_subquery(), literal(_BEGINNING, Moment()))
    first = select(Source.id, since.label("since")).where(*which).cte("first").prefix_with("MATERIALIZED")
    query = select(*_COLUMNS).join(first, (Run.source_id == first.c.id) & (Run.queued_at >= first.c.since))
    found: dict[str, list[Recent]] = {}
    # Sorted here: an order would have SQLite go through all runs instead of the newest ones of each source.
    for run in sorted(_read(session.execute(query)), key=lambda run: (run.queued_at, run.id), reverse=True):
        runs = found.setdefault(run.source_id, [])
        if len(runs) < count:
            runs.append(run)
    return found


def last_successes(session: Session, *which: ColumnElement[bool]) -> dict[str, Recent]:
    """The last run of each source that succeeded and read all its streams, where there is one."""
    one = aliased(Run)
    succeeded = one.source_id == Source.id, one.state == SUCCESS, cast(one.streams, Text) == "[]"
    last = select(one.id).where(*succeeded).order_by(one.queued_at.desc()).limit(1).scalar_subquery()
    ids = [found for found in session.scalars(select(last).where(*which).select_from(Source)) if found is not None]
    return {run.source_id: run for run in _read(session.execute(select(*_COLUMNS).where(Run.id.in_(ids))))}


def began(session: Session, runs: Collection[Recent]) -> dict[str, datetime | None]:
    """How fresh the data of each run is, by its id: when it began, or, of automatic retries, the first attempt.

    The retry of a partial run reads only what failed: the rest is as old as that run.
    """
    found = {run.id: run.started_at for run in runs}
    behind = {run.retry_of: run.id for run in runs if run.attempt > 1 and run.retry_of}
    while behind:  # as many times as there were attempts
        query = select(Run.id, Run.started_at, Run.attempt, Run.retry_of)
        further: dict[str, str] = {}
        for row in session.execute(query.where(Run.id.in_(behind), Run.state == PARTIAL)):
            found[behind[row.id]] = row.started_at
            if row.attempt > 1 and row.retry_of:
                further[row.retry_of] = behind[row.id]
        behind = further
    return found


def _read(rows: Iterable[Row[Any]]) -> Iterable[Recent]:
    return map(Recent._make, rows)

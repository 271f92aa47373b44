"""The log of each run: structured lines with a level, kept in the database, as many as anyone will read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from b24lake.control.database import Database
from b24lake.control.models import Run, RunLog
from b24lake.control.telling import INFO, LEVELS, WARNING, Line
from b24lake.errors import UsageError

MOST_LINES = 5_000  # of one run
KEPT = timedelta(days=90)  # after the end of its run
_PAGE = 1_000


def add(session: Session, run_id: str, at: datetime, lines: Iterable[Line]) -> None:
    """Append lines of the same moment."""
    write(session, run_id, [(at, line) for line in lines])


def write(session: Session, run_id: str, lines: list[tuple[datetime, Line]]) -> None:
    """Append lines, each with its moment; beyond `MOST_LINES` only the last one says that there were more."""
    if not lines:
        return
    had = session.scalar(select(func.count()).where(RunLog.run_id == run_id)) or 0
    room = MOST_LINES - had
    if room <= 0:
        return
    if len(lines) >= room:
        lines = [*lines[: room - 1], (lines[room - 1][0], Line(WARNING, "the log ends here: it is full"))]
    session.execute(insert(RunLog), [_row(run_id, at, line) for at, line in lines])


def begin(session: Session, at: datetime, first: Mapping[str, Line]) -> None:
    """The first line of each of many new runs, at once."""
    if first:
        session.execute(insert(RunLog), [_row(run_id, at, line) for run_id, line in first.items()])


def _row(run_id: str, at: datetime, line: Line) -> dict[str, Any]:
    return {"run_id": run_id, "at": at, **line._asdict()}


def read(database: Database, run_id: str, *, level: str = INFO, after: int = 0) -> Iterator[dict[str, Any]]:
    """The lines of a run from a level on, oldest first, as JSON; `after` is the id of the last one known.

    Raises UsageError for a level that there is not.
    """
    if level not in LEVELS:
        raise UsageError(f"There is no level {level!r}", fix=f"choose of {', '.join(LEVELS)}")
    levels = LEVELS[LEVELS.index(level) :]
    while True:
        query = select(RunLog).where(RunLog.run_id == run_id, RunLog.id > after, RunLog.level.in_(levels))
        with database.reading() as session:
            page = session.scalars(query.order_by(RunLog.id).limit(_PAGE)).all()
        yield from (_as_json(line) for line in page)
        if len(page) < _PAGE:
            return
        after = page[-1].id


def prune(session: Session, now: datetime) -> None:
    """Forget the lines of runs that ended long ago; the runs themselves, small rows, stay."""
    old = select(Run.id).where(Run.ended_at < now - KEPT)
    session.execute(delete(RunLog).where(RunLog.run_id.in_(old)).execution_options(synchronize_session=False))


def _as_json(line: RunLog) -> dict[str, Any]:
    return {
        "id": line.id,
        "at": line.at.isoformat(),
        "level": line.level,
        "stream": line.stream,
        "event": line.event,
        "data": line.data,
    }

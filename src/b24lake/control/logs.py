"""The log of each run: structured lines with a level, kept in the database, as many as anyone will read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
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
    levels = from_level(level)
    while True:
        query = select(RunLog).where(RunLog.run_id == run_id, RunLog.id > after, RunLog.level.in_(levels))
        with database.reading() as session:
            page = session.scalars(query.order_by(RunLog.id).limit(_PAGE)).all()
        yield from (_as_json(line) for line in page)
        if len(page) < _PAGE:
            return
        after = page[-1].id


def tail(
    database: Database,
    run_id: str,
    *,
    level: str = INFO,
    words: str = "",
    after: int = 0,
    before: int | None = None,
    most: int = 300,
) -> list[dict[str, Any]]:
    """The last lines of a run, oldest first, as JSON.

    words           only lines that hold this text somewhere, in whatever case
    after, before   only lines with larger, or smaller, ids

    Raises UsageError for a level that there is not.
    """
    which = [RunLog.run_id == run_id, RunLog.id > after, RunLog.level.in_(from_level(level))]
    which += [] if before is None else [RunLog.id < before]
    with database.reading() as session:
        if words:
            texts = select(RunLog.id, RunLog.event, RunLog.stream, RunLog.data).where(*which).order_by(RunLog.id)
            found = [row[0] for row in session.execute(texts) if _says(words.casefold(), *row[1:])]
            which = [RunLog.id.in_(found[-most:])]
        lines = session.scalars(select(RunLog).where(*which).order_by(RunLog.id.desc()).limit(most)).all()
    return [_as_json(line) for line in reversed(lines)]


def holds(line: Mapping[str, Any], words: str) -> bool:
    """Whether a line says something, whatever its case.

    >>> holds({"event": "reading", "stream": "deals", "data": {"table": "raw.b_deals"}}, "RAW.")
    True
    """
    return _says(words.casefold(), line["event"], line["stream"], line["data"])


def _says(words: str, event: str, stream: str | None, data: Mapping[str, Any]) -> bool:
    told = (f"{name}={value}" for name, value in data.items())
    return words in "\n".join((event, stream or "", *told)).casefold()


def from_level(level: str) -> Sequence[str]:
    """A level and the graver ones. Raises UsageError where there is no such level."""
    if level not in LEVELS:
        raise UsageError(f"There is no level {level!r}", fix=f"choose of {', '.join(LEVELS)}")
    return LEVELS[LEVELS.index(level) :]


def page(
    database: Database, run_id: str, *, level: str = INFO, after: int = 0, limit: int = _PAGE
) -> list[dict[str, Any]]:
    """At most `limit` lines, as `read`."""
    return list(islice(read(database, run_id, level=level, after=after), limit))


def prune(session: Session, now: datetime) -> None:
    """Forget the lines of runs that ended long ago; the runs themselves, small rows, stay longer."""
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

"""What the pages of one source share: finding it, changing it, and the frame around its tabs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import HTTPException
from sqlalchemy.orm import Session

from b24lake.control.database import take_turns
from b24lake.control.health import Looked, looked
from b24lake.control.models import Source
from b24lake.control.runs import AT_WORK, WAITING
from b24lake.web.asking import Asking


def existing(asked: Asking, source_id: str) -> Source:
    """The source; 404 where there is none."""
    with asked.site.database.reading() as session:
        return _got(session.get(Source, source_id))


@contextmanager
def changing(asked: Asking, source_id: str) -> Iterator[tuple[Session, Source]]:
    """A transaction that changes the source, alone; 404 where there is none."""
    with asked.site.database.writing() as session:
        take_turns(session)
        yield session, _got(session.get(Source, source_id, with_for_update=True))


def _got(source: Source | None) -> Source:
    if source is None:
        raise HTTPException(404)
    return source


def frame(asked: Asking, source_id: str, tab: str) -> dict[str, Any]:
    """What the head of every tab shows: the source, how it is, and what it is doing. 404 where there is none."""
    with asked.site.database.reading() as session:
        found = looked(session, asked.viewer.now, Source.id == source_id)
    one: Looked = found[0] if found else _missing()
    at_work = next((run for run in one.runs if run.state in (*AT_WORK, *WAITING)), None)
    return {"section": "sources", "tab": tab, "source": one.source, "health": one.health, "at_work": at_work, "of": one}


def _missing() -> Looked:
    raise HTTPException(404)

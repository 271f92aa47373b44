"""What lists say about many things at once: sources with their health, what happened to columns, workers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control import choices, triggers
from b24lake.control.health import Looked, looked
from b24lake.control.models import SchemaChange, Source, Worker


def sources(session: Session, now: datetime, among: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Each source in a line, by id; `among` are ids of the only ones that count."""
    which = () if among is None else (Source.id.in_(among),)
    return [_source(one, now) for one in looked(session, now, *which)]


def _source(one: Looked, now: datetime) -> dict[str, Any]:
    source, health = one.source, one.health
    return {
        "id": source.id,
        "name": source.name,
        "state": source.state,
        "health": health.badge,
        "portal": source.portal_address,
        "streams": len(choices.selected(source.streams)),
        "last_state": health.last_state,
        "last_ended_at": health.last_ended_at,
        "fresh_at": health.fresh_at,
        "next_at": triggers.next_run(source, one.triggers, now),
        "description": source.description,
        "updated_at": source.updated_at,
    }


def schema_changes(
    session: Session, source_id: str, *, limit: int = 50, before: int | None = None
) -> list[dict[str, Any]]:
    """What happened to the columns of a source's tables, the newest first; `before` = older than the one of this id."""
    query = select(SchemaChange).where(SchemaChange.source_id == source_id).order_by(SchemaChange.id.desc())
    query = query.where(SchemaChange.id < before) if before is not None else query
    return [
        {
            "id": one.id,
            "at": one.at,
            "run": one.run_id,
            "stream": one.stream,
            "table": one.table_name,
            "kind": one.kind,
            "column": one.column,
            "detail": one.detail,
        }
        for one in session.scalars(query.limit(limit))
    ]


def workers(session: Session, *, limit: int = 100) -> list[dict[str, Any]]:
    """The workers, the one that was heard of last first."""
    names = ("id", "host", "pid", "state", "version", "started_at", "heartbeat_at")
    query = select(Worker).order_by(Worker.heartbeat_at.desc(), Worker.id).limit(limit)
    return [{name: getattr(worker, name) for name in names} for worker in session.scalars(query)]

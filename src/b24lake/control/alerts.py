"""What is worth a message, and that it is sent once: one row for each event and channel.

failed      a run failed, or some of its streams did, and no retry is left; once until the source succeeds again
stopped     it failed so often in a row that the source takes no more runs
late        a schedule has passed without success; once until the source succeeds again
recovered   a run succeeded after one of these was told
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control.models import Alert, Channel, Run, Source

FAILED, STOPPED, LATE, RECOVERED, TEST = "failed", "stopped", "late", "recovered", "test"
KINDS = (FAILED, STOPPED, LATE, RECOVERED)
_BAD = (FAILED, STOPPED, LATE)
_LOOK_BACK = 100  # runs among which the last success is looked for


def failed(session: Session, source: Source, run: Run, now: datetime) -> None:
    """A run is not a success, and will not be tried again by itself."""
    _raise(session, source, run, FAILED, f"{FAILED}:{source.id}:{_last_success(session, source.id)}", now)


def stopped(session: Session, source: Source, run: Run, now: datetime) -> None:
    """A source was stopped by this run."""
    _raise(session, source, run, STOPPED, f"{STOPPED}:{run.id}", now)


def late(session: Session, source: Source, now: datetime) -> None:
    """A source's data is older than it should be."""
    _raise(session, source, None, LATE, f"{LATE}:{source.id}:{_last_success(session, source.id)}", now)


def recovered(session: Session, source: Source, run: Run, now: datetime) -> None:
    """A run succeeded: tell the channels that know of trouble."""
    for channel in _channels(session, RECOVERED):
        told = select(Alert.kind).where(Alert.source_id == source.id, Alert.channel_id == channel.id)
        if session.scalar(told.order_by(Alert.id.desc()).limit(1)) in _BAD:
            _add(session, source, run, RECOVERED, f"{RECOVERED}:{run.id}", channel, now)


def _raise(session: Session, source: Source, run: Run | None, kind: str, key: str, now: datetime) -> None:
    known = set(session.scalars(select(Alert.channel_id).where(Alert.event_key == key)))
    for channel in _channels(session, kind):
        if channel.id not in known:
            _add(session, source, run, kind, key, channel, now)


def _channels(session: Session, kind: str) -> list[Channel]:
    """The channels that want to know; one without a choice wants all."""
    enabled = session.scalars(select(Channel).where(Channel.enabled).order_by(Channel.id))
    return [channel for channel in enabled if not channel.events or kind in channel.events]


def _add(
    session: Session, source: Source, run: Run | None, kind: str, key: str, channel: Channel, now: datetime
) -> None:
    run_id = run.id if run is not None else None
    session.add(
        Alert(source_id=source.id, run_id=run_id, kind=kind, event_key=key, channel_id=channel.id, created_at=now)
    )


def _last_success(session: Session, source_id: str) -> str:
    """The last run that read the whole source: what is told since then is about the same trouble."""
    query = select(Run.id, Run.streams).where(Run.source_id == source_id, Run.state == "success")
    rows = session.execute(query.order_by(Run.ended_at.desc()).limit(_LOOK_BACK))
    return next((row.id for row in rows if not row.streams), "")


def message(kind: str, source: Source | None, run: Run | None, at: datetime) -> dict[str, Any]:
    """What a channel gets, as JSON; `text` is the whole of it in words, as chat programs show it."""
    error: Mapping[str, str] = (run.error or {}) if run is not None else {}
    name = source.name if source is not None else "b24lake"
    part = "some streams of " if run is not None and run.state == "partial" else ""
    said = {
        FAILED: f"{name}: {part}the last run failed",
        STOPPED: f"{name} is stopped after {source.failures if source is not None else 0} failures in a row",
        LATE: f"{name} is late: a schedule has passed without success",
        RECOVERED: f"{name} has recovered: the last run succeeded",
        TEST: "b24lake can reach this channel",
    }[kind]
    parts = [said, *(f"{error[part]}" for part in ("what", "why", "fix") if error.get(part))]
    parts += [f"Resume it with `b24lake source resume {source.id}`"] if kind == STOPPED and source is not None else []
    return {
        "event": kind,
        "text": ". ".join(part.rstrip(".") for part in parts) + ".",
        "at": at.isoformat(),
        "source": source.id if source is not None else None,
        "source_name": source.name if source is not None else None,
        "run": run.id if run is not None else None,
        "state": run.state if run is not None else None,
        "error": dict(error) or None,
    }

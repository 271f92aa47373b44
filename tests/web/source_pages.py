"""Sources with runs, for the tests of their pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from web_site import Web

from b24lake.control import runs
from b24lake.control.models import Source


def ran(web: Web, source: str, state: str, hours: float = 1, **columns: Any) -> str:
    """A run that was asked for so many hours ago and took a minute."""
    at = datetime.now(UTC) - timedelta(hours=hours)
    times = {"started_at": at, "ended_at": at + timedelta(minutes=1)} if state in runs.ENDED else {}
    with web.site.database.writing() as session:
        owner = session.get_one(Source, source)
        return runs.add(session, owner, at, cause="manual", state=state, **{**times, **columns}).id


def state_of(web: Web, source: str) -> str | None:
    """The state of a source; None where there is none."""
    with web.site.database.reading() as session:
        found = session.get(Source, source)
        return found.state if found else None

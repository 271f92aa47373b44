"""What the process of a run gets to know: the run's source as options of a sync, and the webhook."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control.models import Run, RunStream, Source
from b24lake.control.runs import FAILED, repeats_part
from b24lake.control.secrets import Keyring
from b24lake.control.source_settings import options_of, webhook_of
from b24lake.errors import UsageError
from b24lake.lake.place import ObjectPath, Place
from b24lake.sync.home import Home


def job_of(session: Session, run: Run, keyring: Keyring, home: Home, lake: Place) -> dict[str, Any]:
    """The job as JSON; the webhook in it is the secret itself.

    lake   of the installation, where the source names none

    Raises UsageError where the webhook cannot be unsealed, or where there is nothing to read.
    """
    source = session.get_one(Source, run.source_id)
    options = asdict(options_of(source, lake))
    chosen = _failed_before(session, run) or run.streams
    wanted = [name for name in options["streams"] if not chosen or name in chosen]
    if not wanted:
        raise UsageError(f"The source {source.id} reads no stream", fix="select at least one")
    webhook = webhook_of(source, keyring)
    return {
        "run_id": run.id,
        # Parts in the lake are named after a run, and those of an interrupted one may already belong to a table.
        "read_as": run.id if run.claims == 1 else f"{run.id}-{run.claims}",
        "webhook": f"{webhook.origin}/rest/{webhook.user}/{webhook.code}/",
        "home": str(home.path.absolute()),
        "options": {name: _plain(value) for name, value in (options | {"streams": wanted, "full": run.full}).items()},
    }


def _failed_before(session: Session, run: Run) -> list[str]:
    """What an automatic retry of a partial run reads again."""
    before = repeats_part(session, run)
    if before is None:
        return []
    failed = select(RunStream.stream).where(RunStream.run_id == before.id, RunStream.status == FAILED)
    return [*session.scalars(failed)]


def _plain(value: Any) -> Any:
    """Durations as seconds, paths as absolute texts."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, ObjectPath):
        return str(value)
    return str(value.absolute()) if isinstance(value, Path) else value

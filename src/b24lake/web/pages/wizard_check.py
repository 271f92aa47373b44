"""The wizard's last step: the source as it is now, its first run, and the tables that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response

from b24lake.control import choices, claims, runs, sources, starting, triggers
from b24lake.control.models import Source
from b24lake.control.setup import CHECK
from b24lake.control.sources import DRAFT
from b24lake.errors import UsageError
from b24lake.lake.place import Place
from b24lake.web.asking import Asked, Asking, Sent, may, seen_after
from b24lake.web.pages import wizard_frame as frame
from b24lake.web.pages.triggers import says, source_names
from b24lake.web.pages.wizard_frame import Errors

router = APIRouter(prefix="/sources/{source_id}/setup/check", include_in_schema=False, dependencies=[may("editor")])


@dataclass(frozen=True, slots=True)
class Line:
    """A stream of the run that is shown, and its table.

    status   as the run tells it; "" = it has not begun
    there    whether the table can be looked at
    """

    stream: str
    table: str
    status: str = ""
    rows: int | None = None
    share: float | None = None
    error: str = ""
    there: bool = False


@router.get("")
def check(asked: Asked, source_id: str) -> Response:
    """The finished source."""
    source = frame.look(asked, source_id)
    return frame.detour(source, CHECK) or _shown(asked, source)


@router.post("")
def switch_on(asked: Asked, source_id: str, form: Sent) -> Response:
    """Make a draft active whose steps are all done, as a copy's are."""
    try:
        with asked.site.database.writing() as session:
            source = frame.get(session, asked, source_id, lock=True)
            frame.refuse_stale(asked, source, form)
            if source.state == DRAFT:
                sources.activate(session, asked.actor, source)
    except UsageError as error:
        return _shown(asked, frame.look(asked, source_id), {"": error})
    return frame.onward(asked, source, CHECK, form)


@router.post("/run")
def run(asked: Asked, source_id: str, form: Sent) -> Response:  # noqa: ARG001  its token is what counts
    """Run the source now. Pressed twice, there is one run all the same."""
    source, site = frame.look(asked, source_id), asked.site
    starting.press(site.database, source.id, asked.viewer.now, requested_by=asked.actor.who)
    if asked.fragment:
        return asked.page("wizard/run.html", source=source, **_run(asked, source))
    return seen_after(asked, frame.path(source.id, CHECK))


@router.get("/run")
def progress(asked: Asked, source_id: str) -> Response:
    """How the newest run is going."""
    source = frame.look(asked, source_id)
    return asked.page("wizard/run.html", source=source, **_run(asked, source))


def _shown(asked: Asking, source: Source, errors: Errors | None = None) -> Response:
    names = source_names(asked.site.database)
    with asked.site.database.reading() as session:
        told = [(says(one.spec, asked, names), one.full) for one in triggers.listed(session, source.id) if one.enabled]
    selected = choices.selected(source.streams)
    return frame.show(asked, source, CHECK, errors=errors, triggers=told, streams=selected, **_run(asked, source))


def _run(asked: Asking, source: Source) -> dict[str, Any]:
    """The newest run with its streams, and which tables are there."""
    newest = runs.listed(asked.site.database, source_id=source.id, limit=1)
    shown = runs.shown(asked.site.database, newest[0]["id"]) if newest else None
    told: dict[str, dict[str, Any]] = {}
    if shown is not None:
        told = {one["name"]: one for one in shown["progress"].get("streams", [])}
        told |= {one["stream"]: {**one, "state": one["status"], "rows": one["rows_read"]} for one in shown["streams"]}
    tables = claims.tables_of(source, asked.site.here)
    return {
        "run": shown,
        "ended": shown is not None and shown["state"] in runs.ENDED,
        "lines": [_line(name, path, told.get(name, {})) for name, path in tables.items()],
        "states": _states(asked),
    }


def _line(stream: str, path: Place, told: Mapping[str, Any]) -> Line:
    return Line(
        stream,
        claims.shown(path),
        told.get("state", ""),
        told.get("rows"),
        told.get("share"),
        told.get("error") or "",
        (path / "_delta_log").is_dir(),
    )


def _states(asked: Asking) -> dict[str, str]:
    """The states of runs and of their streams, for people."""
    return {
        "": asked.say("waiting"),
        "pending_events": asked.say("waits for other sources"),
        "queued": asked.say("in the queue"),
        "running": asked.say("running"),
        "cancelling": asked.say("is being canceled"),
        "canceled": asked.say("canceled"),
        "success": asked.say("success"),
        "partial": asked.say("partial"),
        "failed": asked.say("failed"),
        "waiting": asked.say("waiting"),
        "reading": asked.say("reading"),
        "resting": asked.say("resting"),
        "empty": asked.say("empty"),
        "locked": asked.say("locked"),
        "skipped": asked.say("skipped"),
    }

"""The state of a source: its bookmarks, seen, moved back and reset, each with what that means."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, HTTPException, Response

from b24lake.control import bookmarks
from b24lake.control.bookmarks import Mark
from b24lake.errors import B24LakeError
from b24lake.web.asking import Asked, Asking, Sent, may, seen_after
from b24lake.web.pages.one_source import existing, frame

router = APIRouter(prefix="/sources/{source_id}/state", include_in_schema=False)
REWIND, RESET = "rewind", "reset"


@router.get("")
def state(source_id: str, asked: Asked) -> Response:
    """Where the next incremental read of each stream begins. The logs of tables are read once the page is there."""
    if asked.fragment:
        found = bookmarks.shown(existing(asked, source_id), asked.site.here)
        return asked.page("source/bookmarks.html", source_id=source_id, marks=found, moment=_moment)
    told = frame(asked, source_id, "state")
    now = "all" in asked.request.query_params  # without scripts
    marks = bookmarks.shown(told["source"], asked.site.here) if now else None
    return asked.page("source/state.html", **told, source_id=source_id, marks=marks, moment=_moment)


def _moment(mark: Mark) -> datetime | None:
    """The bookmark as a time; None where it is none."""
    if mark.bookmark is None or mark.bookmark.kind != "time" or not mark.bookmark.value:
        return None
    return datetime.fromtimestamp(mark.bookmark.value / 1000, UTC)


@router.get("/{stream}", dependencies=[may("editor")])
def edit(source_id: str, stream: str, asked: Asked) -> Response:
    """One bookmark, and what can be done to it."""
    return _edit(asked, source_id, stream)


def _edit(
    asked: Asking, source_id: str, stream: str, *, where: str = "", error: B24LakeError | None = None
) -> Response:
    told = frame(asked, source_id, "state")
    mark = bookmarks.of_stream(told["source"], asked.site.here, stream)
    at = _moment(mark)
    shown = where or (at.astimezone(asked.viewer.zone).strftime("%Y-%m-%dT%H:%M:%S") if at else mark.value)
    return asked.page(
        "source/bookmark.html",
        status=400 if error else 200,
        **told,
        mark=mark,
        at=at,
        where=shown,
        zone=str(asked.viewer.zone),
        error=error,
    )


@router.post("/{stream}", dependencies=[may("editor")])
def change(source_id: str, stream: str, asked: Asked, form: Sent) -> Response:
    """Move a bookmark to where it was said, or have the next run read everything."""
    source, site = existing(asked, source_id), asked.site
    what, where = form.text("what"), form.text("where")
    if what not in {REWIND, RESET}:
        raise HTTPException(400, asked.say("Choose what to do with the bookmark."))
    try:
        target = None if what == RESET else _in_utc(where, asked)
        wanted = bookmarks.put(site.database, site.here, asked.actor, source, stream, target)
    except B24LakeError as error:
        return _edit(asked, source_id, stream, where=where, error=error)
    said = asked.say("The next run reads {stream} in full.")
    if wanted.value:
        said = asked.say("The next run reads {stream} from the new place on.")
    return seen_after(asked, f"/sources/{source_id}/state", said.format(stream=stream))


def _in_utc(where: str, asked: Asking) -> str:
    """What was typed, a time of the viewer's zone made one of UTC; the rules are those of the command line."""
    try:
        moment = datetime.fromisoformat(where)
    except ValueError:
        return where
    if where.isdigit():
        return where
    at = moment if moment.tzinfo else moment.replace(tzinfo=asked.viewer.zone)
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

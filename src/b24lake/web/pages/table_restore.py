"""A restore: what it would do, in words, and the restore itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response

from b24lake.control import tables
from b24lake.errors import B24LakeError, UsageError
from b24lake.lake import restoring
from b24lake.lake.table import Bookmark
from b24lake.lake.versions import as_of
from b24lake.web.asking import Asked, Asking, Sent, may, seen_after
from b24lake.web.failing import status_of
from b24lake.web.jobs import DONE, FAILED
from b24lake.web.pages.one_table import frame
from b24lake.web.pages.table_diff import compared
from b24lake.web.pages.table_then import Table, shown, table_of
from b24lake.web.pages.table_versions import numbered

router = APIRouter(prefix="/catalog/{layer}/{name}", include_in_schema=False)


@router.get("/versions/{version}/restore", dependencies=[may("editor")])
def confirm(layer: str, name: str, version: str, asked: Asked) -> Response:
    """What a restore would do. Its rows are counted in the background, and asked for as a part of the page."""
    return _page(asked, layer, name, version)


@router.post("/restore", dependencies=[may("editor")])
def restore(layer: str, name: str, asked: Asked, form: Sent) -> Response:
    """Make the version the newest one, unless there is a newer one than was seen."""
    version, newest = form.text("version"), form.text("newest")
    if not all(each.isascii() and each.isdigit() and len(each) < 19 for each in (version, newest)):
        raise UsageError("This form is not whole", fix="load the page again and repeat the change")
    site = asked.site
    try:
        done = tables.restore(
            site.database, site.here, asked.actor, f"{layer}.{name}", int(version), newest=int(newest)
        )
    except B24LakeError as error:
        return _page(asked, layer, name, version, error=error)
    site.index.changed()
    said = asked.say("{table} holds again what it held in version {version}. This is version {new}.")
    if done.version is None:
        said = asked.say("Version {version} is the newest one of {table}: nothing was written.")
    told = said.format(table=f"{layer}.{name}", version=version, new=done.version)
    return seen_after(asked, f"/catalog/{layer}/{name}/versions", told)


def _page(asked: Asking, layer: str, name: str, version: str, *, error: B24LakeError | None = None) -> Response:
    table = table_of(asked, layer, name)
    info = numbered(table, version)
    told: dict[str, Any] = {"version": shown(asked, table, [info])[0], "newest": table.newest, "job": None}
    told |= {"bookmark": None, "at": None, "address": f"/catalog/{layer}/{name}/versions/{version}/restore"}
    try:
        as_of(table.versions, version, table.name)
        if info.version != table.newest:
            told |= _effect(asked, table, info.version)
    except B24LakeError as unreadable:
        error = error or unreadable
        told["hopeless"] = True
    if asked.fragment:
        return asked.page("catalog/versions/effect.html", **told)
    values = {"hopeless": False, **told, "error": error}
    status = status_of(error) if error else 200
    return asked.page("catalog/versions/restore.html", status=status, **frame(asked, layer, name, "versions"), **values)


def _effect(asked: Asking, table: Table, version: int) -> dict[str, Any]:
    job = compared(asked, table, table.newest, version)
    bookmark = restoring.bookmark_of(table.path, table.delta, version)
    return {
        "job": job,
        "done": job.state == DONE,
        "failed": job.state == FAILED,
        "bookmark": bookmark,
        "at": _at(bookmark),
    }


def _at(bookmark: Bookmark | None) -> datetime | None:
    """The bookmark as a time; None where it is none."""
    if bookmark is None or bookmark.kind != "time" or not bookmark.value:
        return None
    return datetime.fromtimestamp(bookmark.value / 1000, UTC)

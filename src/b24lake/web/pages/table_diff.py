"""Two versions of a table side by side: rows that came, went or changed, compared in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import APIRouter, Response

from b24lake.errors import B24LakeError, UsageError
from b24lake.lake.comparing import Comparison, RowChange
from b24lake.lake.comparing_apart import UnwantedError, compared_apart
from b24lake.lake.place import Place
from b24lake.lake.versions import VersionInfo, as_of
from b24lake.web.asking import Asked, Asking
from b24lake.web.cells import Cell, Cells
from b24lake.web.failing import status_of
from b24lake.web.jobs import DONE, FAILED, Job
from b24lake.web.pages.one_table import frame
from b24lake.web.pages.table_then import Table, shown, table_of

router = APIRouter(prefix="/catalog/{layer}/{name}", include_in_schema=False)
LISTED = 500  # rows of each kind that are held ready
ON_A_PAGE = 50
KINDS = ("changed", "added", "removed")
PATIENCE = 20.0
"""Seconds without a question after which nobody waits for a comparison: a page asks every second."""
_TURNS = threading.BoundedSemaphore(2)
"""Comparisons at once: each may take as much memory as a query."""


@dataclass(slots=True)
class Course:
    """How far a comparison is, and when somebody asked for it last."""

    share: float = 0.0
    asked: float = field(default_factory=time.monotonic)

    def wanted(self) -> bool:
        """Whether somebody still waits."""
        return time.monotonic() - self.asked < PATIENCE

    def went_on(self, share: float) -> None:
        """Note how far it is."""
        self.share = share


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a comparison as it is shown.

    cells   of a changed row: column, before, after; of others: column, value
    """

    key: Cell
    cells: tuple[tuple[str, Cell, Cell] | tuple[str, Cell], ...]


def compared(asked: Asking, table: Table, before: int, after: int) -> Job:
    """The comparison of two versions that can be read, which goes on as long as somebody asks for it."""
    key, jobs, now = f"compare {table.path} {before} {after}", asked.site.jobs, asked.viewer.now
    course = Course()
    work = partial(_work, table.path, before, after, course)
    job = jobs.start(key, work, now, course=course)
    if job.state == FAILED and not isinstance(job.error, UsageError):
        return job
    if job.state == FAILED and isinstance(job.error, UnwantedError):
        job = jobs.start(key, work, now, again=True, course=course)
    job.course.asked = time.monotonic()
    return job


def _work(path: Place, before: int, after: int, course: Course) -> Comparison:
    while not _TURNS.acquire(timeout=0.5):
        if not course.wanted():
            raise UnwantedError("The comparison was stopped", why="nobody waited for it", fix="ask for it again")
    try:
        return compared_apart(path, before, after, limit=LISTED, went_on=course.went_on, wanted=course.wanted)
    finally:
        _TURNS.release()


@router.get("/diff")
def diff(layer: str, name: str, asked: Asked) -> Response:
    """What became of the rows between two versions; as a part of a page: how far that is, or what was found."""
    table = table_of(asked, layer, name)
    told: dict[str, Any] = {"readable": [one for one in table.versions if one.readable]}
    try:
        chosen = _chosen(asked, table)
    except B24LakeError as error:
        return _page(asked, layer, name, told, error=error)
    before, after = shown(asked, table, chosen)
    told |= {"before": before, "after": after, "address": f"/catalog/{layer}/{name}/diff"}
    if before.number == after.number:
        return _page(asked, layer, name, told, same=True)
    job = compared(asked, table, before.number, after.number)
    if job.state == FAILED:
        return _page(asked, layer, name, told, error=job.error)
    if job.state != DONE:
        return _page(asked, layer, name, told, job=job)
    return _page(asked, layer, name, {**told, **_result(asked, job.result)}, job=job)


def _chosen(asked: Asking, table: Table) -> list[VersionInfo]:
    """The versions `from` and `to`. Raises UsageError where there is no such one, or where it cannot be read."""
    given = asked.request.query_params
    newest = str(table.newest)
    wanted = [given.get("from", newest), given.get("to", newest)]
    return [as_of(table.versions, each, table.name) for each in wanted]


def _page(
    asked: Asking,
    layer: str,
    name: str,
    told: Mapping[str, Any],
    *,
    job: Job | None = None,
    error: B24LakeError | None = None,
    same: bool = False,
) -> Response:
    values = {"before": None, "after": None, "found": None, **told, "job": job, "error": error, "same": same}
    if asked.fragment:  # what went wrong is shown in the place of the result
        return asked.page("catalog/versions/compared.html", **values)
    status = status_of(error) if error else 200
    return asked.page("catalog/versions/diff.html", status=status, **frame(asked, layer, name, "versions"), **values)


def _result(asked: Asking, found: Comparison) -> dict[str, Any]:
    counts = {kind: int(getattr(found, kind)) for kind in KINDS}
    given = asked.request.query_params
    kind = given.get("kind", "")
    if kind not in KINDS:
        kind = next((each for each in KINDS if counts[each]), KINDS[0])
    some = [row for row in found.rows if row.kind == kind]
    pages = max(1, -(-len(some) // ON_A_PAGE))
    page = given.get("page", "")
    number = min(int(page), pages) if page.isascii() and page.isdigit() and 0 < len(page) < 6 else 1
    here = some[(max(number, 1) - 1) * ON_A_PAGE :][:ON_A_PAGE]
    made = Cells(asked.viewer.zone)
    columns = sorted(found.columns.items(), key=lambda each: (-each[1], each[0]))
    return {
        "found": found,
        "counts": counts,
        "kind": kind,
        "rows": [_row(row, made) for row in here],
        "names": _names(here, found.key),
        "held": len(some),
        "number": max(number, 1),
        "pages": pages,
        "columns": columns,
    }


def _names(rows: list[RowChange], key: str) -> list[str]:
    """The columns of which rows that came or went have values, in the order of the table."""
    return [name for name in dict.fromkeys(name for row in rows for name in (row.after or row.before)) if name != key]


def _row(row: RowChange, made: Cells) -> Row:
    text = made.cell
    if row.kind == "changed":
        return Row(
            text(row.key), tuple((name, text(row.before[name]), text(value)) for name, value in row.after.items())
        )
    held = row.after if row.kind == "added" else row.before
    return Row(text(row.key), tuple((name, text(value)) for name, value in held.items()))

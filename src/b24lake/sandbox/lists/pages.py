"""Pages of a list: `start`, `total`, `next`. Source: settings/how-to-call-rest-api/list-methods-pecularities.md."""

from collections.abc import Sequence
from typing import Any

from b24lake.sandbox.params import to_int
from b24lake.sandbox.replies import Reply

PAGE = 50


def page(ids: Sequence[int], start: Any, *, exact: bool, counted: bool) -> tuple[Sequence[int], int | None, int | None]:
    """The ids of a page, its `total` and its `next`.

    start     -1 = the first rows, uncounted; otherwise an offset, which classic methods floor to full pages
    exact     whether the offset is taken as it is
    counted   whether `start=-1` answers carry `total: 0`
    """
    offset = to_int(start)
    if offset == -1:
        return ids[:PAGE], (0 if counted else None), None
    offset = max(0, offset)
    if not exact:
        offset -= offset % PAGE
    end = offset + PAGE
    return ids[offset:end], len(ids), (end if end < len(ids) else None)


def page_of(rows: list[Any], start: Any, *, exact: bool = True, counted: bool = True, under: str = "") -> Reply:
    """A page of rows that are at hand as dicts."""
    shown, total, following = page(range(len(rows)), start, exact=exact, counted=counted)
    listed = [rows[at] for at in shown]
    return Reply({under: listed} if under else listed, total, following, len(listed))

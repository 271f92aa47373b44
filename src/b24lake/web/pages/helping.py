"""What the words of the screens mean: triggers, sync types, retention."""

from __future__ import annotations

from fastapi import APIRouter, Response

from b24lake.web.asking import Asked

router = APIRouter(prefix="/help", include_in_schema=False)


@router.get("")
def all_of_it(asked: Asked) -> Response:
    """The three of them, one below the other; their headings can be linked to."""
    return asked.page("help/all.html", section="help")

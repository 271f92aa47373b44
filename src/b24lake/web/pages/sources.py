"""The list of sources, and what can be done to one from there."""

from __future__ import annotations

from fastapi import APIRouter, Response

from b24lake.web.asking import Asked

router = APIRouter(prefix="/sources", include_in_schema=False)


@router.get("")
def sources(asked: Asked) -> Response:
    """All sources."""
    return asked.page("sources.html", section="sources")

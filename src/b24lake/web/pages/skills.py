"""The skills file for agents, at an address that stays."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from b24lake.agents import inventory
from b24lake.agents.skill import FORMS, skill
from b24lake.errors import B24LakeError
from b24lake.web.agents import reader_of, refused
from b24lake.web.site import Site

router = APIRouter(include_in_schema=False)
_MARKDOWN = "text/markdown; charset=utf-8"


@router.get("/sources/bitrix.md")
def skills_file(request: Request, form: str = "markdown", tables: str = "1", download: str = "") -> Response:
    """The connector and the tables here; `form=skill` as SKILL.md, `tables=0` the connector alone."""
    site: Site = request.app.state.site
    try:
        reader = reader_of(site, request, sessions=True)
        found = None if tables == "0" else inventory.told(reader.index, reader.reach)
    except B24LakeError as error:
        return refused(error)
    kind = form if form in FORMS else "markdown"
    named = {"Content-Disposition": f'attachment; filename="{_NAMES[kind]}"'} if download else {}
    return Response(skill(found, form=kind), media_type=_MARKDOWN, headers=named)


_NAMES = {"markdown": "bitrix.md", "skill": "SKILL.md"}

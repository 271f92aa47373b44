"""The front door, static files, and what a viewer sets for themselves: language and time zone."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from b24lake.web import assets
from b24lake.web.asking import Asked, Sent
from b24lake.web.language import LANGUAGES

router = APIRouter(include_in_schema=False)
YEAR = 365 * 86_400


@router.get("/")
def home() -> Response:
    """The sources are the main entry."""
    return RedirectResponse("/sources", status_code=303)


@router.get("/static/{name:path}")
def static(name: str, request: Request) -> Response:
    """A static file."""
    return assets.send(name, request)


@router.post("/settings/language")
def change_language(asked: Asked, form: Sent) -> Response:
    """Speak another language from now on, and go back to where the viewer was."""
    back = urlsplit(asked.request.headers.get("referer", ""))  # its path alone: never away from here
    response = RedirectResponse(urlunsplit(("", "", back.path or "/sources", back.query, "")), status_code=303)
    code = form.text("language")
    if code in LANGUAGES:
        response.set_cookie("language", code, max_age=YEAR, samesite="lax", httponly=True)
    return response

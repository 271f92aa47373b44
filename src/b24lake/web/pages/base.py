"""The front door, static files, and what a viewer sets for themselves: language and time zone."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from b24lake.web import assets
from b24lake.web.asking import Asked, Sent
from b24lake.web.language import LANGUAGES
from b24lake.web.security import local_path

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
    response = RedirectResponse(came_from(asked.request.headers.get("referer", "")), status_code=303)
    code = form.text("language")
    if code in LANGUAGES:
        response.set_cookie("language", code, max_age=YEAR, samesite="lax", httponly=True)
    return response


def came_from(referer: str) -> str:
    """The page that a form was on, as a path of this app.

    >>> came_from("http://localhost:8025/runs?state=failed"), came_from("http://localhost:8025//evil.example")
    ('/runs?state=failed', '/sources')
    """
    try:
        back = urlsplit(referer)
    except ValueError:
        return "/sources"
    address = f"{back.path}?{back.query}" if back.query else back.path
    return address if address.startswith("/login") else local_path(address)

"""Who asks, and what they send: the dependencies of every page.

A page takes `Asked` (who, in which language and zone, on which site); one that changes something takes `Sent` as well,
which has checked the form's token, and says which role may do it: `dependencies=[may("editor")]` at its router.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Annotated, Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import FormData, UploadFile

from b24lake.control.audit import Actor
from b24lake.web import rendering, said, sessions
from b24lake.web.language import chosen, language
from b24lake.web.rendering import Viewer
from b24lake.web.security import token_fits
from b24lake.web.sessions import Session
from b24lake.web.site import Site


@dataclass(frozen=True, slots=True)
class Asking:
    """One request: the site it came to, who looks, and their session."""

    site: Site
    viewer: Viewer
    session: Session
    request: Request

    @property
    def actor(self) -> Actor:
        """As whom a change goes into the audit trail."""
        return Actor(self.viewer.name or self.site.who, self.viewer.now)

    @property
    def fragment(self) -> bool:
        """Whether htmx asks, for a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A template as the answer; a whole page also says what a change before it had to say."""
        told = [] if self.fragment else said.take(self.site, self.request)
        answer = rendering.page(template, self.viewer, {"said": told, **values}, status=status)
        answer.headers["Vary"] = "HX-Request"  # a part of a page is no answer to "back"
        if told:
            answer.delete_cookie(said.COOKIE)
        return answer

    def say(self, message: str) -> str:
        """A text in the viewer's language. Call it with the text itself: the catalogues are made from these calls."""
        return self.viewer.language.text(message)

    def told(self, words: str) -> str:
        """What a service said, in the viewer's language."""
        return self.viewer.language.wording.told(words)


def asking(request: Request) -> Asking:
    """The request as pages see it."""
    site: Site = request.app.state.site
    session: Session = request.state.session
    code = chosen(request.cookies.get("language"), request.headers.get("accept-language", ""))
    viewer = Viewer(
        language(code),
        zone(request.cookies.get("zone", "")),
        site.clock(),
        token=sessions.token(site, session),
        name=request.state.name,
        role=request.state.role,
    )
    return Asking(site, viewer, session, request)


def zone(name: str) -> tzinfo:
    """A zone by its IANA name, as the browser tells it; UTC for what is none.

    >>> str(zone("America%2FSao_Paulo")), str(zone("../etc"))
    ('America/Sao_Paulo', 'UTC')
    """
    try:
        return ZoneInfo(unquote(name)) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


Asked = Annotated[Asking, Depends(asking)]


@dataclass(frozen=True, slots=True)
class Form:
    """What a form sent. Files and unknown names are left to whoever asks for them."""

    data: FormData

    def text(self, name: str, otherwise: str = "") -> str:
        """A field without blanks around it."""
        value = self.data.get(name)
        return value.strip() if isinstance(value, str) else otherwise

    def secret(self, name: str) -> str:
        """A password as it was typed: blanks around it are part of it."""
        value = self.data.get(name)
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """All values of a field that may be there several times."""
        return [value.strip() for value in self.data.getlist(name) if isinstance(value, str)]

    def on(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self.text(name) in {"on", "true", "1"}

    def under(self, prefix: str) -> Mapping[str, str]:
        """The fields whose names begin so, by what follows: `table.deals` under `table.` is `deals`."""
        return {
            name.removeprefix(prefix): value.strip()
            for name, value in self.data.items()
            if name.startswith(prefix) and not isinstance(value, UploadFile)
        }


async def sent(request: Request, asked: Asked) -> Form:
    """The form of a request that changes something. Refuses one without its session's token (403)."""
    data = await request.form(max_fields=20_000)
    if any("\0" in name or (isinstance(value, str) and "\0" in value) for name, value in data.multi_items()):
        raise HTTPException(400, asked.say("Text cannot hold the NUL character."))  # PostgreSQL has no place for it
    field = data.get("token")
    token = request.headers.get("x-csrf-token") or (field if isinstance(field, str) else "")
    if not token_fits(token, asked.viewer.token):
        raise HTTPException(403, asked.say("This form is out of date. Load the page again and repeat the change."))
    return Form(data)


Sent = Annotated[Form, Depends(sent)]


def may(role: str) -> Any:
    """A dependency that lets in whoever has at least this role."""

    def check(asked: Asked) -> None:
        if not asked.viewer.may(role):
            raise HTTPException(403, asked.say("Your account may look at this, but not change it."))

    return Depends(check)


def seen_after(asked: Asking, address: str, *texts: str) -> Response:
    """Where to go on after a change: the browser loads `address`, by htmx or by itself, and is told these texts."""
    response = (
        Response(status_code=204, headers={"HX-Redirect": quote(address, safe="/?#&=%:,;@+")})
        if asked.fragment
        else RedirectResponse(address, status_code=303)
    )
    if texts:
        said.send(asked.site, texts, asked.request, response)
    return response

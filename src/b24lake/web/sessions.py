"""Sessions: a signed cookie that says which one it is and whose, and the token that its forms carry.

No session is kept on the server, so it outlives a restart; one whose account is gone or was changed ends, and so does
one that was logged out.
"""

from __future__ import annotations

import hmac
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from b24lake.control.logins import KEPT
from b24lake.web.site import Site

COOKIE = "b24lake_session"
SECONDS = int(KEPT.total_seconds())


@dataclass(frozen=True, slots=True)
class Session:
    """A browser.

    id        nobody can guess it
    account   whose, "" before the login and where there is none
    stamp     changes with the account's password and role: an older one is worth nothing
    """

    id: str
    account: str = ""
    stamp: str = ""


def new(site: Site, account: str = "", stamp: str = "") -> Session:
    """A session nobody has had before: at the first visit, and at each login."""
    return Session(site.random(16).hex(), account, stamp)


def cookie(request: Request) -> str:
    """The cookie's name. With TLS, no other host of the domain and no page without TLS can set one of this name."""
    return f"__Host-{COOKIE}" if request.url.scheme == "https" else COOKIE


def read(site: Site, request: Request) -> Session | None:
    """The session of a request's cookie; None for one that is not ours or too old."""
    try:
        held: Any = _signer(site).loads(request.cookies.get(cookie(request), ""), max_age=SECONDS)
        return Session(**held)
    except (BadSignature, TypeError):
        return None


def send(site: Site, session: Session, request: Request, response: Response) -> None:
    """Put the session's cookie into an answer."""
    response.set_cookie(
        cookie(request),
        _signer(site).dumps(asdict(session)),
        max_age=SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def token(site: Site, session: Session) -> str:
    """What a form of this session carries."""
    return hmac.new(site.secret, f"form:{session.id}".encode(), "sha256").hexdigest()


def _signer(site: Site) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(site.secret, salt="session")

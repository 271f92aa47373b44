"""What a page says after a change that led to it: carried in a signed cookie, and shown once."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from b24lake.web.site import Site

COOKIE = "b24lake_said"
SECONDS = 60
_MOST = 1200  # signs: browsers keep cookies of up to 4 kB


def send(site: Site, texts: Sequence[str], request: Request, response: Response) -> None:
    """Have the next page say this."""
    kept: list[str] = []
    for text in texts:
        if sum(map(len, kept)) + len(text) <= _MOST:
            kept.append(text)
    secure = request.url.scheme == "https"
    value = _signer(site).dumps(kept)
    response.set_cookie(COOKIE, value, max_age=SECONDS, httponly=True, samesite="lax", secure=secure)


def take(site: Site, request: Request) -> list[str]:
    """What the page before wanted to be said."""
    try:
        held = _signer(site).loads(request.cookies.get(COOKIE, ""), max_age=SECONDS)
    except BadSignature:
        return []
    return [str(text) for text in held]


def _signer(site: Site) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(site.secret, salt="said")

"""Who may ask, and what a page may do: Host and Origin, forged forms, headers. Pure decisions and one middleware.

Sources: the Fetch and CSP standards; OWASP's cheat sheets on CSRF and HTTP headers.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse

from b24lake.web import sessions
from b24lake.web.site import Site

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
Next = Callable[[Request], Awaitable[Response]]


def loopback(host: str) -> bool:
    """Whether an address is this machine's own: only there does the app work without a login.

    >>> loopback("127.0.0.1"), loopback("::1"), loopback("localhost"), loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_allowed(host: str, hosts: Collection[str]) -> bool:
    """Whether a Host header names this app; otherwise a page elsewhere has its own name lead here (DNS rebinding).

    hosts   names it may be called by beside those of the loopback; "*" = any
    """
    name = urlsplit(f"//{host}").hostname or ""
    return "*" in hosts or name in hosts or loopback(name)


def origin_allowed(origin: str | None, site: str | None, host: str) -> bool:
    """Whether a request that changes something comes from one of our own pages, or from no page at all.

    origin, site   the headers Origin and Sec-Fetch-Site
    """
    if site is not None and site not in {"same-origin", "none"}:
        return False
    return origin is None or urlsplit(origin).netloc == host


def token_fits(sent: str, kept: str) -> bool:
    """Whether a form carries the token of its session."""
    return bool(kept) and hmac.compare_digest(sent.encode(), kept.encode())


def guard(site: Site) -> Callable[[Request, Next], Awaitable[Response]]:
    """The middleware: refuses foreign hosts and origins, finds the session, and sends the headers with every answer."""

    async def guarded(request: Request, call_next: Next) -> Response:
        host = request.headers.get("host", "")
        if not host_allowed(host, site.hosts):
            return PlainTextResponse(f"This app is not called {host!r} here. See --allow-host.", status_code=421)
        if request.method not in SAFE and not origin_allowed(
            request.headers.get("origin"), request.headers.get("sec-fetch-site"), host
        ):
            return PlainTextResponse("This request comes from another page.", status_code=403)
        known = sessions.read(site, request.cookies.get(sessions.COOKIE))
        session = request.state.session = known or sessions.new(site)
        request.state.name, request.state.role = "", "manager"
        response = await call_next(request)
        if known is None and response.headers.get("content-type", "").startswith("text/html"):
            sessions.send(site, session, request, response)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return guarded

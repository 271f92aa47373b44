"""Who may ask, and what a page may do: Host and Origin, forged forms, headers. Pure decisions and one middleware.

Sources: the Fetch and CSP standards; OWASP's cheat sheets on CSRF and HTTP headers.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import quote, urlsplit

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from b24lake.control import logins
from b24lake.errors import B24LakeError
from b24lake.web import sessions
from b24lake.web.failing import failure
from b24lake.web.site import Site

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",  # what one person saw is not for the next one at the same browser
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ANY = "*"
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.ASCII | re.IGNORECASE)
_OPEN = (
    *("/login", "/static/", "/settings/language", "/llms.txt", "/healthz"),
    *("/metrics", "/api/v1", "/mcp", "/sources/bitrix.md"),
)
"""Where no login is asked for; those in the second line ask for a token themselves."""
_PUBLISHED = re.compile(r"/help/[a-z-]+\.md")
"""The documentation as Markdown, for programs: the same for everybody, and published with the source code."""
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

    hosts   names it may be called by beside those of the loopback; `ANY` = by any

    >>> host_allowed("localhost:8025", ()), host_allowed("evil.example", ()), host_allowed("[::1]:80", ())
    (True, False, True)
    """
    if not _HOST.fullmatch(host):
        return False
    name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    return ANY in hosts or name in hosts or loopback(name)


def origin_allowed(origin: str | None, site: str | None, host: str, scheme: str = "http") -> bool:
    """Whether a request comes from one of our own pages, or from no page at all.

    origin, site   the headers Origin and Sec-Fetch-Site
    scheme         of the request: a page that came without TLS may have been anybody's
    """
    if site is not None and site not in {"same-origin", "none"}:
        return False
    if origin is None:
        return True
    began, _, named = origin.partition("://")
    return named.lower() == host.lower() and (began == scheme or (began, scheme) == ("https", "http"))


def token_fits(sent: str, kept: str) -> bool:
    """Whether a form carries the token of its session."""
    return bool(kept) and hmac.compare_digest(sent.encode("utf-8", "replace"), kept.encode())


def local_path(address: str, otherwise: str = "/sources") -> str:
    """An address to go on to, where it is a path of this app: never away from here.

    >>> local_path("/runs?state=failed"), local_path("//evil.example"), local_path("https://evil.example")
    ('/runs?state=failed', '/sources', '/sources')
    """
    own = re.fullmatch(r"/(?![/\\])[^\\\x00-\x20\x7f]*", address) is not None
    return quote(address, safe="/?#[]!$&'()*+,;:@%=~-._") if own and not address.startswith("/login") else otherwise


def guard(site: Site) -> Callable[[Request, Next], Awaitable[Response]]:
    """The middleware: refuses foreign hosts and origins, finds who asks, and sends the headers with every answer."""

    async def guarded(request: Request, call_next: Next) -> Response:
        request.state.session, request.state.name, request.state.role = sessions.new(site), "", ""
        response = _refused(site, request) or await _answered(site, request, call_next)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return guarded


def _refused(site: Site, request: Request) -> Response | None:
    """What is said to a request that no page of ours made."""
    host = request.headers.get("host", "")
    if not host_allowed(host, site.hosts):
        return _said(request, 421, f"This app is not called {host!r} here", "see --allow-host")
    # Looking is free for links from elsewhere; the API has no pages, and some of its answers ask a portal first.
    guarded = request.method not in SAFE or request.url.path.startswith("/api/v1/")
    origin, fetched = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if guarded and not origin_allowed(origin, fetched, host, request.url.scheme):
        return _said(request, 403, "This request comes from another page", "ask from a page of this app")
    if "\0" in request.url.path or "%00" in request.url.query:
        return _said(request, 400, "The address holds the NUL character", "leave it out")
    return None


def _said(request: Request, status: int, what: str, fix: str) -> Response:
    error = B24LakeError(what, fix=fix)
    if request.url.path.startswith("/api/"):
        return failure(status, error)
    return PlainTextResponse(str(error), status_code=status)


async def _answered(site: Site, request: Request, call_next: Next) -> Response:
    """The answer to a request whose session is known; without an account, where one is needed, the way to the login."""
    known = sessions.read(site, request)
    session = request.state.session = known or request.state.session
    try:
        await run_in_threadpool(_recognise, site, request)
    except B24LakeError as error:  # nobody can be recognised while the database is away
        return _said(request, 503, error.what, error.fix)
    if site.login and not request.state.role and not _is_open(request.url.path):
        return _to_login(request)
    response = await call_next(request)
    if known is None and response.headers.get("content-type", "").startswith("text/html"):
        sessions.send(site, session, request, response)
    return response


def _recognise(site: Site, request: Request) -> None:
    """Whose session it is; without a login whoever reaches the app is its manager."""
    session, state = request.state.session, request.state
    if not site.login:
        state.role = "manager"
    elif session.account and not request.url.path.startswith("/static/"):
        person = logins.whose(site.database, session.account, session.stamp, session.id)
        state.name, state.role = (person.name, person.role) if person else ("", "")


def _is_open(path: str) -> bool:
    if _PUBLISHED.fullmatch(path):
        return True
    return any(path == each.rstrip("/") or path.startswith(f"{each.rstrip('/')}/") for each in _OPEN)


def _to_login(request: Request) -> Response:
    """To the login, and from there back to the page; what was sent is not kept."""
    seen = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = "/login" + (f"?next={quote(seen, safe='/')}" if request.method in SAFE else "")
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    return RedirectResponse(address, status_code=303)

"""/mcp, the tools for agents over HTTP, and /sources/bitrix.md, the skills file; who asks shows a token.

Where nobody logs in, whoever reaches this machine's own address needs none; Host and Origin are checked all the same.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from b24lake.agents.reader import Reader
from b24lake.agents.service import Service
from b24lake.control import reaching, tokens
from b24lake.control.tokens import Bearer
from b24lake.errors import B24LakeError
from b24lake.web.failing import failure, status_of
from b24lake.web.site import Site
from b24lake.web.targets import refuse_private

if TYPE_CHECKING:
    from mcp.server.lowlevel.server import Server

PATH = "/mcp"
_READER: ContextVar[Reader] = ContextVar("reader")
_CURE = "make one with `b24lake token add NAME`, or on the page /account, and send Authorization: Bearer b24l_…"


class NotAllowedError(B24LakeError):
    """Who asks may not; `status` is that of HTTP."""

    def __init__(self, status: int, what: str, *, fix: str) -> None:
        super().__init__(what, fix=fix)
        self.status = status


def reader_of(site: Site, request: Request, *, sessions: bool = False) -> Reader:
    """Who asks, and what they may read.

    sessions   a browser in which somebody has logged in counts as well

    Raises NotAllowedError without a valid token where one is needed, and without its scope `read`.
    """
    shown = request.headers.get("authorization")
    if shown is None and request.state.role and (sessions or not site.login):
        return _reader(site, None)
    kind, _, text = (shown or "").partition(" ")
    bearer = tokens.bearer(site.database, text.strip(), site.clock()) if kind.lower() == "bearer" else None
    if bearer is None:
        what = "A token is needed" if shown is None else "This token is unknown, revoked or expired"
        raise NotAllowedError(401, what, fix=_CURE)
    if "read" not in bearer.scopes:
        raise NotAllowedError(403, "This token may not read", fix="make one with the scope read")
    return _reader(site, bearer)


def refused(error: B24LakeError) -> Response:
    """The answer to who may not ask, or to a fault."""
    if not isinstance(error, NotAllowedError):
        return failure(status_of(error), error)
    return failure(error.status, error, {"WWW-Authenticate": "Bearer"} if error.status == 401 else None)


def _reader(site: Site, bearer: Bearer | None) -> Reader:
    """Somebody with a token reads the tables that fit its globs, and only those of its sources where it has any."""
    only = bearer.sources if bearer else None
    may_ask = partial(refuse_private, private=site.private, own=site.own)
    service = Service(site.database, site.keyring, site.here, site.clock, only, may_ask)
    reach = reaching.reach(site.database, site.here, only, bearer.tables if bearer else None)
    return Reader(site.index, reach, lambda: service)


class Agents:
    """The tools over a site, in the way of ASGI: each request stands alone, and is answered with JSON."""

    def __init__(self, site: Site) -> None:
        self._site, self._one = site, Lock()

    @property
    def _server(self) -> Server[Any]:
        """The server, which one thread makes while others wait."""
        with self._one:
            return self._made

    @cached_property
    def _made(self) -> Server[Any]:
        from b24lake.agents.protocol import server

        return server(_READER.get)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        if request.method != "POST":  # there is nothing to listen to, and no session to end
            answer = failure(405, B24LakeError("Messages come by POST", fix="see docs/agents.md"), {"Allow": "POST"})
            await answer(scope, receive, send)
            return
        try:
            reader = await run_in_threadpool(reader_of, self._site, request)
        except B24LakeError as error:
            await refused(error)(scope, receive, send)
            return
        await self._answer(reader, await run_in_threadpool(lambda: self._server), scope, receive, send)

    async def _answer(self, reader: Reader, server: Server[Any], scope: Scope, receive: Receive, send: Send) -> None:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        known = _READER.set(reader)
        try:
            manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)
            async with manager.run():
                await manager.handle_request(scope, receive, send)
        finally:
            _READER.reset(known)

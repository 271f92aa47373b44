"""How long a body may be: counted as it comes in, whatever its header says."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST = 4 * 1024 * 1024  # bytes
OF_API = 1024 * 1024


class Bounded:
    """An ASGI app whose requests have bodies of at most `MOST` bytes, or `OF_API` at the JSON API; else 413."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = OF_API if scope["path"].startswith("/api/") else MOST
        got = 0

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > most:
                raise HTTPException(413, f"A body has at most {most:,} bytes here")
            return message

        await self._app(scope, counted, send)

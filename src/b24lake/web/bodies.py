"""Bodies: what comes in is counted, whatever its header says; what goes out is whole, or seen not to be."""

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


class Whole:
    """An ASGI app whose answers end properly only when they were made to their end.

    A file whose rows stop with an error would look whole: Starlette's middleware ends its body all the same. So the end
    is sent when the app has returned; where it raises, the server closes the connection, and browsers report that.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        held: list[Message] = []

        async def sent(message: Message) -> None:
            ends = message["type"] == "http.response.body" and not message.get("more_body", False)
            if ends and not message.get("body"):
                held.append(message)
            else:
                await send(message)

        await self._app(scope, receive, sent)
        for message in held:
            await send(message)

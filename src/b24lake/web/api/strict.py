"""What is refused before anything is read: bodies that are not JSON, or hold what no database keeps."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from b24lake.errors import UsageError

DEEPEST = 20
LARGEST = 2**53 - 1
_SAFE = {"GET", "HEAD", "OPTIONS"}


class StrictRoute(APIRoute):
    """A route whose body, where there is one, is `application/json`: no form of another page can send that."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the checks."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if request.method not in _SAFE:
                body = await request.body()
                kind = request.headers.get("content-type")
                if (body or kind) and (kind or "").partition(";")[0].strip().lower() != "application/json":
                    raise HTTPException(415, "A body is application/json here")
                if body:
                    check(body)
            return await handler(request)

        return strict


def check(body: bytes) -> None:
    """Raises UsageError for what is not JSON, and for texts and numbers that nothing here can hold."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UsageError(
            "The body is not JSON", why=str(error), fix="send JSON in UTF-8", code="invalid_json"
        ) from None
    level = [found]
    for _ in range(DEEPEST):
        level = [part for each in level for part in _parts(each)]
        if not level:
            return
    raise UsageError(f"The body is nested more than {DEEPEST} levels deep", fix="send a flat one", code="invalid_json")


def _parts(value: Any) -> list[Any]:
    """What is in a value."""
    if isinstance(value, str) and "\0" in value:
        raise UsageError("A text holds the NUL character", fix="leave it out", code="invalid_text")
    if isinstance(value, int | float) and abs(value) > LARGEST:
        raise UsageError(f"A number is beyond {LARGEST}", fix="send a smaller one", code="invalid_number")
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []

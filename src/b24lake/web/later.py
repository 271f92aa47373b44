"""The JSON API as a part of the app that is made when somebody asks for it.

Its shapes take most of a second to load; the first page need not wait for that.
"""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from b24lake.web.site import Site

if TYPE_CHECKING:
    from fastapi import FastAPI


class LaterApi:
    """The API over a site, in the way of ASGI."""

    def __init__(self, site: Site) -> None:
        self._site, self._one = site, Lock()

    @property
    def app(self) -> FastAPI:
        """The API, which one thread makes while others wait."""
        with self._one:
            return self._made

    @cached_property
    def _made(self) -> FastAPI:
        from b24lake.web.api.app import create_api

        return create_api(self._site)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        app = await run_in_threadpool(lambda: self.app)
        await app(scope, receive, send)

"""The SDK's own client, for tests: each call opens a connection, asks and closes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult


def over_http(address: str, does: Callable[[Client], Awaitable[Any]], headers: Mapping[str, str] | None = None) -> Any:
    """What `does` gives, with a client of the server at an address."""

    async def talk() -> Any:
        async with (
            httpx2.AsyncClient(headers=dict(headers or {}), timeout=60) as http,
            Client(streamable_http_client(f"{address}/mcp", http_client=http)) as client,
        ):
            return await does(client)

    return alone(talk)


def alone(talk: Callable[[], Awaitable[Any]]) -> Any:
    """What a coroutine gives, in a thread of its own: in this one a browser's loop may be at work."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, talk).result()


def call(name: str, **arguments: Any) -> Callable[[Client], Awaitable[CallToolResult]]:
    """One call of a tool."""
    return lambda client: client.call_tool(name, arguments)


def text(result: CallToolResult) -> str:
    """What a result says."""
    return "".join(each.text for each in result.content if each.type == "text")

"""The tools for a client that started this process: requests on stdin, answers on stdout, everything else on stderr."""

from __future__ import annotations

import logging
import sys

import anyio
from mcp.server.stdio import stdio_server

from b24lake.agents.protocol import server
from b24lake.agents.reader import Reader
from b24lake.portal.webhook import mask


class _Masked(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def run(reader: Reader) -> None:
    """Serve until the client closes its end."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Masked("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    anyio.run(_serve, reader)


async def _serve(reader: Reader) -> None:
    served = server(lambda: reader)
    async with stdio_server() as (coming, going):
        await served.run(coming, going, served.create_initialization_options())

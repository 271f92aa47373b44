"""A web app in tests: over a real database and a real port, with a client that keeps cookies and fills in tokens."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from typing import Any

import httpx

from b24lake.control import sources
from b24lake.control.audit import Actor
from b24lake.control.sources import Wanted
from b24lake.portal.webhook import parse
from b24lake.web.site import Site

PATIENCE = 120  # seconds
NOBODY = "https://acme.bitrix24.com/rest/1/SECRETSECRET/"
"""A webhook of a portal that nobody asks."""


@dataclass
class Web:
    """The app at its address, and a browser without a screen."""

    site: Site
    address: str
    client: httpx.Client

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def text(self, path: str) -> str:
        """The words of a page, without its tags."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return words(answer.text)

    def token(self) -> str:
        found = re.search(r'name="csrf-token" content="(\w+)"', self.client.get("/nothing").text)
        assert found
        return found[1]

    def post(self, path: str, data: Mapping[str, Any] | None = None, **more: Any) -> httpx.Response:
        return self.client.post(path, data={"token": self.token(), **(data or {})}, **more)

    def source(self, name: str, *streams: str, url: str = NOBODY, active: bool = True, **settings: Any) -> str:
        """A source made by the service itself; its tables have names of their own unless a prefix is given."""
        wanted = Wanted(name, parse(url), streams=streams or ("deals",), settings={"prefix": f"{name}_", **settings})
        actor = Actor("ann", datetime.now(UTC))
        with self.site.database.writing() as session:
            source = sources.create(session, self.site.keyring, self.site.here, actor, wanted)
            if active:
                sources.activate(session, actor, source)
            return source.id

    def awaited(self, there: Callable[[], bool]) -> None:
        """Wait for something that must happen."""
        deadline = time.monotonic() + PATIENCE
        while not there():
            assert time.monotonic() < deadline
            time.sleep(0.1)


def words(page: str) -> str:
    """What a page says, each run of blanks as one."""
    body = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())

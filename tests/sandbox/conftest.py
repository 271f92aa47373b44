"""A portal to ask over HTTP."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from turned_clock import Time

from b24lake.sandbox import Portal, Server, Settings

TURNED = Time()


class Webhook:
    """One connection to a served portal."""

    def __init__(self, portal: Portal, server: Server) -> None:
        self.portal, self.server = portal, server
        parts = urlsplit(server.url)
        self.base = parts.path
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def send(self, verb: str, path: str, body: bytes | None = None, content_type: str = "") -> tuple[int, Any]:
        """Any request -> status and decoded body."""
        self.connection.request(verb, path, body, {"Content-Type": content_type} if content_type else {})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def call(self, method: str, **params: Any) -> tuple[int, Any]:
        """A POST with a JSON body."""
        return self.send("POST", f"{self.base}{method}.json", json.dumps(params).encode(), "application/json")

    def ask(self, method: str, **params: Any) -> Any:
        """The whole body of a call that must succeed."""
        status, body = self.call(method, **params)
        assert status == 200, body
        return body

    def result(self, method: str, **params: Any) -> Any:
        """The `result` of a call that must succeed."""
        return self.ask(method, **params)["result"]

    def batch(self, commands: Any, **more: Any) -> Any:
        """The `result` of a batch."""
        return self.result("batch", cmd=commands, **more)

    def form(self, method: str, pairs: list[tuple[str, str]]) -> tuple[int, Any]:
        """A POST with a form."""
        kind = "application/x-www-form-urlencoded"
        return self.send("POST", f"{self.base}{method}", urlencode(pairs).encode(), kind)

    def lever(self, name: str, /, **asked: Any) -> tuple[int, Any]:
        """A control request."""
        return self.send("POST", f"/sandbox/{name}", json.dumps(asked).encode(), "application/json")

    def counters(self) -> Any:
        """What the portal has counted."""
        return self.send("GET", "/sandbox/counters")[1]

    def raw(self, method: str = "profile", verb: str = "GET", body: bytes | None = None) -> tuple[int, str, bytes]:
        """A request -> status, content type and undecoded body."""
        self.connection.request(verb, f"{self.base}{method}", body)
        answer = self.connection.getresponse()
        return answer.status, answer.getheader("Content-Type") or "", answer.read()

    def beside(self) -> "Webhook":
        """Another connection to the same portal, wherever it lives now."""
        return Webhook(self.portal, self.server)


@contextmanager
def served(settings: Settings, **more: Any) -> Iterator[Webhook]:
    with Server(Portal(settings, **more)) as server:
        webhook = Webhook(server.portal, server)
        try:
            yield webhook
        finally:
            webhook.connection.close()


@pytest.fixture(scope="session")
def hook() -> Iterator[Webhook]:
    """A portal that no test changes."""
    with served(Settings(deals=300, threshold=0, spa_128=60)) as webhook:
        yield webhook


@pytest.fixture(scope="module")
def shared() -> Iterator[Webhook]:
    """A portal for the tests of a module, whose clock is turned by hand; see `mended`."""
    with served(Settings(deals=330, threshold=0, seed=3), now=TURNED.now, sleep=TURNED.sleep) as webhook:
        yield webhook


@pytest.fixture
def turned() -> Time:
    """The clock of `mended`."""
    return TURNED


@pytest.fixture
def mended(shared: Webhook) -> Iterator[Webhook]:
    """The same with all faults mended, all plans forgotten and all counters at 0."""
    shared.portal.mend()
    shared.portal.churn.clear()
    shared.portal.reset_counters()
    yield shared
    shared.portal.mend()


@pytest.fixture
def fresh() -> Iterator[Webhook]:
    """A small portal of one's own."""
    with served(Settings(deals=120, threshold=0)) as webhook:
        yield webhook


@pytest.fixture
def portal_with() -> Any:
    """`with portal_with(admin=False) as hook:`"""

    def make(now: Any = None, sleep: Any = None, time: Time | None = None, **options: Any) -> Any:
        more = ({"now": now} if now else {}) | ({"sleep": sleep} if sleep else {})
        more |= {"now": time.now, "sleep": time.sleep} if time else {}
        return served(Settings(**{"deals": 60, "threshold": 0, **options}), **more)

    return make

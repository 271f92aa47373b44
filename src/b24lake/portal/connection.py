"""The one door to the portal: HTTP requests with the portal's limits, redirects and passing faults taken care of."""

from __future__ import annotations

import logging
import random
import threading
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson
import urllib3

from b24lake import __version__
from b24lake.errors import B24LakeError, BusyError, OverlongError, RetryError, StopError, UsageError
from b24lake.portal import phpquery, replies
from b24lake.portal.budget import Budget
from b24lake.portal.replies import Answer, Timing
from b24lake.portal.webhook import Webhook, is_loopback, mask

MAX_COMMANDS = 50  # of one batch
ATTEMPTS = 6  # of one request that fails in passing
BUSY_ATTEMPTS = 12  # of one request that the portal refuses as one too many
LONGEST_PAUSE = 30.0  # seconds between two attempts
LARGE = 1_000_000  # bytes of a body whose parsing waits for its turn
TIMEOUT = urllib3.Timeout(connect=15.0, read=75.0)  # the portal itself gives up after 60 s


class Command(NamedTuple):
    """One call of a REST method."""

    method: str
    params: Mapping[str, Any] = {}


@dataclass(slots=True)
class Counters:
    """What this connection did so far."""

    requests: int = 0
    commands: int = 0
    retries: int = 0
    refused: int = 0  # answers of 503 QUERY_LIMIT_EXCEEDED
    bytes: int = 0
    waited: float = 0.0  # seconds spent waiting for room in the request bucket


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch's answers by key, and the timing of the batch as a whole."""

    answers: dict[str, Answer]
    timing: Timing = field(default_factory=Timing)


class Connection:
    """Requests to one portal. Safe to use from several threads.

    sleep     waits so many seconds; by default until then or until the connection is closed
    on_move   called with the new webhook when the portal redirects to another address
    """

    def __init__(
        self,
        webhook: Webhook,
        budget: Budget,
        *,
        sleep: Callable[[float], object] | None = None,
        chance: Callable[[], float] = random.random,
        on_move: Callable[[Webhook], None] = lambda _webhook: None,
        connections: int = 8,
    ) -> None:
        self.webhook, self.budget, self.counters = webhook, budget, Counters()
        self._closed = threading.Event()
        self._sleep, self._chance, self._on_move = sleep or self._closed.wait, chance, on_move
        self._pool = _pool(webhook, connections)
        self._lock = threading.Lock()

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Answer:
        """One method by itself. Raises the member of the error family that the portal's refusal means."""
        return self._attempts(method, orjson.dumps(params or {}))

    def batch(
        self,
        commands: Mapping[str, Command],
        *,
        halt: bool = False,
        turn: Callable[[], None] = lambda: None,
        splits: bool = False,
    ) -> Batch:
        """Up to 50 commands in one request, executed in the given order; keys must not be numbers.

        An error of a single command is in its Answer; raised is only what hits the request as a whole. `turn` is
        called before a large body is parsed: it may wait, so that only as many are in memory as somebody can use.
        A caller that `splits` gets the OverlongError of a request of several commands at once, to ask for less.
        """
        cmd = {key: phpquery.command(*command) for key, command in commands.items()}
        patience = (1 if len(cmd) > 1 else ATTEMPTS) if splits else None
        answer = self._attempts("batch", orjson.dumps({"halt": int(halt), "cmd": cmd}), turn, patience)
        with self._lock:
            self.counters.commands += len(commands)
        methods = {key: command.method for key, command in commands.items()}
        return Batch(replies.read_batch(answer, methods), answer.timing)

    def close(self) -> None:
        """Close all sockets, and end what other threads are still asking at their next step."""
        self._closed.set()
        self._pool.clear()

    def _attempts(
        self, method: str, body: bytes, turn: Callable[[], None] = lambda: None, patience: int | None = None
    ) -> Answer:
        """Ask until the portal answers; passing faults are asked again after a growing pause with jitter.

        patience   attempts after which an OverlongError is the caller's affair
        """
        failed = busy = 0
        while True:
            try:
                return self._ask(method, body, turn)
            except BusyError as error:
                self.budget.refused()
                busy += 1
                self._give_up(error, busy >= BUSY_ATTEMPTS)
                self.pause(busy)
            except RetryError as error:
                failed += 1
                if isinstance(error, OverlongError) and patience is not None and failed >= patience:
                    raise
                self._give_up(error, failed >= ATTEMPTS)
                self.pause(failed)

    def _give_up(self, error: RetryError, spent: bool) -> None:
        with self._lock:
            self.counters.retries += 1
            self.counters.refused += isinstance(error, BusyError)
        if spent:
            raise StopError(f"{error.what}, again and again", why=error.why, fix=error.fix, code=error.code) from error

    def pause(self, attempt: int) -> None:
        """Wait before asking again: longer with each attempt, with jitter."""
        self._sleep(min(LONGEST_PAUSE, 0.5 * 2.0**attempt) * (0.5 + self._chance() / 2))

    def _ask(self, method: str, body: bytes, turn: Callable[[], None]) -> Answer:
        """One request, and one more where the portal has moved."""
        for _hop in range(3):
            webhook = self.webhook
            response = self._post(webhook.url(method), body)
            location = response.headers.get("Location", "")
            if not (300 <= response.status < 400 and location):
                if len(response.data) > LARGE:
                    turn()
                return replies.read(response.status, response.data, method=method)
            self._move(webhook, location)
        raise StopError("The portal redirects in a circle", fix="check the webhook URL in a browser")

    def _post(self, url: str, body: bytes) -> urllib3.BaseHTTPResponse:
        waited = self.budget.take(self._closed.is_set)
        if self._closed.is_set():
            raise StopError("The connection was closed")
        with self._lock:
            self.counters.requests += 1
            self.counters.waited += waited
        try:
            response = self._pool.request("POST", url, body=body, redirect=False, retries=False, timeout=TIMEOUT)
        except urllib3.exceptions.NameResolutionError as error:
            raise self._unreachable(error, "there is no host of this name") from None
        except urllib3.exceptions.SSLError as error:
            raise self._unreachable(error, "its certificate is not trusted here") from None
        except urllib3.exceptions.HTTPError as error:
            overlong = isinstance(error, urllib3.exceptions.ReadTimeoutError)
            raise self._hiccup(error, OverlongError if overlong else RetryError) from None
        with self._lock:
            self.counters.bytes += len(response.data)
        return response

    def _unreachable(self, error: Exception, why: str) -> B24LakeError:
        return StopError(
            f"{self.webhook} cannot be reached",
            why=f"{why} ({type(error).__name__})",
            fix="check the address and the network",
        )

    def _hiccup(self, error: Exception, kind: type[RetryError]) -> B24LakeError:
        return kind(
            f"{self.webhook} cannot be reached or broke off",
            why=self.webhook.scrub(str(error)),
            fix="check the address and the network, then run it again",
        )

    def _move(self, old: Webhook, location: str) -> None:
        """Follow a portal to its new address and remember it: the body is posted again, the secret only to https."""
        try:
            new = old.moved_to(location)
        except UsageError as error:
            raise StopError("The portal redirects to an unsafe address", why=error.what, fix=error.fix) from None
        if new == old:
            raise StopError(f"{old} redirects to itself or to a page", fix="open the portal's address in a browser")
        with self._lock:
            known, self.webhook = self.webhook == new, new
        if not known:  # another thread may have been redirected at the same moment
            self._on_move(new)


def _masked(record: logging.LogRecord) -> bool:
    """The HTTP library logs each request's path, and the secret is in it."""
    record.msg, record.args = mask(record.getMessage()), ()
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_masked)


def _pool(webhook: Webhook, connections: int) -> urllib3.PoolManager:
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "Content-Type": "application/json",
        "User-Agent": f"b24lake/{__version__}",
    }
    origin = urlsplit(webhook.origin)
    proxy = urllib.request.getproxies().get(origin.scheme)
    if proxy and not is_loopback(origin.hostname or "") and not urllib.request.proxy_bypass(origin.netloc):
        return urllib3.ProxyManager(proxy, headers=headers, maxsize=connections)
    return urllib3.PoolManager(headers=headers, maxsize=connections, block=False)

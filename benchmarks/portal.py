"""A sandbox portal in a process of its own, so that the CPU seconds it takes are not counted as a reader's."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

from benchmarks.watched import Entry

DEAL_FIELDS = 100
UNLIMITED = {"threshold": 0}  # no request bucket
REALISTIC: dict[str, float] = {  # what a portal in the cloud is like
    "page_ms": 40,
    "round_trip_ms": 100,
    "threshold": 50,
    "drain": 2.0,
    "operating_limit": 480,
    "operating_floor": 0,
}


@dataclass(frozen=True, kw_only=True)
class Served:
    """What a portal served so far.

    refused   requests that got 503, one too many for its bucket
    blocked   commands that got 429, their method's operating time being used up
    pages     pages of lists; `empty` of them held no row, for `counted` ones all rows had to be counted
    seconds   service time by method
    """

    requests: int
    refused: int
    blocked: int
    pages: int
    empty: int
    counted: int
    seconds: dict[str, float]

    @property
    def portal_seconds(self) -> float:
        """Service time in all."""
        return sum(self.seconds.values())


class SandboxProcess:
    """A portal that runs for as long as the `with` block; `settings` are those of the sandbox.

    >>> with SandboxProcess(deals=1000, **UNLIMITED) as portal:
    ...     portal.url, portal.served().requests
    ('http://127.0.0.1:.../rest/1/.../', 0)
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = {"deal_fields": DEAL_FIELDS, **settings}

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.portal", json.dumps(self.settings)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._line()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()  # closes its input, which ends it

    def served(self) -> Served:
        """What it served since the last `forget`."""
        told = self._told("counters")
        sums = {name: sum(told[name].values()) for name in ("pages", "empty", "counted")}
        kept = {name: told[name] for name in ("requests", "refused", "blocked", "seconds")}
        return Served(**sums, **kept)

    def forget(self) -> None:
        """Count from 0 again; its limits are as full as they were."""
        self._told("forget")

    def journal(self) -> list[Entry]:
        """What it was asked and told about operating time."""
        return [Entry(*entry) for entry in self._told("journal")]

    def rows(self, table: str) -> list[dict[str, Any]] | None:
        """All rows of a table as they really are; None where it has no table of this name."""
        try:
            with urllib.request.urlopen(urljoin(self.url, f"/sandbox/truth/{table}")) as answer:
                return [json.loads(line) for line in answer]
        except urllib.error.HTTPError:
            return None

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole answer to one call."""
        return self._post(f"{self.url}{method}", params)

    def set(self, **settings: Any) -> None:
        """Change settings while it runs."""
        self._post(urljoin(self.url, "/sandbox/settings"), settings)

    @staticmethod
    def _post(url: str, asked: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(url, json.dumps(asked).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return dict(json.load(answer))

    def _told(self, about: str) -> Any:
        assert self._process.stdin
        print(about, file=self._process.stdin, flush=True)
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        if line := self._process.stdout.readline().strip():
            return line
        raise RuntimeError(f"the sandbox portal ended with exit code {self._process.wait()}")


def serve(settings: str) -> None:
    """Print the webhook URL, then an answer to every line that comes in; each is a line of JSON."""
    from b24lake.sandbox import Server, Settings
    from benchmarks.watched import Watched

    portal = Watched(Settings(**json.loads(settings)))
    with Server(portal) as server:
        print(server.url, flush=True)
        for line in sys.stdin:
            about = line.strip()
            if about == "forget":
                portal.reset_counters()
            print(json.dumps({"counters": portal.told, "journal": portal.read_journal}.get(about, dict)()), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])

"""A sandbox portal in a process of its own, so that the CPU seconds it takes are not counted as a reader's."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self

DEAL_FIELDS = 100


class SandboxProcess:
    """A portal without latency and without a request bucket; it runs for as long as the `with` block.

    >>> with SandboxProcess(deals=1000) as portal:
    ...     portal.url, portal.requests()
    ('http://127.0.0.1:.../rest/1/.../', 0)
    """

    def __init__(self, *, deals: int, deal_fields: int = DEAL_FIELDS) -> None:
        self.deals, self.deal_fields = deals, deal_fields

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.portal", str(self.deals), str(self.deal_fields)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._line()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()  # closes its input, which ends it

    def requests(self) -> int:
        """HTTP requests answered so far."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        if line := self._process.stdout.readline().strip():
            return line
        raise RuntimeError(f"the sandbox portal ended with exit code {self._process.wait()}")


def serve(deals: int, deal_fields: int) -> None:
    """Print the webhook URL, then the number of requests so far for every line that comes in."""
    from b24lake.sandbox import Portal, Server, Settings

    settings = Settings(deals=deals, deal_fields=deal_fields, threshold=0)
    with Server(Portal(settings)) as server:
        print(server.url, flush=True)
        for _ in sys.stdin:
            print(server.portal.counters.requests, flush=True)


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))

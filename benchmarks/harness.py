"""Run a contender as a fresh process and say what it used."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TextIO

from benchmarks.portal import SandboxProcess

KIB_OR_BYTES = 1 if sys.platform == "darwin" else 1024  # unit of ru_maxrss


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one process used, its start-up included.

    cpu_seconds   user and system, of the process and of the children it waited for
    peak_mb       largest resident memory, in 10^6 bytes
    requests      HTTP requests that the portal saw
    """

    rows: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    requests: int

    @property
    def rows_per_cpu_second(self) -> float:
        """The figure contenders are compared by."""
        return self.rows / self.cpu_seconds


class ContenderError(RuntimeError):
    """A contender ended with an error; the text holds the last lines it wrote."""


def b24lake_sync(url: str, lake: Path) -> list[str]:
    """The command line's own full read of all deals into a lake."""
    program = [sys.executable, "-c", "from b24lake.cli.main import main; main()"]
    return [*program, "sync", url, "--lake", str(lake), "-s", "deals", "--full", "--json"]


def measure(command: list[str], portal: SandboxProcess) -> Run:
    """Run one command to its end. It prints a JSON document: {"rows": 1} or that of `b24lake sync --json`."""
    before, start = portal.requests(), time.perf_counter()
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as output:
        used = run(command, {**os.environ, "B24LAKE_HOME": home}, output)
        seconds = time.perf_counter() - start
        output.seek(0)
        document = json.load(output)
    return Run(
        rows=rows_in(document),
        seconds=seconds,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_mb=used.ru_maxrss * KIB_OR_BYTES / 1e6,
        requests=portal.requests() - before,
    )


def run(command: list[str], environment: dict[str, str], output: TextIO) -> resource.struct_rusage:
    """What the process used, by the kernel's own account."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if process.returncode:
            raise ContenderError("\n".join(errors.read().splitlines()[-5:]) or f"exit code {process.returncode}")
    return used


def rows_in(document: dict[str, Any]) -> int:
    """Rows read, from what a contender printed."""
    if "rows" in document:
        return int(document["rows"])
    return sum(stream["rows_read"] for stream in document["streams"] if stream["name"] == "deals")


def middle(runs: list[Run]) -> Run:
    """The run whose CPU time is the median of all (the lower one of an even number)."""
    return min(runs, key=lambda run: abs(run.cpu_seconds - median(other.cpu_seconds for other in runs)))

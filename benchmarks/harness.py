"""Run a contender as a fresh process and say what it used."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TextIO

from rich.console import Console

from benchmarks.portal import SandboxProcess, Served

KIB_OR_BYTES = 1 if sys.platform == "darwin" else 1024  # unit of ru_maxrss
OURS = "b24lake sync"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one process used, its start-up included.

    seconds       from its start to its end, by the clock on the wall
    cpu_seconds   user and system, of the process and of the children it waited for
    peak_mb       largest resident memory, in 10^6 bytes
    served        what the portal served it
    document      what it printed
    """

    rows: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    served: Served
    document: dict[str, Any] = field(repr=False)

    @property
    def rows_per_cpu_second(self) -> float:
        """The figure contenders are compared by."""
        return self.rows / self.cpu_seconds

    def stream(self, name: str) -> dict[str, Any]:
        """A stream's line in the report of `b24lake sync --json`."""
        return next(line for line in self.document["streams"] if line["name"] == name)


class ContenderError(RuntimeError):
    """A contender ended with an error; the text holds the last lines it wrote."""


def b24lake_sync(url: str, lake: Path, *more: str) -> list[str]:
    """The command line's own full read into a lake, of all streams if `more` options name none."""
    return b24lake("sync", url, "--lake", str(lake), "--full", *more)


def b24lake(*arguments: str) -> list[str]:
    """A command of ours that prints JSON."""
    return [sys.executable, "-c", "from b24lake.cli.main import main; main()", *arguments, "--json"]


def measure(command: list[str], portal: SandboxProcess) -> Run:
    """Run one command to its end. It prints a JSON document: {"rows": 1} or that of `b24lake sync --json`."""
    portal.forget()
    start = time.perf_counter()
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
        served=portal.served(),
        document=document,
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
    return sum(stream["rows_read"] for stream in document["streams"])


def compete(rounds: dict[str, int], run_once: Callable[[str], Run]) -> dict[str, list[Run]]:
    """All contenders in turn, each as many times as `rounds` says. A peer that fails drops out."""
    runs: dict[str, list[Run]] = {name: [] for name in rounds}
    for turn in range(max(rounds.values())):
        for name in [name for name in runs if turn < rounds[name]]:
            try:
                run = run_once(name)
            except ContenderError as error:
                if name == OURS:
                    raise
                say(f"{name} is left out: {error}")
                del runs[name]
                continue
            runs[name].append(run)
            say(f"round {turn + 1}: {name}: {run.seconds:.1f} s, {run.rows_per_cpu_second:,.0f} rows / CPU s")
    return runs


def say(text: str) -> None:
    """Tell whoever waits how far it is."""
    Console(stderr=True).print(text, highlight=False, markup=False)


def middle(runs: Sequence[Run], figure: Callable[[Run], float]) -> Run:
    """The run whose figure is the median of all (the lower one of an even number)."""
    return min(runs, key=lambda run: abs(figure(run) - median(map(figure, runs))))

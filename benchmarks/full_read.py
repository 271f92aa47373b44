"""Speed of a full read of all deals, typed and committed to a Delta table, next to peers that only make dicts.

python -m benchmarks.full_read [--deals 100000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import contenders
from benchmarks.harness import ContenderError, Run, b24lake_sync, measure, middle
from benchmarks.portal import DEAL_FIELDS, SandboxProcess
from benchmarks.report import Bar, Section

OURS, PEER = "b24lake sync", "b24pysdk list_fast"
SPEED = 0.75  # times the peer's records per CPU second
REQUESTS = 50  # per 100,000 rows
COLUMNS = ("contender", "rows", "rows / CPU s", "ratio", "CPU s", "wall s", "requests", "peak MB")


def run_once(name: str, portal: SandboxProcess) -> Run:
    if name in contenders.PEERS:
        return measure(contenders.command(name, portal.url), portal)
    with tempfile.TemporaryDirectory() as folder:
        return measure(b24lake_sync(portal.url, Path(folder)), portal)


def compete(portal: SandboxProcess, rounds: int) -> dict[str, Run]:
    """All contenders in turn, several times over: of each the run with the median CPU time. A failed peer drops out."""
    runs: dict[str, list[Run]] = {OURS: [], **{name: [] for name in contenders.PEERS}}
    for turn in range(1, rounds + 1):
        for name in list(runs):
            try:
                run = run_once(name, portal)
            except ContenderError as error:
                if name == OURS:
                    raise
                Console(stderr=True).print(f"{name} is left out: {error}", highlight=False)
                del runs[name]
                continue
            runs[name].append(run)
            Console(stderr=True).print(f"round {turn}: {name}: {run.rows_per_cpu_second:,.0f} rows / CPU s")
    return {name: middle(of_one) for name, of_one in runs.items()}


def row(name: str, run: Run, peer: Run | None) -> tuple[str, ...]:
    ratio = f"{run.rows_per_cpu_second / peer.rows_per_cpu_second:.2f}" if peer else "-"
    cost = (f"{run.cpu_seconds:.1f}", f"{run.seconds:.1f}", f"{run.requests}", f"{run.peak_mb:.0f}")
    return (name, f"{run.rows:,}", f"{run.rows_per_cpu_second:,.0f}", ratio, *cost)


def bars(ours: Run, peer: Run | None, deals: int) -> list[Bar]:
    ratio = ours.rows_per_cpu_second / peer.rows_per_cpu_second if peer else 0.0
    asked = ours.requests * 100_000 / deals
    return [
        Bar(asks="every deal is read", measured=f"{ours.rows:,} of {deals:,}", passed=ours.rows == deals),
        Bar(asks=f"at least {SPEED}x {PEER} per CPU second", measured=f"{ratio:.2f}x", passed=ratio >= SPEED),
        Bar(asks=f"at most {REQUESTS} requests per 100,000 rows", measured=f"{asked:.0f}", passed=asked <= REQUESTS),
    ]


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with SandboxProcess(deals=options.deals) as portal:
        runs = compete(portal, options.rounds)
    peer = runs.get(PEER)
    section = Section(
        title="Full read",
        about=f"{options.deals:,} deals x {DEAL_FIELDS} fields from a sandbox portal without latency, median of "
        f"{options.rounds} rounds. `{OURS}` types the rows and commits them to a Delta table; the peers make dicts.",
        command=f"python -m benchmarks.full_read --deals {options.deals} --rounds {options.rounds}",
        columns=COLUMNS,
        rows=[row(name, run, peer) for name, run in runs.items()],
        bars=bars(runs[OURS], peer, options.deals),
    )
    section.show()
    section.save()


if __name__ == "__main__":
    main()

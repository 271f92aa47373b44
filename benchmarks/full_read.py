"""Speed of a full read of all deals, typed and committed to a Delta table, next to peers that only make dicts.

python -m benchmarks.full_read [--deals 100000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import contenders
from benchmarks.harness import OURS, Run, b24lake_sync, compete, measure, middle
from benchmarks.portal import DEAL_FIELDS, UNLIMITED, SandboxProcess
from benchmarks.report import Bar, Section

PEER = "b24pysdk list_fast"
SPEED = 1.0  # times the peer's records per CPU second
REQUESTS = 50  # per 100,000 rows
COLUMNS = ("contender", "rows", "rows / CPU s", "ratio", "CPU s", "wall s", "requests", "peak MB")


def run_once(name: str, portal: SandboxProcess) -> Run:
    if name in contenders.PEERS:
        return measure(contenders.command(name, portal.url, contenders.NO_BURST), portal)
    with tempfile.TemporaryDirectory() as folder:
        return measure(b24lake_sync(portal.url, Path(folder), "-s", "deals"), portal)


def row(name: str, run: Run, peer: Run | None) -> tuple[str, ...]:
    ratio = f"{run.rows_per_cpu_second / peer.rows_per_cpu_second:.2f}" if peer else "-"
    cost = (f"{run.cpu_seconds:.1f}", f"{run.seconds:.1f}", f"{run.served.requests}", f"{run.peak_mb:.0f}")
    return (name, f"{run.rows:,}", f"{run.rows_per_cpu_second:,.0f}", ratio, *cost)


def bars(ours: Run, peer: Run | None, deals: int) -> list[Bar]:
    ratio = ours.rows_per_cpu_second / peer.rows_per_cpu_second if peer else 0.0
    asked = ours.served.requests * 100_000 / deals
    return [
        Bar.all_rows(ours.rows, deals),
        Bar(asks=f"at least {SPEED}x {PEER} per CPU second", measured=f"{ratio:.2f}x", passed=ratio >= SPEED),
        Bar.at_most(REQUESTS, "requests per 100,000 rows", round(asked)),
    ]


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with SandboxProcess(deals=options.deals, **UNLIMITED) as portal:
        rounds = dict.fromkeys([OURS, *contenders.PEERS], options.rounds)
        competed = compete(rounds, lambda name: run_once(name, portal))
    runs = {name: middle(of_one, lambda run: run.cpu_seconds) for name, of_one in competed.items()}
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

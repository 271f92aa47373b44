"""A full read of all deals from a portal that takes its time, next to peers and to the least time possible.

python -m benchmarks.realistic [--deals 100000] [--rounds 3] [--concurrency 4]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import contenders
from benchmarks.floor import floor, pages_of
from benchmarks.harness import OURS, Run, b24lake_sync, compete, measure, middle
from benchmarks.portal import DEAL_FIELDS, REALISTIC, SandboxProcess
from benchmarks.report import Bar, Section

PEER = "b24pysdk list_fast"
OPERATING_THRESHOLD = 200  # seconds, the default
ABOVE_FLOOR, OF_PEER, PORTAL_SECONDS, REQUESTS = 1.3, 0.35, 1.05, 60
COLUMNS = ("contender", "rows", "wall s", "CPU s", "requests", "pages", "counted", "portal s", "at once", "503 + 429")
ABOUT = (
    "{deals:,} deals x {fields} fields from a sandbox portal that really waits {page_ms} ms for each page and "
    "{round_trip_ms} ms for each way there and back, and takes {drain:.0f} requests a second after a burst of "
    "{threshold} and {operating_limit} s of work per method in ten minutes. Counting all rows adds {page_ms} ms to a "
    "page (fast_bitrix24 has every page counted). `{ours}` runs with --concurrency {concurrency} and "
    "--operating-threshold {operating_threshold} (the default); a full read books {booked:.1f} operating seconds, so "
    "nobody rests. `at once` is portal seconds / wall seconds: this portal never gets slower, however much it is asked "
    "at once. Median of {rounds} rounds, the peers' single one. The floor at {concurrency} requests at once: "
    "{floor:.1f} s."
)


def run_once(name: str, deals: int, concurrency: int) -> Run:
    """One contender on a portal of its own, whose bucket and budgets are empty."""
    with SandboxProcess(deals=deals, **REALISTIC) as portal, tempfile.TemporaryDirectory() as folder:
        if name in contenders.PEERS:
            return measure(contenders.command(name, portal.url), portal)
        limits = ("--concurrency", str(concurrency), "--operating-threshold", str(OPERATING_THRESHOLD))
        return measure(b24lake_sync(portal.url, Path(folder), "-s", "deals", *limits), portal)


def row(name: str, run: Run) -> tuple[str, ...]:
    served = run.served
    times = (f"{run.seconds:.1f}", f"{run.cpu_seconds:.1f}")
    asked = (f"{served.requests}", f"{served.pages:,}", f"{served.counted:,}", f"{served.portal_seconds:.1f}")
    at_once = f"{served.portal_seconds / run.seconds:.1f}"
    return (name, f"{run.rows:,}", *times, *asked, at_once, f"{served.refused + served.blocked}")


def bars(ours: Run, peer: Run | None, deals: int, least: float) -> list[Bar]:
    bound = max(least, ours.cpu_seconds)
    wall = ours.seconds / peer.seconds if peer else float("inf")
    portal = ours.served.portal_seconds / peer.served.portal_seconds if peer else float("inf")
    larger = f"the larger of the floor ({least:.1f} s) and our own CPU seconds"
    return [
        Bar.all_rows(ours.rows, deals),
        Bar.at_most(ABOVE_FLOOR, larger, ours.seconds / bound),
        Bar.at_most(OF_PEER, f"the wall time of {PEER}", wall),
        Bar.at_most(PORTAL_SECONDS, "its portal seconds", portal),
        Bar.at_most(REQUESTS, "requests", ours.served.requests),
        Bar.at_most(0, "answers of 503 or 429", ours.served.refused + ours.served.blocked),
    ]


def about(options: argparse.Namespace, ours: Run, least: float) -> str:
    return ABOUT.format(
        fields=DEAL_FIELDS,
        ours=OURS,
        operating_threshold=OPERATING_THRESHOLD,
        booked=ours.served.seconds["crm.deal.list"],
        floor=least,
        **vars(options),
        **REALISTIC,
    )


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=4)
    options = parser.parse_args()
    rounds = {OURS: options.rounds, **dict.fromkeys(contenders.PEERS, 1)}
    competed = compete(rounds, lambda name: run_once(name, options.deals, options.concurrency))
    runs = {name: middle(of_one, lambda run: run.seconds) for name, of_one in competed.items()}
    least = floor(pages_of(options.deals), options.concurrency, REALISTIC)
    section = Section(
        title="Realistic portal",
        about=about(options, runs[OURS], least),
        command=f"python -m benchmarks.realistic --deals {options.deals} --rounds {options.rounds}"
        f" --concurrency {options.concurrency}",
        columns=COLUMNS,
        rows=[row(name, run) for name, run in runs.items()],
        bars=bars(runs[OURS], runs.get(PEER), options.deals, least),
    )
    section.show()
    section.save()


if __name__ == "__main__":
    main()

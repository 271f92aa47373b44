"""Peak memory of a small and of a large read, which should be about the same.

python -m benchmarks.memory [--deals 50000 1000000] [--rounds 3] [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.harness import Run, b24lake_sync, measure, middle, say
from benchmarks.portal import DEAL_FIELDS, UNLIMITED, SandboxProcess
from benchmarks.report import Bar, Section

LIMIT_MB = 500
GROWTH_MB = 100  # from the smallest to the largest read: keys are compared when a version is made
SIZES, QUICK_SIZES = [50_000, 1_000_000], [20_000, 200_000]
COLUMNS = ("deals", "rows", "peak MB", "CPU s", "wall s", "requests")


def read(deals: int) -> Run:
    """One full read by `b24lake sync`, from a portal of this size, into an empty lake."""
    with SandboxProcess(deals=deals, **UNLIMITED) as portal, tempfile.TemporaryDirectory() as folder:
        # the larger plan's request bucket: without it the run would mostly wait
        options = ("-s", "deals", "--portal-plan", "enterprise")
        return measure(b24lake_sync(portal.url, Path(folder), *options), portal)


def median_read(deals: int, rounds: int) -> Run:
    """Of several reads the one with the median peak: it differs from run to run with what happens at the same time."""
    runs = [read(deals) for _ in range(rounds)]
    say(f"{deals:,} deals: {', '.join(f'{run.peak_mb:.0f}' for run in runs)} MB")
    return middle(runs, lambda run: run.peak_mb)


def row(deals: int, run: Run) -> tuple[str, ...]:
    figures = (f"{run.peak_mb:.0f}", f"{run.cpu_seconds:.1f}", f"{run.seconds:.1f}", f"{run.served.requests}")
    return (f"{deals:,}", f"{run.rows:,}", *figures)


def bars(runs: dict[int, Run]) -> list[Bar]:
    peaks = [run.peak_mb for run in runs.values()]
    highest, apart = max(peaks), max(peaks) - min(peaks)
    counts = ", ".join(f"{run.rows:,}" for run in runs.values())
    complete = all(run.rows == deals for deals, run in runs.items())
    return [
        Bar(asks="every deal is read", measured=counts, passed=complete),
        Bar(asks=f"under {LIMIT_MB} MB", measured=f"{highest:.0f} MB", passed=highest < LIMIT_MB),
        Bar(asks=f"at most {GROWTH_MB} MB apart", measured=f"{apart:.0f} MB apart", passed=apart <= GROWTH_MB),
    ]


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, nargs="+", default=SIZES)
    parser.add_argument("--quick", action="store_const", const=QUICK_SIZES, dest="deals", help="smaller sizes")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sizes = options.deals
    runs = {deals: median_read(deals, options.rounds) for deals in sizes}
    section = Section(
        title="Memory",
        about=f"Full reads of deals with {DEAL_FIELDS} fields into an empty lake by `b24lake sync`, median of "
        f"{options.rounds} rounds.",
        command=f"python -m benchmarks.memory --deals {' '.join(map(str, sizes))} --rounds {options.rounds}",
        columns=COLUMNS,
        rows=[row(deals, run) for deals, run in runs.items()],
        bars=bars(runs),
    )
    section.show()
    section.save()


if __name__ == "__main__":
    main()

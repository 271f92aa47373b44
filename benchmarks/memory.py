"""Peak memory of a small and of a large read, which should be the same.

python -m benchmarks.memory [--deals 50000 500000]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.harness import Run, b24lake_sync, measure
from benchmarks.portal import DEAL_FIELDS, SandboxProcess
from benchmarks.report import Bar, Section

LIMIT_MB = 500
GROWTH = 0.10  # of the smaller read's peak
COLUMNS = ("deals", "rows", "peak MB", "CPU s", "wall s", "requests")


def read(deals: int) -> Run:
    """One full read by `b24lake sync`, from a portal of this size, into an empty lake."""
    with SandboxProcess(deals=deals) as portal, tempfile.TemporaryDirectory() as folder:
        # the larger plan's request bucket: without it the run would mostly wait
        return measure([*b24lake_sync(portal.url, Path(folder)), "--portal-plan", "enterprise"], portal)


def row(deals: int, run: Run) -> tuple[str, ...]:
    figures = (f"{run.peak_mb:.0f}", f"{run.cpu_seconds:.1f}", f"{run.seconds:.1f}", f"{run.requests}")
    return (f"{deals:,}", f"{run.rows:,}", *figures)


def bars(runs: dict[int, Run]) -> list[Bar]:
    peaks = [run.peak_mb for run in runs.values()]
    highest, apart = max(peaks), max(peaks) / min(peaks) - 1
    counts = ", ".join(f"{run.rows:,}" for run in runs.values())
    complete = all(run.rows == deals for deals, run in runs.items())
    return [
        Bar(asks="every deal is read", measured=counts, passed=complete),
        Bar(asks=f"under {LIMIT_MB} MB", measured=f"{highest:.0f} MB", passed=highest < LIMIT_MB),
        Bar(asks=f"within {GROWTH:.0%} of each other", measured=f"{apart:.1%} apart", passed=apart <= GROWTH),
    ]


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, nargs="+", default=[50_000, 500_000])
    sizes = parser.parse_args().deals
    runs = {deals: read(deals) for deals in sizes}
    section = Section(
        title="Memory",
        about=f"Full reads of deals with {DEAL_FIELDS} fields into an empty lake by `b24lake sync`.",
        command=f"python -m benchmarks.memory --deals {' '.join(map(str, sizes))}",
        columns=COLUMNS,
        rows=[row(deals, run) for deals, run in runs.items()],
        bars=bars(runs),
    )
    section.show()
    section.save()


if __name__ == "__main__":
    main()

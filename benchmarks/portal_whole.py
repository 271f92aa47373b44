"""All streams of a portal at a tenth of its size: every row arrives, the portal never has to refuse anything.

python -m benchmarks.portal_whole [--deals 20000]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from b24lake.streams.definitions import STREAMS
from benchmarks.floor import PAGES, floor, pages_of, windows
from benchmarks.harness import Run, b24lake, b24lake_sync, measure, say
from benchmarks.portal import REALISTIC, SandboxProcess
from benchmarks.report import Bar, Section
from benchmarks.truth import Difference, differences
from benchmarks.watched import Rest, rests

SIZES = {"contacts": 1.5, "companies": 0.5, "leads": 0.5, "activities": 1.5, "users": 0.025}  # of the deals
CONCURRENCY = 4
LATE = 2.0  # seconds
FULL_REQUEST = PAGES * REALISTIC["page_ms"] / 1000 + REALISTIC["round_trip_ms"] / 1000
COLUMNS = (
    "budget", "streams", "rows", "wall s", "bound s", "ratio", "CPU s", "requests", "pages", "portal s", "at once",
    "rests", "latest", "503", "429",
)  # fmt: skip
ABOUT = (
    "Every stream of a portal with {rows:,} rows, a tenth of a busy one, through `b24lake sync --concurrency "
    "{concurrency}`: {page_ms} ms a page, {round_trip_ms} ms there and back, {drain:.0f} requests a second after a "
    "burst of {threshold}. First with the budget that portals give (480 s of work per method in 600 s) and the default "
    "threshold; then with {small.limit} s in {small.window} s and a threshold of {small.threshold} s, so that the "
    "large streams rest while the others go on. The portal's clock runs at our own speed: a faster one would not hurry "
    "our rests. `bound` is the larger of the time for the pages needed at {concurrency} requests at once, for the "
    "requests at the portal's rate, and for the windows in which the method with the most work does no more than the "
    "threshold and one request above it; `latest` "
    "is the end of the longest rest, in seconds after the reset that the portal had named."
)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Seconds of work that a method may do in a window, and the threshold from which we let it rest."""

    limit: int
    window: int
    threshold: int

    def __str__(self) -> str:
        return f"{self.limit} s in {self.window} s, threshold {self.threshold}"


FULL, SMALL = Budget(limit=480, window=600, threshold=200), Budget(limit=24, window=30, threshold=10)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run, what its tables lack by stream (a stream that was not read lacks everything), and all rests it took."""

    run: Run
    found: Mapping[str, Difference]
    rests: list[Rest]


def attempt(deals: int, budget: Budget) -> Outcome:
    """One full read of everything, compared with the portal afterwards."""
    sizes = {table: round(deals * ratio) for table, ratio in SIZES.items()}
    limits = {**REALISTIC, "operating_limit": budget.limit, "operating_window": budget.window}
    options = ("--concurrency", str(CONCURRENCY), "--operating-threshold", str(budget.threshold))
    with SandboxProcess(deals=deals, **sizes, **limits) as portal, tempfile.TemporaryDirectory() as folder:
        run = measure(b24lake_sync(portal.url, Path(folder), *options), portal)
        journal = portal.journal()
        taken = [rest for method in run.served.seconds for rest in rests(journal, method, budget.threshold)]
        return Outcome(run=run, found=differences(portal, Path(folder), streams(portal)), rests=taken)


def streams(portal: SandboxProcess) -> dict[str, list[str]]:
    """The streams that `b24lake streams` says can be read, with their primary keys."""
    with tempfile.TemporaryDirectory() as home:
        told = subprocess.run(b24lake("streams", portal.url, "--home", home), check=True, capture_output=True)
    lines: list[dict[str, Any]] = json.loads(told.stdout)["streams"]
    return {line["name"]: line["primary_key"] for line in lines if line["status"] == "available"}


def bound(outcome: Outcome, budget: Budget) -> float:
    """Seconds that nobody can do with less, at this concurrency and with this threshold."""
    pages: dict[str, int] = {}
    for name, difference in outcome.found.items():
        if name not in STREAMS or STREAMS[name].paging != "fields":
            method = STREAMS[name].method if name in STREAMS else name
            pages[method] = pages.get(method, 0) + pages_of(difference.rows)
    page = REALISTIC["page_ms"] / 1000
    in_a_row = budget.threshold + PAGES * page  # a gauge is too high only when the answer that lifted it has come
    most = max(pages.values()) * page
    return max(floor(sum(pages.values()), CONCURRENCY, REALISTIC), windows(most, in_a_row, budget.window))


def row(budget: Budget, outcome: Outcome) -> tuple[str, ...]:
    run, served, least = outcome.run, outcome.run.served, bound(outcome, budget)
    late = f"{max(rest.late for rest in outcome.rests):+.1f}" if outcome.rests else "-"
    times = (f"{run.seconds:.1f}", f"{least:.1f}", f"{run.seconds / least:.2f}", f"{run.cpu_seconds:.1f}")
    asked = (f"{served.requests}", f"{served.pages:,}", f"{served.portal_seconds:.1f}")
    rested = (f"{served.portal_seconds / run.seconds:.1f}", f"{len(outcome.rests)}", late)
    return (
        str(budget), f"{len(outcome.found)}", f"{run.rows:,}", *times, *asked, *rested, f"{served.refused}",
        f"{served.blocked}",
    )  # fmt: skip


def bars(outcomes: Mapping[Budget, Outcome]) -> list[Bar]:
    found = [difference for outcome in outcomes.values() for difference in outcome.found.values()]
    rows, missing = sum(one.rows for one in found), sum(one.missing for one in found)
    served = [outcome.run.served for outcome in outcomes.values()]
    late = max((rest.late for outcome in outcomes.values() for rest in outcome.rests), default=0.0)
    return [
        Bar.all_rows(rows - missing, rows),
        Bar.at_most(0, "rows that the portal does not have", sum(one.too_many for one in found)),
        Bar.at_most(0, "answers of 503", sum(one.refused for one in served)),
        Bar.at_most(0, "answers of 429", sum(one.blocked for one in served)),
        Bar(
            asks=f"no rest lasts longer than the portal asks plus {LATE:.0f} s, and until one of our requests is back",
            measured=f"{late:.1f} s longer",
            passed=late <= LATE + FULL_REQUEST,
        ),
    ]


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, default=20_000)
    deals = parser.parse_args().deals
    outcomes = {}
    for budget in (FULL, SMALL):
        outcomes[budget] = attempt(deals, budget)
        say(f"{budget}: {outcomes[budget].run.rows:,} rows in {outcomes[budget].run.seconds:.1f} s")
    section = Section(
        title="Whole portal",
        about=ABOUT.format(rows=outcomes[FULL].run.rows, concurrency=CONCURRENCY, small=SMALL, **REALISTIC),
        command=f"python -m benchmarks.portal_whole --deals {deals}",
        columns=COLUMNS,
        rows=[row(budget, outcome) for budget, outcome in outcomes.items()],
        bars=bars(outcomes),
    )
    section.show()
    section.save()


if __name__ == "__main__":
    main()

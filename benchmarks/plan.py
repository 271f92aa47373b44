"""What `b24lake plan` says beforehand, next to what `b24lake sync` then takes.

python -m benchmarks.plan
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import b24lake, b24lake_sync, measure, run, say
from benchmarks.portal import REALISTIC, SandboxProcess
from benchmarks.report import Bar, Section

WITHIN = 0.2
COLUMNS = ("portal", "rows", "requests: plan", "run", "portal s: plan", "run", "wall s: plan", "run", "rests", "off by")
ABOUT = (
    "`b24lake plan`, then `b24lake sync`, each on a sandbox portal that really waits: {page_ms} ms for each page, "
    "{round_trip_ms} ms for each way there and back, {drain:.0f} requests a second after a burst of {threshold}. Rests "
    "are enforced by a window of operating time that is much shorter than ten minutes. `off by` is the worst of the "
    "three figures."
)


@dataclass(frozen=True)
class Case:
    """A portal, and the options of plan and run."""

    name: str
    settings: dict[str, Any]
    options: tuple[str, ...] = ()


CASES = (
    Case("100,000 deals", {"deals": 100_000}, ("-s", "deals")),
    Case("everything", {"deals": 10_000}),
    Case("everything, small", {"deals": 1000}),
    Case("sparse ids", {"deals": 20_000, "id_gap": 50.0, "id_start": 10_000_000}, ("-s", "deals", "-s", "leads")),
    Case("quick pages", {"deals": 150_000, "page_ms": 2, "round_trip_ms": 20}, ("-s", "deals", "-s", "activities")),
    Case("slow counts", {"deals": 10_000, "count_ms": 5000}, ("-s", "deals", "-s", "contacts")),
    Case("one request at a time", {"deals": 20_000}, ("-s", "deals", "--concurrency", "1")),
    Case(
        "rests, by method",
        {"deals": 60_000, "operating_window": 30},
        ("-s", "deals", "-s", "contacts", "--operating-threshold", "18"),
    ),
    Case(
        "rests, by batch",
        {"deals": 20_000, "operating_window": 30, "billing": "batch"},
        ("--operating-threshold", "22"),
    ),
)


@dataclass(frozen=True)
class Figures:
    """Of a plan or a run: HTTP requests, the portal's seconds, seconds on the wall."""

    requests: float
    portal_seconds: float
    seconds: float
    rows: int
    rests: int

    def off(self, other: Figures) -> float:
        """The worst share by which these differ from the others."""
        mine, theirs = ((one.requests, one.portal_seconds, one.seconds) for one in (self, other))
        return max(abs(figure / true - 1) for figure, true in zip(mine, theirs, strict=True))


def figures(document: dict[str, Any], rows: str) -> Figures:
    """From the JSON of `plan` or `sync`; `rows` is what the rows are called there."""
    streams = document["streams"]
    return Figures(
        document["requests"],
        sum(stream["portal_seconds"] for stream in streams),
        document["seconds"],
        sum(stream[rows] for stream in streams),
        sum(stream["rests"] for stream in streams),
    )


def compare(case: Case) -> tuple[Figures, Figures]:
    """The plan and the run, one after the other."""
    settings = {**REALISTIC, "deal_fields": 60, **case.settings}
    with SandboxProcess(**settings) as portal, tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        planned = ask(b24lake("plan", portal.url, "--lake", str(lake), "--full", *case.options))
        ran = measure(b24lake_sync(portal.url, lake, *case.options), portal)
    return figures(planned, "rows"), figures(ran.document, "rows_read")


def ask(command: Sequence[str]) -> dict[str, Any]:
    """What a command printed."""
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as output:
        run([*command], {**os.environ, "B24LAKE_HOME": home}, output)
        output.seek(0)
        return dict(json.load(output))


def row(name: str, plan: Figures, ran: Figures) -> tuple[str, ...]:
    pairs = [(plan.requests, ran.requests), (plan.portal_seconds, ran.portal_seconds), (plan.seconds, ran.seconds)]
    shown = [f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}" for pair in pairs for figure in pair]
    return (name, f"{ran.rows:,}", *shown, f"{plan.rests} / {ran.rests}", f"{plan.off(ran):.0%}")


def main() -> None:
    """Measure, print, and write the section."""
    rows, worst = [], 0.0
    for case in CASES:
        plan, ran = compare(case)
        rows.append(row(case.name, plan, ran))
        worst = max(worst, plan.off(ran))
        say("  ".join(rows[-1]))
    section = Section(
        title="Plan",
        about=ABOUT.format(**REALISTIC),
        command="python -m benchmarks.plan",
        columns=COLUMNS,
        rows=rows,
        bars=[
            Bar(asks=f"within {WITHIN:.0%} of the run", measured=f"{worst:.0%} off at worst", passed=worst <= WITHIN)
        ],
    )
    section.show()
    section.save()


if __name__ == "__main__":
    main()

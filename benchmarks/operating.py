"""A full read that needs more operating time than the portal gives in one window: nothing is lost, rests are exact.

python -m benchmarks.operating [--deals 100000]
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import contenders
from benchmarks.harness import OURS, ContenderError, Run, b24lake_sync, measure, say
from benchmarks.portal import DEAL_FIELDS, REALISTIC, SandboxProcess
from benchmarks.report import Bar, Section
from benchmarks.watched import Rest, rests

METHOD = "crm.deal.list"
HURRIED = {**REALISTIC, "page_ms": 20, "operating_limit": 20, "operating_window": 30}
THRESHOLDS = [0, 10]  # operating seconds; 0 = rest only when the portal blocks
LATE = 2.0  # seconds
COLUMNS = ("contender", "rows", "wall s", "portal s", "429", "rests", "rested s", "as reported", "earliest", "latest")
ABOUT = (
    "{deals:,} deals x {fields} fields from the realistic portal, but with {operating_limit} s of work in "
    "{operating_window} s instead of 480 in 600, and {page_ms} ms a page: {needed:.0f} s of work, more than it gives "
    "at once. The threshold is 0 (rest only when the portal blocks), then half of the limit. The portal's "
    "clock runs at our own speed: a faster one would not hurry the reader's rests, which last as many of our seconds "
    "as the portal names; so the window is shorter instead. Rests are read from the portal's own log: a method is not "
    "asked for more than a second after it was blocked or had told a gauge above the threshold (peers: blocked); "
    "`earliest` and `latest` are the ends of such rests, in seconds after the reset that the last answer had named. "
    "`as reported` is what the run says of its rests."
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One contender's run, or why it ended without one, and the rests it took; `rows` as it says itself."""

    run: Run | None
    failure: str
    blocked: int
    rests: list[Rest]

    @property
    def rows(self) -> int:
        """Rows it brought."""
        return self.run.rows if self.run else 0


def attempt(deals: int, threshold: int | None, peer: str = "") -> Outcome:
    """A peer's read, or ours with this threshold, on a portal of its own."""
    with SandboxProcess(deals=deals, **HURRIED) as portal, tempfile.TemporaryDirectory() as folder:
        options = ("-s", "deals", "--operating-threshold", str(threshold))
        ours = b24lake_sync(portal.url, Path(folder), *options)
        run, failure = None, ""
        try:
            run = measure(contenders.command(peer, portal.url) if peer else ours, portal)
        except ContenderError as error:
            if not peer:
                raise
            failure = str(error).splitlines()[-1]
        blocked = portal.served().blocked
        return Outcome(run=run, failure=failure, blocked=blocked, rests=rests(portal.journal(), METHOD, threshold or 0))


def name_of(peer: str, outcome: Outcome, deals: int) -> str:
    """A peer's name, with what became of its run where it brought too little."""
    if outcome.run is None:
        return f"{peer} (ends with an error)"
    return peer if outcome.rows == deals else f"{peer} (ends without an error)"


def row(name: str, outcome: Outcome) -> tuple[str, ...]:
    run, late = outcome.run, [rest.late for rest in outcome.rests]
    if run is None:
        return (name, "none", "-", "-", f"{outcome.blocked}", *["-"] * 5)
    line = run.stream("deals") if name.startswith(OURS) else {}
    rested = sum(rest.ends - rest.begins for rest in outcome.rests)
    ends = (f"{min(late):+.1f}", f"{max(late):+.1f}") if late else ("-", "-")
    told = f"{line['rests']}: {line['rest_seconds']:.1f} s" if line else "-"
    times = (f"{run.seconds:.1f}", f"{run.served.portal_seconds:.1f}")
    return (name, f"{run.rows:,}", *times, f"{outcome.blocked}", f"{len(late)}", f"{rested:.1f}", told, *ends)


def bars(ours: dict[int, Outcome], deals: int) -> list[Bar]:
    counts = [outcome.rows for outcome in ours.values()]
    late = [rest.late for outcome in ours.values() for rest in outcome.rests]
    all_rest = all(outcome.rests for outcome in ours.values())
    blocked = sum(outcome.blocked for threshold, outcome in ours.items() if threshold)
    return [
        Bar.all_rows(min(counts), deals),
        Bar(asks="every run has to rest", measured=f"{len(late)} rests", passed=all_rest),
        Bar(
            asks=f"no rest lasts longer than the portal asks plus {LATE:.0f} s",
            measured=f"{max(late, default=0):.1f} s longer",
            passed=max(late, default=0) <= LATE,
        ),
        Bar(
            asks="no rest ends before the portal's reset",
            measured=f"{min(late, default=0):.1f} s after it",
            passed=min(late, default=0) >= 0,
        ),
        Bar.at_most(0, "answers of 429 with a threshold below the limit", blocked),
    ]


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, default=100_000)
    deals = parser.parse_args().deals
    ours: dict[int, Outcome] = {}
    for threshold in THRESHOLDS:
        ours[threshold] = attempt(deals, threshold)
        say(f"threshold {threshold}: {ours[threshold].rows:,} rows, {len(ours[threshold].rests)} rests")
    peers = {peer: attempt(deals, None, peer) for peer in contenders.PEERS}
    for peer, outcome in peers.items():
        say(f"{peer}: {outcome.rows:,} rows {outcome.failure}")
    outcomes = {f"{OURS}, threshold {threshold}": outcome for threshold, outcome in ours.items()}
    outcomes |= {name_of(peer, outcome, deals): outcome for peer, outcome in peers.items()}
    section = Section(
        title="Operating limit",
        about=ABOUT.format(deals=deals, fields=DEAL_FIELDS, needed=deals / 50 * HURRIED["page_ms"] / 1000, **HURRIED),
        command=f"python -m benchmarks.operating --deals {deals}",
        columns=COLUMNS,
        rows=[row(name, outcome) for name, outcome in outcomes.items()],
        bars=bars(ours, deals),
    )
    section.show()
    section.save()


if __name__ == "__main__":
    main()

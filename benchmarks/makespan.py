"""A whole portal in simulated time: how near its reading comes to what the portal's limits allow.

python -m benchmarks.makespan [--thresholds 200 450] [--seeds 5]

No run can be shorter than the longest of three times, each worked out from the sizes alone, as if nobody ever had to
guess where a stream ends and no page were wasted:

requests   pages / 50, rounded up: 50 of them at once, the others at 2 a second
lanes      seconds of the portal's work, and the round trips of as many requests, divided by the requests that are on
           their way at once
windows    per method: a threshold's worth of work, with the share by which its last request may pass it, at the start
           of each ten minutes, and what is left of it by all lanes after the last of these rests

What has to be read of a stream are its full pages, the one that is not full, and the page of newest ids. No bound takes
account of the others, nor of a method's work that spreads over several of the portal's minutes, so that the true
optimum may lie a little higher. The portal books every command, however short; no time passes for our own work.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from b24lake.portal.limits import OVER, PLANS
from b24lake.reading.schedule import Ask, Schedule
from b24lake.streams.definitions import STREAMS, Stream
from benchmarks.report import Bar, Section
from benchmarks.simulated_portal import PAGE, Rules, SimulatedPortal, Table
from benchmarks.simulation import Simulation

LANES, TRAVEL, WINDOW = 4, 0.1, 600.0
RATIO = 1.15
PLAN = PLANS["standard"]
COLUMNS = ("threshold", "rows", "requests", "bound s", "of requests", "of lanes", "of windows", "makespan s", "ratio")
SIZES = {
    "deals": 200_000,
    "contacts": 300_000,
    "companies": 100_000,
    "leads": 100_000,
    "activities": 300_000,
    "product": 5_000,
    "users": 500,
    "departments": 80,
    "status_list": 300,
    **{name: 150 for name, stream in STREAMS.items() if stream.paging == "fields"},
}


def listed(name: str, method: str, size: int, **more: object) -> tuple[Stream, int]:
    """A stream that STREAMS does not have."""
    return Stream(name=name, title=name, group="CRM", scopes=("crm",), method=method, docs="", **more), size  # type: ignore[arg-type]


OTHERS = [
    listed("deal_stages", "crm.stagehistory.list", 400_000, params={"entityTypeId": 2}, rows_at="items"),
    listed("lead_stages", "crm.stagehistory.list", 100_000, params={"entityTypeId": 1}, rows_at="items"),
    listed("calls", "voximplant.statistic.get", 60_000),
    listed("spa_1256", "crm.item.list", 40_000, params={"entityTypeId": 1256}, rows_at="items", key="id"),
    listed("spa_128", "crm.item.list", 20_000, params={"entityTypeId": 128}, rows_at="items", key="id"),
]
STREAM_SIZES = [*((STREAMS[name], size) for name, size in SIZES.items()), *OTHERS]


@dataclass(frozen=True, slots=True)
class Bound:
    """Seconds below which no run can be, by what holds it up."""

    requests: float
    lanes: float
    windows: float

    @property
    def seconds(self) -> float:
        """The longest of them."""
        return max(self.requests, self.lanes, self.windows)


def pages(stream: Stream, size: int) -> int:
    """Commands that a stream cannot do without."""
    if stream.paging in ("whole", "fields"):
        return 1
    return math.ceil(size / PAGE) if stream.paging == "offset" else size // PAGE + 2


def bound(sizes: Iterable[tuple[Stream, int]], rules: Rules, threshold: float) -> Bound:
    """The shortest time that the portal's limits allow."""
    work: dict[str, float] = defaultdict(float)
    commands = 0
    for stream, size in sizes:
        commands += pages(stream, size)
        work[stream.method] += pages(stream, size) * rules.page
    requests = math.ceil(commands / 50)
    return Bound(
        requests=max(0.0, (requests - PLAN.threshold) / PLAN.drain),
        lanes=(sum(work.values()) + requests * TRAVEL) / LANES,
        windows=max(_in_windows(seconds, threshold * (1 + OVER)) for seconds in work.values()),
    )


def _in_windows(seconds: float, most: float) -> float:
    """A method's work, `most` of it in each window."""
    rests = math.ceil(seconds / most) - 1 if most else 0
    return rests * WINDOW + (seconds - rests * most) / LANES


def measure(threshold: float, seed: int) -> Simulation:
    """One run; about three ids in four are in use."""
    chance, rules = random.Random(seed), Rules()
    tables = [Table(stream, some_ids(stream, size, chance)) for stream, size in STREAM_SIZES]
    portal = SimulatedPortal(tables, rules, chance)
    schedule = Schedule(concurrency=LANES, threshold=threshold)
    simulation = Simulation(portal, schedule, PLAN, chance, travel=TRAVEL)
    brought = simulation.read([Ask(table.stream, ()) for table in tables])
    for table in tables:
        one = brought[table.stream.name]
        if one.error is not None or len(one.keys) != len(table.ids) or len(set(one.keys)) != len(table.ids):
            raise AssertionError(f"{table.stream.name}: {len(one.keys)} of {len(table.ids)} rows, {one.error}")
    if portal.counts.refused or portal.counts.blocked:
        raise AssertionError("the portal had to refuse something")
    return simulation


def some_ids(stream: Stream, size: int, chance: random.Random) -> list[int]:
    """A table's ids, rising."""
    if stream.paging != "keyset":
        return list(range(1, size + 1))
    return sorted(chance.sample(range(1, int(size * 1.3) + 2), size))


def row(threshold: float, least: Bound, slowest: Simulation) -> tuple[str, ...]:
    rows = sum(size for _stream, size in STREAM_SIZES)
    parts = (least.seconds, least.requests, least.lanes, least.windows, slowest.seconds)
    ratio = f"{slowest.seconds / least.seconds:.2f}"
    return (
        f"{threshold:.0f} s",
        f"{rows:,}",
        f"{slowest.portal.counts.requests}",
        *(f"{part:.0f}" for part in parts),
        ratio,
    )


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thresholds", type=float, nargs="+", default=[200.0, 450.0])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    rows, bars = [], []
    for threshold in options.thresholds:
        least = bound(STREAM_SIZES, Rules(), threshold)
        slowest = max((measure(threshold, seed) for seed in range(options.seeds)), key=lambda run: run.seconds)
        rows.append(row(threshold, least, slowest))
        ratio = slowest.seconds / least.seconds
        asks = f"a makespan of at most {RATIO}x the lower bound at a threshold of {threshold:.0f} s"
        bars.append(Bar(asks=asks, measured=f"{ratio:.2f}x", passed=ratio <= RATIO))
    thresholds = " ".join(f"{threshold:.0f}" for threshold in options.thresholds)
    section = Section(
        title="Makespan",
        about=f"A whole portal of {len(STREAM_SIZES)} streams in simulated time: {LANES} requests on their way, 40 ms "
        f"a page, 100 ms a round trip, 50 requests and 2 more a second, 480 s per method and ten minutes. The slowest "
        f"of {options.seeds} runs; every row came once, with no 503 and no 429. The bound: benchmarks/makespan.py.",
        command=f"python -m benchmarks.makespan --thresholds {thresholds} --seeds {options.seeds}",
        columns=COLUMNS,
        rows=rows,
        bars=bars,
    )
    section.show()
    section.save()


if __name__ == "__main__":
    main()

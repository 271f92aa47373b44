"""Random runs for the simulation: which tables, which portal, which faults. All follow from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise

from benchmarks.simulated_portal import Rules, SimulatedPortal, Table
from benchmarks.simulation import Brought, Simulation

from b24lake.portal.limits import PLANS
from b24lake.reading.schedule import Ask, Schedule, Sent
from b24lake.streams.definitions import STREAMS, Stream

NAMES = ["deals", "contacts", "companies", "leads", "activities", "users", "product", "departments", "deal_fields"]
ITEMS = [
    Stream(
        name=f"spa_{number}",
        title="Items",
        group="CRM",
        scopes=("crm",),
        method="crm.item.list",
        params={"entityTypeId": number},
        rows_at="items",
        key="id",
        docs="",
    )
    for number in (128, 1030)
]
EVERY = [*(STREAMS[name] for name in NAMES), *ITEMS]
MOST_IN_A_ROW = 3  # faults; less than anybody's patience


def spread(chance: random.Random, count: int, times: float, start: int = 1) -> list[int]:
    """Ids spread evenly at random: `times` as many numbers as rows."""
    return sorted(chance.sample(range(start, start + int(count * times) + 1), count))


def clustered(chance: random.Random, count: int) -> list[int]:
    """Runs of ids without a hole, with gaps of all sizes in between."""
    ids, start = list[int](), 1
    longest, gap = chance.choice([20, 200, 2000]), chance.choice([100, 1000, 20_000])
    while len(ids) < count:
        length = chance.randint(1, longest)
        ids += range(start, start + length)
        start += length + chance.randint(1, gap)
    return ids[:count]


def some_ids(chance: random.Random, largest: int) -> list[int]:
    """Ids of one table: any of the ways in which real ones are spread, and any size."""
    count = int(largest ** chance.random()) if chance.random() < 0.8 else chance.choice([0, 1, 49, 50, 51, 100, 2500])
    kind = chance.choice(["dense", "10", "1000", "clusters", "ten million", "thinner", "far"])
    if kind == "10":
        return spread(chance, count, 10)
    if kind == "1000":
        return spread(chance, count, 1000)
    if kind == "clusters":
        return clustered(chance, count)
    if kind == "ten million":
        return spread(chance, count, chance.choice([1, 3, 40]), 10_000_000)
    if kind == "thinner":
        return [int(number**1.5) for number in range(1, count + 1)]
    if kind == "far":
        return sorted({*range(1, count), 10**9} if count else set())
    return list(range(1, count + 1))


def some_tables(chance: random.Random, streams: int, largest: int) -> list[Table]:
    """Tables of so many different streams."""
    tables = []
    for stream in chance.sample(EVERY, streams):
        keyset = stream.paging == "keyset"
        tables.append(Table(stream, some_ids(chance, largest) if keyset else list(range(1, chance.randint(1, 130)))))
    return tables


def some_rules(chance: random.Random, tables: Iterable[Table]) -> Rules:
    """A portal whose operating limit the largest table may or may not reach; no command takes over 6 seconds."""
    pages = max(len(table.ids) for table in tables) / 50 + 1
    limit = chance.choice([0.0, 120.0, 480.0])
    heavy = (limit or 100.0) * chance.uniform(0.2, 4.0) / pages
    page = chance.choice([0.01, 0.04, heavy, heavy])
    return Rules(
        page=min(page, (limit or 100.0) / 40),
        uneven=chance.choice([0.0, 0.2]),
        limit=limit,
        billing=chance.choice(["method", "batch"]),
        counters=chance.choice(["present", "present", "zero", "absent"]),
        gauges=chance.choice(["all", "first"]),
        clock_off=chance.choice([0.0, 3600.0, -7200.0]),
    )


@dataclass
class Faults:
    """Faults at random, never too many in a row. Whole requests and single commands are counted apart."""

    chance: random.Random
    share: float
    row: dict[bool, int] = field(default_factory=dict)

    def __call__(self, method: str) -> str | None:
        whole = method == "batch"
        if self.row.get(whole, 0) >= MOST_IN_A_ROW or self.chance.random() >= self.share:
            self.row[whole] = 0
            return None
        self.row[whole] = self.row.get(whole, 0) + 1
        return self.chance.choice(["internal", "timeout", "empty"] if whole else ["internal", "missing"])


@dataclass
class Churn:
    """Rows that appear and disappear while they are read. `lasting` are there from beginning to end."""

    chance: random.Random
    every: float
    lasting: dict[str, set[int]]

    def __call__(self, table: Table) -> None:
        if table.stream.paging != "keyset" or self.chance.random() >= self.every:
            return
        for _row in range(self.chance.randint(1, 30)):
            newest = table.ids[-1] if table.ids else 0
            if self.chance.random() < 0.4:
                table.insert(newest + self.chance.randint(1, 5))
            elif self.chance.random() < 0.5:
                table.insert(self.chance.randint(1, newest + 1))  # changed: a filter by change lets it in from now on
            elif table.ids:
                key = self.chance.choice(table.ids[-60:] if self.chance.random() < 0.3 else table.ids)
                table.delete(key)
                self.lasting[table.stream.name].discard(key)


@dataclass
class Case:
    """One random run, to be changed before it is run.

    faults      share of requests and commands that go wrong
    churn       share of pages after which rows come and go
    stranger    requests per second of another program at our address
    tables      these instead of random ones
    """

    seed: int
    streams: int = 4
    largest: int = 3000
    faults: float = 0.0
    churn: float = 0.0
    stranger: float = 0.0
    tables: list[Table] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = self.chance = random.Random(self.seed)
        self.tables = self.tables or some_tables(chance, chance.randint(1, self.streams), self.largest)
        self.rules = some_rules(chance, self.tables)
        self.threshold = chance.choice([0.0, 0.4, 0.8]) * self.rules.limit
        self.concurrency = chance.choice([1, 2, 4, 4, 7])
        self.plan = chance.choice(["standard", "standard", "enterprise"])
        self.jitter = chance.choice([0.0, 0.5])
        self.lasting = {table.stream.name: set(table.ids) for table in self.tables}

    def rule(self, **rules: object) -> None:
        """Change the portal's rules."""
        self.rules = replace(self.rules, **rules)  # type: ignore[arg-type]

    def simulation(self) -> Simulation:
        """All put together."""
        plan = PLANS[self.plan]
        self.rule(threshold=plan.threshold, drain=plan.drain)
        portal = SimulatedPortal(
            self.tables,
            self.rules,
            self.chance,
            fault=Faults(self.chance, self.faults),
            churn=Churn(self.chance, self.churn, self.lasting),
        )
        simulation = Simulation(
            portal,
            Schedule(concurrency=self.concurrency, threshold=self.threshold),
            plan,
            self.chance,
            jitter=self.jitter,
            launched=assert_nobody_is_woken,
            answered=assert_rests_are_exact,
        )
        portal.bucket.share(self.stranger, simulation.now)
        return simulation

    def run(self) -> tuple[Simulation, dict[str, Brought]]:
        """Read everything."""
        simulation = self.simulation()
        return simulation, dict(simulation.read([Ask(table.stream, ()) for table in self.tables]))


def assert_nobody_is_woken(simulation: Simulation, sent: Sent) -> None:
    """No command of a method that rests is sent, but for those that end its work just above the threshold."""
    gauges, now = simulation.schedule.gauges, simulation.now
    methods = {command.method for command in sent.commands.values()}
    assert all(gauges.resting_until(method) <= now for method in methods)


def assert_rests_are_exact(simulation: Simulation, _sent: Sent) -> None:
    """Where the portal tells its counters, a method rests until its oldest minute leaves, and at most 2 s longer."""
    portal, now = simulation.portal, simulation.now
    if portal.rules.counters != "present":
        return
    for method, gauge in simulation.schedule.gauges.by_method.items():
        if gauge.until <= now or not portal.budgets.used(method, now):
            continue
        reset_at = portal.budgets.reset_at(method, now)
        assert gauge.until <= reset_at + 2
        assert gauge.until >= reset_at or gauge.until <= now + 2, f"{method} rests too short"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Name the seed of a case that fails."""
    try:
        yield
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise


def assert_all_came(case: Case, brought: dict[str, Brought]) -> None:
    """Every row that was there from beginning to end came, and none twice; all streams ended well."""
    for table in case.tables:
        one = brought[table.stream.name]
        assert one.ended
        assert one.error is None, one.error
        assert len(one.keys) == len(set(one.keys)), "a row came twice"
        if table.stream.paging == "keyset":
            assert case.lasting[table.stream.name] <= set(one.keys), "rows are missing"
            assert all(below[1] <= above[0] for below, above in pairwise(sorted(one.closed)))
        else:
            assert len(one.keys) == len(table.ids)

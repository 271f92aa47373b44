"""Schedule, walk, packing and limits against thousands of simulated portals: random ids, limits, faults and changes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from benchmarks.simulated_portal import Rules, Table
from benchmarks.simulation import Brought, Simulation
from pretend_portal import PretendPortal
from simulated_cases import Case, assert_all_came, clustered, seeded, spread

from b24lake.errors import BrokenOffError, PagingError, StopError, StreamError
from b24lake.portal.connection import Batch
from b24lake.reading.schedule import HOPELESS, Ask, Schedule, Sent
from b24lake.streams.definitions import STREAMS

QUICK, MANY = 80, 4000
KINDS: dict[str, dict[str, Any]] = {
    "calm": {},
    "one stream": {"streams": 1, "largest": 8000},
    "many streams": {"streams": 10, "largest": 6000},
    "rows that come and go": {"churn": 0.05},
    "faults": {"faults": 0.04},
    "faults and changes": {"faults": 0.03, "churn": 0.03},
    "a stranger": {"stranger": 1.0},
}


def assert_limits_are_kept(case: Case, simulation: Simulation) -> None:
    """The portal never had to refuse, block or cut us where that can be known, and let nobody wait for long."""
    counts, rules = simulation.portal.counts, case.rules
    assert case.stranger or not counts.refused, "more requests than the bucket holds"
    assert case.faults or rules.page > 1.5 or not counts.cut, "a request that takes too long"
    told = rules.counters == "present" and case.threshold and not counts.cut  # what was cut off told nothing
    assert not told or not counts.blocked, "a method was used beyond its limit though the portal told its gauge"
    if not case.faults:
        assert counts.late <= (2.2 if len(case.tables) == 1 else 2.2 + rules.request), "a rest was too long"


def check(kind: str, seed: int) -> None:
    with seeded(seed):
        case = Case(seed, **KINDS[kind])
        simulation, brought = case.run()
        assert_all_came(case, brought)
        assert_limits_are_kept(case, simulation)


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_comes_once_within_all_limits(kind: str) -> None:
    for seed in range(QUICK):
        check(kind, seed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_comes_once_within_all_limits_many_times(kind: str) -> None:
    for seed in range(QUICK, QUICK + MANY):
        check(kind, seed)


def test_all_that_a_request_brings_for_a_stream_comes_at_once() -> None:
    """Else the first part could end the stream, and the rest would be dropped."""
    most = 0
    for seed in range(5):
        portal, schedule = PretendPortal(clustered(random.Random(seed), 12_000)), Schedule()
        schedule.add(Ask(STREAMS["deals"], ()))
        rows = 0
        while not schedule.active["deals"].task.finished:
            sent = schedule.next(0.0)
            (taken,) = schedule.take(sent, Batch(portal.batch(sent.commands, halt=sent.halt)), 0.0)
            most, rows = max(most, len(sent.orders)), rows + len(taken.rows)
        assert rows == 12_000
    assert most > 1


@pytest.mark.parametrize("divisor", [7, 53, 400])
def test_pages_that_end_early_lose_no_row(divisor: int) -> None:
    for seed in range(20):
        ids = clustered(random.Random(seed), 6000)
        case = Case(seed, tables=[Table(STREAMS["deals"], ids, cut=divisor)])
        case.rule(page=0.01)
        _simulation, brought = case.run()
        assert_all_came(case, brought)


# --- waste ------------------------------------------------------------------------------------------------------------

EVEN: dict[str, Callable[[random.Random, int], list[int]]] = {
    "dense": lambda _chance, count: list(range(1, count + 1)),
    "10 times sparse": lambda chance, count: spread(chance, count, 10),
    "1000 times sparse": lambda chance, count: spread(chance, count, 1000),
    "from ten million": lambda chance, count: spread(chance, count, 1.4, 10_000_000),
    "emptier and emptier": lambda _chance, count: [int(number**1.5) for number in range(1, count + 1)],
    "one row far away": lambda _chance, count: [*range(1, count), 10**9],
}


def big_read(ids: list[int], seed: int) -> tuple[Simulation, Case]:
    case = Case(seed, tables=[Table(STREAMS["deals"], ids)])
    case.rule(page=0.02, limit=0.0)
    case.concurrency = 4
    simulation, brought = case.run()
    assert_all_came(case, brought)
    return simulation, case


@pytest.mark.parametrize("make", EVEN.values(), ids=EVEN.keys())
@pytest.mark.parametrize("count", [10_050, 60_000])
def test_a_large_stream_takes_hardly_more_than_it_needs(make: Callable[..., list[int]], count: int) -> None:
    simulation, _case = big_read(make(random.Random(count), count), count)
    needed = count // 50 + 1
    assert simulation.portal.counts.pages["crm.deal.list"] < 1.05 * needed + 2
    assert simulation.portal.counts.requests <= 9 + 1.2 * needed / 50


def test_clusters_cost_little_more() -> None:
    """Ids in clusters say nothing of what comes next: one read may waste more, but not many of them."""
    wasted = needed = 0
    for seed in range(15):
        ids = clustered(random.Random(seed), 20_000)
        simulation, _case = big_read(ids, seed)
        more = simulation.portal.counts.pages["crm.deal.list"] - len(ids) // 50 - 2
        assert more < 0.08 * len(ids) / 50, f"seed {seed}"
        wasted, needed = wasted + more, needed + len(ids) // 50
    assert wasted < 0.02 * needed


# --- side by side -----------------------------------------------------------------------------------------------------


def sized(**sizes: int) -> list[Table]:
    return [Table(STREAMS[name], list(range(1, size + 1))) for name, size in sizes.items()]


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("threshold", [0.0, 200.0])
def test_small_streams_end_early_and_a_big_one_starves_nobody(concurrency: int, threshold: float) -> None:
    tables = sized(deals=250_000, contacts=12_000, leads=9_000, users=60, companies=400, product=30, deal_fields=90)
    case = Case(1, tables=tables)
    case.rules = Rules(page=0.1, limit=480.0)
    case.concurrency, case.threshold = concurrency, threshold
    simulation, brought = case.run()
    assert_all_came(case, brought)
    small = max(brought[name].seconds for name in ("users", "companies", "product", "deal_fields"))
    assert small < 30 + 50 / concurrency
    fair = 3 * 0.1 * 12_000 / 50 / concurrency  # three streams share the portal
    assert max(brought[name].seconds for name in ("contacts", "leads")) < 1.5 * fair + 60 < simulation.seconds


def test_beside_a_stranger_we_slow_down_get_on_and_recover() -> None:
    case = Case(2, stranger=1.0, tables=sized(deals=200_000, contacts=200_000, leads=100_000))
    case.rules, case.plan, case.concurrency, case.threshold = Rules(page=0.01, limit=0.0), "standard", 4, 0.0
    paces: list[float] = []
    simulation = case.simulation()
    simulation.launched = lambda one, _sent: paces.append(one.bucket.pace)
    brought = dict(simulation.read([Ask(table.stream, ()) for table in case.tables]))
    assert_all_came(case, brought)
    counts = simulation.portal.counts
    assert 0 < counts.refused < 0.1 * counts.requests
    assert min(paces) <= 0.5
    assert simulation.seconds < 2.5 * counts.requests  # of the 2 requests a second, one is ours


# --- portals that cannot be trusted -----------------------------------------------------------------------------------


def odd(ids: list[int], value: object) -> dict[str, Any]:
    return {"odd": {ids[len(ids) // 2]: value}}


BAD: dict[str, Callable[[list[int]], dict[str, Any]]] = {
    "ignores the id filter": lambda _ids: {"ignores": frozenset({">ID"})},
    "ignores the order": lambda _ids: {"ignores": frozenset({"order"})},
    "goes round in circles": lambda ids: odd(ids, str(ids[0])),
    "an id that is a word": lambda ids: odd(ids, "C_5"),
    "no id": lambda ids: odd(ids, None),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_a_stream_that_cannot_be_trusted_ends_alone(make: Callable[[list[int]], dict[str, Any]]) -> None:
    for seed in range(30):
        with seeded(seed):
            ids = clustered(random.Random(seed), 200 + 70 * seed)
            bad = Table(STREAMS["leads"], ids, **make(ids))
            case = Case(seed, tables=[bad, *sized(deals=3000, contacts=60, departments=70)])
            _simulation, brought = case.run()
            error = brought["leads"].error
            assert isinstance(error, PagingError), error
            case.tables.remove(bad)
            assert_all_came(case, brought)


def hogged(*methods: str, **rules: Any) -> tuple[Case, Callable[[], tuple[Simulation, dict[str, Brought]]]]:
    case = Case(3, tables=sized(deals=3000, leads=3000))
    case.rules = Rules(hogged=frozenset(methods), **rules)
    return case, case.run


def test_a_method_that_is_blocked_for_good_ends_its_stream_alone() -> None:
    case, run = hogged("crm.lead.list")
    simulation, brought = run()
    assert isinstance(brought["leads"].error, BrokenOffError)
    assert HOPELESS < simulation.seconds < 1.2 * HOPELESS
    assert simulation.portal.counts.requests < HOPELESS
    case.tables.pop()
    assert_all_came(case, brought)


def test_a_portal_that_blocks_all_batches_for_good_ends_the_run() -> None:
    _case, run = hogged("batch", billing="batch")
    with pytest.raises(StopError, match="blocked"):
        run()


def test_faults_without_end_end_the_run_or_its_streams() -> None:
    ends: Counter[str] = Counter()
    for seed in range(40):
        case = Case(seed, faults=0.7)
        try:
            _simulation, brought = case.run()
        except StopError:
            ends["run"] += 1
            continue
        assert all(one.ended for one in brought.values())
        ends["streams"] += any(isinstance(one.error, StreamError) for one in brought.values())
    assert ends["run"] + ends["streams"] > 10


def test_the_first_requests_hold_no_more_than_a_slow_portal_manages() -> None:
    """Nothing is known of any method yet, and a page may take seconds."""
    sizes: list[int] = []
    tables = sized(**dict.fromkeys([name for name, stream in STREAMS.items() if stream.paging == "keyset"], 70))
    case = Case(4, tables=tables)
    case.rules = Rules(page=1.9, limit=0.0)
    simulation = case.simulation()

    def note(_simulation: Simulation, sent: Sent) -> None:
        sizes.append(len(sent.commands))

    simulation.launched = note
    brought = dict(simulation.read([Ask(table.stream, ()) for table in case.tables]))
    assert_all_came(case, brought)
    assert max(sizes) <= 30
    assert not simulation.portal.counts.cut

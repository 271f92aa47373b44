"""Chains over a pretend portal: every id once, closed stretches complete, loud when pages cannot be trusted."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_portal import PAGE, Brought, PretendPortal, next_orders, read

from b24lake.errors import PagingError, StreamError
from b24lake.portal import limits
from b24lake.portal.connection import Batch
from b24lake.reading.schedule import Ask, Schedule
from b24lake.reading.tasks import KeysetTask
from b24lake.reading.walk import PATIENCE
from b24lake.streams.definitions import STREAMS

DEALS = STREAMS["deals"]
ERRORS = ["missing", "resting", "internal", "cut"]


def task() -> KeysetTask:
    return KeysetTask(DEALS, None)


def spread(count: int, times: float, start: int = 1, seed: int = 1) -> list[int]:
    """Ids spread evenly at random: `times` as many numbers as rows."""
    return sorted(random.Random(seed).sample(range(start, start + int(count * times) + 1), count))


def clustered(count: int, longest: int, gap: int, seed: int = 1) -> list[int]:
    """Runs of ids without a hole, up to `longest`, with gaps up to `gap` in between."""
    chance, ids, start = random.Random(seed), list[int](), 1
    while len(ids) < count:
        length = chance.randint(1, longest)
        ids += range(start, start + length)
        start += length + chance.randint(1, gap)
    return ids[:count]


def assert_whole(brought: Brought, expected: list[int]) -> None:
    """Every id exactly once, and the closed stretches are apart from each other and reach over all ids."""
    assert sorted(brought.ids) == expected
    stretches = sorted(brought.closed)
    assert all(before[1] <= after[0] for before, after in pairwise(stretches))
    assert all(any(low < key <= high for low, high in stretches) for key in expected[:: max(1, len(expected) // 50)])


SMALL: dict[str, list[int]] = {
    "none": [],
    "one": [7],
    "one at ten million": [10_000_000],
    **{f"{count} dense": list(range(1, count + 1)) for count in (49, 50, 51, 99, 100, 2500, 2550, 2551)},
    "2500 from ten million": list(range(10_000_000, 10_002_500)),
    "two far apart": [1, 10**12],
    "a page and one far away": [*range(1, 51), 10**9],
    "one and a page far away": [1, *range(10**9, 10**9 + 50)],
    "very sparse": spread(700, 1000),
    "clusters": clustered(3000, 400, 4000),
}


@pytest.mark.parametrize("ids", SMALL.values(), ids=SMALL.keys())
@pytest.mark.parametrize("flights", [1, 4, 8])
def test_every_id_comes_exactly_once(ids: list[int], flights: int) -> None:
    for seed in range(3):
        brought = read(task(), PretendPortal(ids), chance=random.Random(seed), flights=flights, most_requests=120)
        assert_whole(brought, ids)


ID_SETS = st.one_of(
    st.lists(st.integers(1, 5000), unique=True, max_size=1500),
    st.builds(
        lambda count, times, start: spread(count, times, start),
        st.integers(0, 4000),
        st.sampled_from([1.1, 10, 1000]),
        st.sampled_from([1, 10_000_000]),
    ),
    st.builds(clustered, st.integers(1, 4000), st.integers(1, 900), st.integers(1, 20_000)),
).map(sorted)


@settings(max_examples=60)
@given(ID_SETS, st.integers(1, 6), st.randoms(use_true_random=False))
def test_answers_may_come_back_in_any_order(ids: list[int], flights: int, chance: random.Random) -> None:
    brought = read(task(), PretendPortal(ids), chance=chance, flights=flights)
    assert_whole(brought, ids)
    assert brought.requests <= 25 + len(ids) // PAGE


@settings(max_examples=60)
@given(ID_SETS, st.integers(1, 6), st.sampled_from(ERRORS), st.sampled_from([0.02, 0.1]), st.integers(0, 10**6))
def test_commands_that_fail_are_asked_again(ids: list[int], flights: int, error: str, share: float, seed: int) -> None:
    chance, row = random.Random(seed), 0

    def fault() -> str | None:
        nonlocal row
        row = row + 1 if chance.random() < share and row < PATIENCE - 2 else 0
        return error if row else None

    portal = PretendPortal(ids, fault=fault)
    brought = read(task(), portal, chance=random.Random(seed), flights=flights, most_requests=50 + len(ids) // 10)
    assert_whole(brought, ids)


def test_a_chain_that_brings_nothing_is_not_asked_again_at_the_same_length() -> None:
    failing, lengths = False, list[int]()
    portal = PretendPortal(range(1, 50_001), fault=lambda: "internal" if failing else None)
    one = task()
    for _request in range(PATIENCE + 1):
        (order,) = next_orders(one, 1)
        lengths.append(len(order.commands))
        answers = portal.batch(order.commands, halt=True)
        one.take(order, [answers[key] for key in order.commands])
        failing = len(lengths) > 1
    assert lengths == [2, 50, 50, 25, 12, 6, 3]


class Meddler:
    """Inserts rows at the end and deletes rows anywhere while a stream is read; checks each closed stretch at once."""

    def __init__(self, portal: PretendPortal, chance: random.Random, every: float) -> None:
        self.portal, self.chance, self.every = portal, chance, every
        self.lasting, self.inserted = set(portal.ids), set[int]()
        self.changes = 40
        self.checked = 0

    def __call__(self, brought: Brought) -> None:
        self.check(brought)
        if self.chance.random() < self.every and self.changes:
            self.changes -= 1
            for _row in range(self.chance.randint(1, 60)):
                self.insert() if self.chance.random() < 0.5 else self.delete()

    def insert(self) -> None:
        key = (self.portal.ids[-1] if self.portal.ids else 0) + self.chance.randint(1, 5)
        self.portal.insert(key)
        self.inserted.add(key)

    def delete(self) -> None:
        if self.portal.ids:
            key = self.chance.choice(self.portal.ids[-100:] if self.chance.random() < 0.3 else self.portal.ids)
            self.portal.delete(key)
            self.lasting.discard(key)

    def check(self, brought: Brought) -> None:
        """What is said to be closed holds every row that has been there all the time."""
        lasting, came = sorted(self.lasting), set(brought.ids)
        for low, high in brought.closed[self.checked :]:
            assert came.issuperset(lasting[bisect_right(lasting, low) : bisect_right(lasting, high)])
        self.checked = len(brought.closed)


@settings(max_examples=60)
@given(ID_SETS, st.integers(1, 6), st.sampled_from([0.2, 1.0]), st.randoms(use_true_random=False))
def test_rows_that_come_and_go_meanwhile_do_not_hurt_the_others(
    ids: list[int], flights: int, every: float, chance: random.Random
) -> None:
    portal = PretendPortal(ids)
    meddler = Meddler(portal, chance, every)
    brought = read(task(), portal, chance=chance, flights=flights, meanwhile=meddler)
    meddler.check(brought)
    assert len(brought.ids) == len(set(brought.ids))
    assert meddler.lasting <= set(brought.ids) <= set(ids) | meddler.inserted


@settings(max_examples=30)
@given(ID_SETS, st.randoms(use_true_random=False))
def test_a_request_that_gets_lost_is_asked_again(ids: list[int], chance: random.Random) -> None:
    one, portal = task(), PretendPortal(ids)
    for order in next_orders(one, 4):
        one.lost(order)
    assert_whole(read(one, portal, chance=chance), ids)


# --- waste ------------------------------------------------------------------------------------------------------------

LARGE: dict[str, Callable[[int], list[int]]] = {
    "dense": lambda count: list(range(1, count + 1)),
    "three in four": lambda count: spread(count, 1.33),
    "10 times sparse": lambda count: spread(count, 10),
    "1000 times sparse": lambda count: spread(count, 1000),
    "from ten million": lambda count: list(range(10_000_000, 10_000_000 + count)),
    "sparse from ten million": lambda count: spread(count, 7, 10_000_000),
    "small clusters": lambda count: clustered(count, 200, 300),
    "clusters": lambda count: clustered(count, 1000, 1000),
    "emptier and emptier": lambda count: [int(number**1.5) for number in range(1, count + 1)],
    "one row far away": lambda count: [*range(1, count), 10**9],
}


@pytest.mark.parametrize("make", LARGE.values(), ids=LARGE.keys())
@pytest.mark.parametrize("count", [10_700, 60_300])
@pytest.mark.parametrize("flights", [1, 4])
def test_hardly_any_page_is_asked_beyond_an_end(make: Callable[[int], list[int]], count: int, flights: int) -> None:
    one, portal, ids = task(), PretendPortal(make(count)), make(count)
    needed = len(set(ids)) // PAGE + 1
    brought = read(one, portal, flights=flights)
    assert len(brought.ids) == len(set(ids))
    assert one.wasted < 0.05 * needed
    assert portal.pages - needed < 0.06 * needed
    assert brought.requests <= 8 + 1.8 * needed / 50


UNEVEN: dict[str, Callable[[int], list[int]]] = {
    "large clusters far apart": lambda count: clustered(count, 3000, 30_000),
    "dense, then sparse": lambda count: [*range(1, count // 2), *range(count, 50 * count, 100)],
    "sparse, then dense": lambda count: [*range(1, 50 * count, 100), *range(50 * count, 50 * count + count // 2)],
    "a hole in the middle": lambda count: [*range(1, count // 2), *range(10**8, 10**8 + count // 2)],
    "a page, then a hole": lambda count: [*range(1, 51), *range(10**8, 10**8 + count)],
}


@pytest.mark.parametrize("make", UNEVEN.values(), ids=UNEVEN.keys())
@pytest.mark.parametrize("flights", [1, 4])
def test_uneven_ids_cost_a_little_more(make: Callable[[int], list[int]], flights: int) -> None:
    one, ids = task(), make(60_300)
    portal = PretendPortal(ids)
    brought = read(one, portal, flights=flights)
    assert sorted(brought.ids) == ids
    assert one.wasted < 0.06 * len(ids) / PAGE
    assert brought.requests <= 6 * len(ids) / PAGE / 50


# --- portals that cannot be trusted -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ignores", [">ID", "order"])
@pytest.mark.parametrize("flights", [1, 4])
def test_a_portal_that_ignores_filter_or_order_fails_loudly(ignores: str, flights: int) -> None:
    portal = PretendPortal(range(1, 20_001), ignores=[ignores])
    with pytest.raises(PagingError, match=r"does not page by ID"):
        read(task(), portal, flights=flights)


class Odd(PretendPortal):
    """A portal whose 120th row has something else as its id."""

    def __init__(self, odd: object) -> None:
        super().__init__(range(1, 300))
        self.odd = odd

    def row(self, key: int) -> dict[str, object]:
        return {"ID": self.odd if key == 120 else str(key)}


@pytest.mark.parametrize("odd", ["x", "", None, "C_5", 5.5, [], True, {"ID": 5}], ids=repr)
def test_ids_that_are_no_numbers_fail_loudly(odd: object) -> None:
    with pytest.raises(PagingError, match="is not a number"):
        read(task(), Odd(odd))


@pytest.mark.parametrize("odd", [119, "7", 0, -1])
def test_ids_that_do_not_rise_fail_loudly(odd: object) -> None:
    with pytest.raises(PagingError, match="does not page"):
        read(task(), Odd(odd))


@pytest.mark.parametrize("error", ["missing", "internal", "cut"])
def test_a_portal_that_never_answers_ends_the_stream_after_some_patience(error: str) -> None:
    portal = PretendPortal(range(1, 1000), fault=lambda: error)
    with pytest.raises(StreamError):
        read(task(), portal, most_requests=PATIENCE)


def test_a_page_of_more_rows_than_pages_hold_fails_loudly() -> None:
    with pytest.raises(PagingError, match="60 rows"):
        read(task(), PretendPortal(range(1, 61), page=60))


def test_a_portal_that_does_not_tell_its_newest_row_is_read_all_the_same() -> None:
    brought = read(task(), PretendPortal(range(1, 6001), ignores=["newest"]))
    assert_whole(brought, list(range(1, 6001)))
    assert brought.requests <= 12


def test_a_count_is_not_worth_a_rest() -> None:
    """Everything has been read and the method rests: the stream ends without the portal's count."""
    portal, schedule = PretendPortal(range(1, 121)), Schedule()
    schedule.add(Ask(DEALS, (), proven=True))
    active = schedule.active["deals"]
    assert isinstance(active.task, KeysetTask)
    while not active.task.walk.finished:
        sent = schedule.next(0.0)
        list(schedule.take(sent, Batch(portal.batch(sent.commands, halt=sent.halt)), 0.0))
    assert not active.task.finished
    schedule.gauges = limits.blocked(schedule.gauges, DEALS.method, 0.0)
    assert schedule.next(1.0).orders == []
    assert active.task.finished

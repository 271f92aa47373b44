"""One bucket for all programs of a machine."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from b24lake.portal.budget import Budget
from b24lake.portal.limits import Plan

FAST = Plan(threshold=40, drain=100.0)  # 2 seconds of drain stay in reserve: no burst at all
SLOW = Plan(threshold=50, drain=2.0)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self, now: float = 1_767_225_600.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def budget(path: Path | None, clock: Clock, plan: Plan = SLOW) -> Budget:
    return Budget(plan, path, clock=clock, sleep=clock.sleep)


def moments_of_taking(path: str, count: int) -> list[float]:
    """In a process of its own."""
    one, moments = Budget(FAST, Path(path)), []
    for _request in range(count):
        one.take()
        moments.append(time.time())
    return moments


def test_processes_that_share_a_file_never_exceed_the_bucket_together(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        parts = pool.starmap(moments_of_taking, [(str(tmp_path / "portal.bucket"), 60)] * 2)
    moments = sorted(moment for part in parts for moment in part)
    assert len(moments) == 120
    level, at = 0.0, moments[0]
    for moment in moments:
        level, at = max(0.0, level - (moment - at) * FAST.drain) + 1, moment
        assert level <= FAST.threshold
    assert moments[-1] - moments[0] >= 0.9 * 120 / FAST.drain - 0.1


@pytest.mark.parametrize("shared", [True, False], ids=["in a file", "in memory"])
def test_threads_lose_no_request(tmp_path: Path, *, shared: bool) -> None:
    clock = Clock()
    one = budget(tmp_path / "b" if shared else None, clock, Plan(402, 1.0))  # 2 seconds of drain stay in reserve
    threads = [threading.Thread(target=lambda: [one.take() for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now == Clock().now
    assert one.take() == pytest.approx(1.0)


def test_the_seconds_waited_are_told(tmp_path: Path) -> None:
    clock = Clock()
    one = budget(tmp_path / "b", clock)
    assert [one.take() for _ in range(46)] == [0.0] * 46
    assert one.take() == pytest.approx(0.5)
    assert clock.now == pytest.approx(1_767_225_600.5)


def test_another_program_goes_on_where_the_first_left_off(tmp_path: Path) -> None:
    clock = Clock()
    for _request in range(46):
        budget(tmp_path / "b", clock).take()
    assert budget(tmp_path / "b", clock).take() == pytest.approx(0.5)


@pytest.mark.parametrize("path", ["b", None], ids=["in a file", "in memory"])
def test_a_refusal_slows_every_program_down(tmp_path: Path, path: str | None) -> None:
    clock = Clock()
    one = budget(tmp_path / path if path else None, clock)
    one.take()
    one.refused()
    assert one.take() == pytest.approx(5.0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\0",
        b"garbage",
        b'{"level": 4',
        b"[]",
        b"5",
        b"null",
        b"{}",
        b'{"level": "many", "at": 0, "pace": 1}',
        b'{"level": null, "at": null, "pace": null}',
        b'{"level": 3, "at": 0, "pace": 0}',
        b'{"level": 3, "at": 0, "pace": -5}',
        b'{"level": 3, "at": 0, "other": 1}',
        b'{"level": [], "at": {}, "pace": 1}',
    ],
)
def test_a_spoilt_file_does_not_stop_anybody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b").write_bytes(content)
    assert budget(tmp_path / "b", Clock()).take() == 0.0


@pytest.mark.parametrize("level", [46, 50, 1e300])
@pytest.mark.parametrize("ahead", [0, 3600, 1e9])
def test_neither_a_clock_set_back_nor_a_wild_level_blocks_for_long(tmp_path: Path, level: float, ahead: float) -> None:
    clock = Clock()
    (tmp_path / "b").write_text(f'{{"level": {level}, "at": {clock.now + ahead}, "pace": 1.0}}')
    assert budget(tmp_path / "b", clock).take() <= 3


def test_a_clock_that_cannot_tell_tiny_naps_apart_does_not_hang(tmp_path: Path) -> None:
    clock = Clock(now=1e15)
    one = budget(tmp_path / "b", clock)
    for _request in range(60):
        one.take()
    assert clock.now > 1e15

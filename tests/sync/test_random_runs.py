"""Thirty random runs per seed: rows and fields come, go and change, runs are killed; each table is what the rules say.

RANDOM_RUNS=17 pytest tests/sync/test_random_runs.py   one seed; 100-199: many
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from random_runs import Story
from wanted_runs import sizes

from b24lake.sandbox import Portal, Server, Settings
from running import Lake

RUNS = 30
QUICK, MANY = range(1), range(100, 120)


def seeds() -> list[object]:
    asked = os.environ.get("RANDOM_RUNS", "")
    first, _, last = asked.partition("-")
    if asked:
        return [*range(int(first), int(last or first) + 1)]
    return [*QUICK, *(pytest.param(seed, marks=pytest.mark.slow) for seed in MANY)]


@pytest.mark.parametrize("seed", seeds())
def test_after_every_run_the_tables_are_what_the_rules_say(tmp_path: Path, seed: int) -> None:
    clock = [time.time()]
    portal = Portal(Settings(**sizes(seed)), now=lambda: clock[0])
    with Server(portal) as server:
        Story(server, Lake(tmp_path / "lake", tmp_path / "home"), clock, seed).go(RUNS)

"""A writer that is killed at any moment leaves a whole version behind, and the next one goes on."""

from __future__ import annotations

import multiprocessing
import random
import time
from itertools import count
from pathlib import Path

import pytest
from lake_rows import Deals, rows

from b24lake.lake.parts import STAGING
from b24lake.lake.sweeping import sweep
from b24lake.lake.table import bookmark, inspect

ROWS = 3_000


def write_until_killed(lake: Path, kill: int) -> None:
    """Full reads and merges in turn; every one writes all rows, with its own title and bookmark."""
    deals = Deals(lake)
    sweep(deals.path)
    for number in count(kill * 1_000 + 1):
        deals.runs = number
        batches = [rows(range(start, start + 500), title=f"run{number}") for start in range(0, ROWS, 500)]
        write = deals.merge if number % 4 == 0 else deals.full
        write(*batches, mark=number)


@pytest.mark.slow
def test_a_killed_writer_leaves_a_whole_version(deals: Deals) -> None:
    spawn = multiprocessing.get_context("spawn")  # delta-rs does not survive a fork
    for kill in range(1, 6):
        writer = spawn.Process(target=write_until_killed, args=(deals.lake, kill))
        writer.start()
        while (bookmark(deals.path, "time", "asked") or 0) < kill * 1_000:
            assert writer.exitcode is None
            time.sleep(0.02)
        time.sleep(random.random() / 2)
        writer.kill()
        writer.join()
        assert inspect(deals.path, deals.owner)
        held = deals.read()
        assert len(held) == ROWS
        assert {row["TITLE"].split()[0] for row in held.values()} == {f"run{bookmark(deals.path, 'time', 'asked')}"}
    sweep(deals.path)
    assert STAGING not in deals.files()

"""Time travel: two versions compared, and a look at one, as a server does it.

python -m benchmarks.versions [--rows 200000] [--rounds 3] [--keep DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from b24lake.lake.comparing_apart import compared_apart
from b24lake.lake.files import reopened
from b24lake.lake.keys import Deletions
from b24lake.lake.looking import rows_then
from b24lake.lake.replacing import commit_full
from b24lake.lake.staging import Staging
from b24lake.lake.versions import history
from benchmarks import large_table
from benchmarks.harness import say
from benchmarks.lake import Used, measured, together
from benchmarks.report import Bar, Section

EDITED, GONE, NEW = 20_000, 500, 1_000
"""Rows that differ between the two versions."""
LISTED, SHOWN = 500, 50
COLUMNS = ("what", "found", "CPU s", "wall s", "peak MB")


def build(lake: Path, rows: int) -> None:
    """Two full reads, so that the versions have no file in common: the most that there is to compare."""
    large_table.build(lake, rows)
    ids = np.arange(1 + GONE, rows + NEW + 1)
    staging = Staging(large_table.table(lake), "second", "ID", ["DATE_MODIFY"], schema=large_table.SCHEMA)
    for start in range(0, len(ids), large_table.BATCH):
        some = ids[start : start + large_table.BATCH]
        staging.add(large_table.rows(some, edited=int(ids[0] + start <= EDITED)))
    commit_full(
        large_table.table(lake),
        large_table.OWNER,
        staging.close(),
        large_table.commit("second", 2),
        deletions=Deletions(accept=True),
    )


def compare(lake: Path) -> dict[str, Any]:
    """In the measured process: the first version and the newest one."""
    path = large_table.table(lake)
    start = time.perf_counter()
    found = compared_apart(path, 0, reopened(path).version(), limit=LISTED)
    counts = f"{found.added:,} + {found.removed:,} + {found.changed:,}"
    return {"rows": counts, "seconds": time.perf_counter() - start}


def look(lake: Path) -> dict[str, Any]:
    """In the measured process: rows of the first version, and once more, whose seconds count."""
    path = large_table.table(lake)
    rows_then(path, 0, SHOWN)
    start = time.perf_counter()
    return {"rows": rows_then(path, 0, SHOWN).num_rows, "seconds": time.perf_counter() - start}


def listed(lake: Path) -> dict[str, Any]:
    """In the measured process: the versions with what they hold, once more."""
    path = large_table.table(lake)
    history(path, reopened(path))
    start = time.perf_counter()
    return {"rows": len(history(path, reopened(path))), "seconds": time.perf_counter() - start}


JOBS: dict[str, Callable[[Path], dict[str, Any]]] = {"compare": compare, "look": look, "list": listed}
CALLED = {
    "compare": "two versions compared, rows + - ~",
    "look": "rows of a version",
    "list": "versions listed",
}


def row(what: str, used: Used) -> tuple[str, ...]:
    found = str(used.document["rows"])
    seconds = f"{used.document['seconds']:.2f}"
    return (CALLED[what], found, f"{used.cpu_seconds:.1f}", seconds, f"{used.peak_mb:.0f}")


def main() -> None:
    """Build the table, measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a folder for the table, which stays there and is used again")
    options = parser.parse_args()
    found: dict[str, Used] = {}
    with nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / f"versions-{options.rows}"
        if not lake.exists():
            build(lake, options.rows)
        for what in JOBS:
            command = [sys.executable, "-m", "benchmarks.versions", what, str(lake)]
            found[what] = together([measured(command) for _ in range(options.rounds)])
            say(f"{what}: {row(what, found[what])} at a load of {os.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores")
    seconds = {what: used.document["seconds"] for what, used in found.items()}
    counts = f"{NEW:,} + {GONE:,} + "
    told = str(found["compare"].document["rows"])
    section = Section(
        title="Versions",
        about=f"Two versions of a table of {options.rows:,} rows x {len(large_table.SCHEMA)} columns without a file in "
        f"common, in which {NEW:,} rows came, {GONE:,} went, and the others of the first {EDITED:,} ids changed. The "
        "seconds are those of one call as the server makes it, the process of a comparison included; CPU time and peak "
        f"are those of the whole benchmark process. The quickest of {options.rounds} rounds.",
        command=f"python -m benchmarks.versions --rows {options.rows} --rounds {options.rounds}",
        columns=COLUMNS,
        rows=[row(what, used) for what, used in found.items()],
        bars=[
            Bar(asks="rows that came and went are all found", measured=told, passed=told.startswith(counts)),
            _under(5, "s for two versions", seconds["compare"]),
            _under(1, "s for rows of a version", seconds["look"]),
            _under(500, "MB for rows of a version", found["look"].peak_mb),
        ],
    )
    section.show()
    section.save()


def _under(limit: int, what: str, figure: float) -> Bar:
    return Bar(asks=f"under {limit} {what}", measured=f"{figure:.{0 if figure > 100 else 2}f}", passed=figure < limit)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [what, lake] if what in JOBS:
            print(json.dumps(JOBS[what](Path(lake))))
        case _:
            main()

"""Merging into a large table, and looking into it: time and memory of fresh processes.

python -m benchmarks.lake [--rows 2000000] [--rounds 3] [--quick] [--keep DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from b24lake.lake.merging import commit_merge
from b24lake.lake.peeking import peek
from benchmarks import large_table
from benchmarks.harness import KIB_OR_BYTES, b24lake, run, say
from benchmarks.report import Bar, Section

CHANGED = 5_000
EXPORTED = 500_000
RECENT = 0.05  # of all ids
NAME = "raw.bitrix24_deals"
COLUMNS = ("what", "rows", "version", "CPU s", "wall s", "peak MB")
SEED = 7

# what -> which ids come, and whether their rows differ
MERGES = {
    "5,000 changed rows, recent ids": ("recent", 1),
    "5,000 changed rows, random ids": ("random", 1),
    "nothing new, recent ids": ("recent", 0),
    "nothing new, random ids": ("random", 0),
}
PREVIEW_ROWS = 100
PREVIEW = f"SELECT * FROM {NAME} LIMIT {PREVIEW_ROWS}"


@dataclass(frozen=True)
class Used:
    """What a process used, its start-up included; `document` is what it printed."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    document: dict[str, Any]


def measured(command: list[str]) -> Used:
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        used = run(command, dict(os.environ), output)
        seconds = time.perf_counter() - start
        output.seek(0)
        document = json.load(output)
    return Used(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * KIB_OR_BYTES / 1e6, document)


def together(runs: list[Used]) -> Used:
    """Of several runs the quickest by the clock, for others use the machine, too; the median CPU; the highest peak."""
    quickest = min(runs, key=lambda each: each.seconds)
    cpu, peak = median(each.cpu_seconds for each in runs), max(each.peak_mb for each in runs)
    return replace(quickest, cpu_seconds=cpu, peak_mb=peak)


def merge(lake: Path, rows: int, which: str, edited: int) -> dict[str, Any]:
    """In the measured process: merge what a read brought."""
    first = 1 if which == "random" else int(rows * (1 - RECENT)) + 1
    ids = np.sort(np.random.default_rng(SEED).choice(np.arange(first, rows + 1), CHANGED, replace=False))
    staged = large_table.staged(lake, ids, edited=edited)
    commit = large_table.commit("run-1", 2)
    counts = commit_merge(large_table.table(lake), large_table.OWNER, staged, commit)
    return {"rows": counts.updated, "version": counts.version}


def look(lake: Path) -> dict[str, Any]:
    """In the measured process, as a server does it: a preview, and another one, whose seconds count."""
    peek(lake, NAME, limit=PREVIEW_ROWS)
    start = time.perf_counter()
    found = peek(lake, NAME, limit=PREVIEW_ROWS)
    return {"rows": found.num_rows, "seconds": time.perf_counter() - start}


def merged(table: Path, rows: int, which: str, edited: int) -> Used:
    """One merge into a fresh copy of the table; its files are linked, not copied."""
    with tempfile.TemporaryDirectory(dir=table.parent) as folder:
        lake = Path(folder) / "lake"
        shutil.copytree(table, lake, copy_function=os.link)
        return measured(_own("merge", str(lake), str(rows), which, str(edited)))


def looked(lake: Path) -> Used:
    """The time of one preview in a process that has made one before."""
    used = measured(_own("look", str(lake)))
    return replace(used, seconds=used.document["seconds"])


def exported(lake: Path, suffix: str) -> Used:
    with tempfile.TemporaryDirectory(dir=lake.parent) as folder:
        file = str(Path(folder) / f"deals.{suffix}")
        return measured(b24lake("export", NAME, file, "--limit", str(EXPORTED), "--lake", str(lake)))


def _own(*words: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.lake", *words]


def measure_all(lake: Path, rows: int, rounds: int) -> dict[str, Used]:
    jobs: dict[str, Callable[[], Used]] = {
        **{what: partial(merged, lake, rows, *job) for what, job in MERGES.items()},
        "preview, `b24lake query`": partial(measured, b24lake("query", PREVIEW, "--lake", str(lake))),
        "preview, from a server": partial(looked, lake),
        "`b24lake export` to CSV": partial(exported, lake, "csv"),
        "`b24lake export` to Parquet": partial(exported, lake, "parquet"),
    }
    found: dict[str, Used] = {}
    for what, job in jobs.items():
        found[what] = together([job() for _ in range(rounds)])
        say(f"{what}: {row(what, found[what])}")
    return found


def row(what: str, used: Used) -> tuple[str, ...]:
    document = used.document
    rows = document["rows"] if isinstance(document["rows"], int) else len(document["rows"])
    version = "" if "version" not in document else "none" if document["version"] is None else "1 more"
    cpu = "-" if what.endswith("server") else f"{used.cpu_seconds:.1f}"
    return (what, f"{rows:,}", version, cpu, f"{used.seconds:.2f}", f"{used.peak_mb:.0f}")


def bars(found: dict[str, Used]) -> list[Bar]:
    recent, random, same, scattered, shown, again, *files = found.values()
    changed = all(each.document["rows"] == CHANGED for each in (recent, random))
    unchanged = all(each.document["version"] is None for each in (same, scattered))
    peak = max(each.peak_mb for each in files)
    return [
        Bar(asks="every changed row is merged", measured="yes" if changed else "no", passed=changed),
        _under(6, "CPU s for recent ids", recent.cpu_seconds),
        _under(1000, "MB for recent ids", recent.peak_mb),
        _under(1600, "MB for random ids", max(random.peak_mb, scattered.peak_mb)),
        Bar(asks="no version where nothing is new", measured="none" if unchanged else "some", passed=unchanged),
        _under(1, "s where nothing is new (recent ids)", same.seconds),
        _under(1, "s for a preview", max(shown.seconds, again.seconds)),
        _under(500, "MB for a preview", max(shown.peak_mb, again.peak_mb)),
        _under(500, "MB for an export", peak),
    ]


def _under(limit: int, what: str, figure: float) -> Bar:
    digits = 0 if figure > 100 else 2
    return Bar(asks=f"under {limit} {what}", measured=f"{figure:.{digits}f}", passed=figure < limit)


def main() -> None:
    """Build the table, measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--quick", action="store_const", const=600_000, dest="rows", help="a smaller table")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a folder for the table, which stays there and is used again")
    options = parser.parse_args()
    with nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / f"lake-{options.rows}"
        if not lake.exists():
            large_table.build(lake, options.rows)
        size = sum(file.stat().st_size for file in lake.rglob("*.parquet"))
        found = measure_all(lake, options.rows, options.rounds)
    section = Section(
        title="Lake",
        about=f"A table of {options.rows:,} rows x {len(large_table.SCHEMA)} columns ({size / 1e6:,.0f} MB). Each line "
        "is a process of its own, start of Python and imports included; the preview from a server is one call there. "
        f"Of {options.rounds} rounds the median CPU time, the quickest by the clock, and the "
        f"highest peak. Recent ids are among the newest {RECENT:.0%}; before each merge the table is as new. A query "
        f"runs in a child process: the peak is that of the larger one. {EXPORTED:,} rows are exported. For the memory "
        "of full reads see Memory.",
        command=f"python -m benchmarks.lake --rows {options.rows} --rounds {options.rounds}",
        columns=COLUMNS,
        rows=[row(what, used) for what, used in found.items()],
        bars=bars(found),
    )
    section.show()
    section.save()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["merge", lake, rows, which, edited]:
            print(json.dumps(merge(Path(lake), int(rows), which, int(edited))))
        case ["look", lake]:
            print(json.dumps(look(Path(lake))))
        case _:
            main()

"""The catalog of a large lake: how long the server takes for its pages, and for the first look into a large table.

python -m benchmarks.catalog [--rows 2000000] [--tables 300] [--columns 300] [--keep DIR] [PATH ...]

A page of the app is a row of PAGES; those named as PATH are measured alone, and nothing is written then.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa

from b24lake.lake.replacing import commit_full
from b24lake.lake.staging import Staging
from b24lake.lake.table import Bookmark, Commit, Owner, table_path
from benchmarks import large_table
from benchmarks.harness import say
from benchmarks.pages import Service, Took, served, times, weight
from benchmarks.report import Bar, Section

LAYERS = ("raw", "trusted", "service")
PORTALS = 10
ROWS_OF_SMALL = 20
ONE, LARGE = "/catalog/raw/p0_table_000", "/catalog/raw/bitrix24_deals"
WHOLE = "?whole=on"
"""What a browser asks for after the page, as a page of its own."""
PAGES = (
    "/catalog",
    "/catalog?q=offer",
    "/catalog?q=uf_crm_7_",
    "/catalog?q=%25",
    "/catalog/layers",
    "/catalog/folder?layer=raw&name=portal0",
    ONE,
    f"{ONE}/rows",
    f"{ONE}/use",
    LARGE,
    f"{LARGE}/rows",
    f"{LARGE}/use",
)
PREVIEWS = (f"{LARGE}/rows{WHOLE}", f"{ONE}/rows{WHOLE}", f"{LARGE}{WHOLE}")
MOST_MS, PREVIEW_MS, PREVIEW_MB = 200, 1_000, 500
COLUMNS = ("page", "median ms", "slowest ms", "processor ms", "first visit, kB")
_KINDS = (pa.string(), pa.int64(), pa.float64(), large_table.STAMP)
_WORDS = ("договор", "offer", "Größe", "número", "client")


def about(rows: int, tables: int, columns: int) -> str:
    """What was measured."""
    return (
        f"`b24lake serve` over a lake of {tables} tables of {columns} columns, with labels, in three layers, and one "
        f"of {rows:,} rows of {len(large_table.SCHEMA)} columns. One client on the same machine, as in `Pages`. Those "
        f"with `{WHOLE}` hold what a browser asks for after the page: the first rows, or how much of each column is "
        "filled. Memory is that of the service, from after the catalog to the highest after the previews."
    )


def fill(lake: Path, rows: int, tables: int, columns: int) -> None:
    """The large table, and many small ones."""
    large_table.build(lake, rows)
    for number in range(tables):
        _table(lake, number, columns)


def _table(lake: Path, number: int, columns: int) -> None:
    portal = number % PORTALS
    fields = [pa.field("ID", pa.int64(), nullable=False, metadata={"comment": "ID"})]
    for place in range(columns - 1):
        label = f"{_WORDS[(place + number) % len(_WORDS)]} {place} <{number}>"
        kind = _KINDS[place % len(_KINDS)]
        fields.append(pa.field(f"UF_CRM_{number}_{place}", kind, metadata={"comment": label}))
    schema = pa.schema(fields)
    path = table_path(lake, LAYERS[number // PORTALS % len(LAYERS)], f"p{portal}_table_{number:03}")
    staging = Staging(path, "build", "ID", [], schema=schema)
    staging.add(pa.table([_values(each) for each in schema], schema=schema))
    owner = Owner(f"portal-{portal}", f"stream_{number}", f"portal{portal}.example.com", f"portal{portal}")
    commit_full(path, owner, staging.close(), Commit("build", Bookmark("time", "asked", 1), title=f"Table {number}"))


def _values(field: pa.Field) -> pa.Array:
    ids = np.arange(1, ROWS_OF_SMALL + 1)
    if field.type == pa.string():
        return pa.array([f"{field.name} {each} " * 3 for each in ids])
    return pa.array(ids).cast(field.type)


def indexed(client: httpx.Client) -> tuple[float, int]:
    """Seconds until the catalog knows all tables, and how many pages that took."""
    begin, asked = time.perf_counter(), 1
    while 'hx-trigger="load' in client.get("/catalog", headers={"HX-Request": "true"}).text:
        asked += 1
    return time.perf_counter() - begin, asked


def megabytes(service: Service) -> float:
    """Of the service and of the processes that it began."""
    processes = [service.process, *service.process.children(recursive=True)]
    return float(sum(each.memory_info().rss for each in processes) / 1e6)


def measured(
    lake: Path, home: Path, paths: Sequence[str]
) -> tuple[dict[str, Took], dict[str, float], dict[str, float]]:
    """What each page took, how heavy it is, and figures of the whole."""
    with served(home, lake) as service, httpx.Client(base_url=service.address, timeout=120) as client:
        seconds, pages = indexed(client)
        say(f"all tables were known after {seconds:.1f} s and {pages} pages")
        took = {path: times(service, client, path) for path in paths if path not in PREVIEWS}
        before, after = megabytes(service), 0.0
        for path in (path for path in paths if path in PREVIEWS):
            took[path] = times(service, client, path)
            after = max(after, megabytes(service))
        heavy = {path: weight(service.address, path) for path in paths}
    return took, heavy, {"seconds": seconds, "pages": pages, "before": before, "after": after}


def bars(took: dict[str, Took], figures: dict[str, float]) -> list[Bar]:
    """The bars that what was measured can be held against."""
    pages = [one.median for path, one in took.items() if path not in PREVIEWS]
    large = [one.median for path, one in took.items() if path in PREVIEWS]
    found = []
    if pages:
        asks = f"every page of the catalog under {MOST_MS} ms"
        found.append(Bar(asks=asks, measured=f"{max(pages):.0f} ms", passed=max(pages) < MOST_MS))
    if large:
        grown = figures["after"]
        asks = f"a preview within {PREVIEW_MS / 1000:.0f} s"
        found.append(Bar(asks=asks, measured=f"{max(large) / 1000:.2f} s", passed=max(large) < PREVIEW_MS))
        asks = f"a service with previews in {PREVIEW_MB} MB"
        found.append(Bar(asks=asks, measured=f"{grown:.0f} MB", passed=grown < PREVIEW_MB))
    return found


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--tables", type=int, default=300)
    parser.add_argument("--columns", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="where the lake is, or is made and kept")
    parser.add_argument("paths", nargs="*")
    asked: Any = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, nullcontext(asked.keep or Path(folder) / "lake") as lake:
        if not lake.exists():
            fill(lake, asked.rows, asked.tables, asked.columns)
        say(f"{asked.tables} tables are there")
        took, heavy, figures = measured(lake, Path(folder) / "home", asked.paths or (*PAGES, *PREVIEWS))
    rows = [one.row(path, f"{heavy[path]:.0f}") for path, one in took.items()]
    rows.append(("all tables known after the start", f"{1000 * figures['seconds']:,.0f}", "", "", ""))
    rows.append(
        ("memory before and after the previews, MB", f"{figures['before']:.0f}", f"{figures['after']:.0f}", "", "")
    )
    section = Section(
        title="Catalog",
        about=about(asked.rows, asked.tables, asked.columns),
        command="python -m benchmarks.catalog",
        columns=COLUMNS,
        rows=rows,
        bars=bars(took, figures),
    )
    section.show()
    if not asked.paths:
        section.save()


if __name__ == "__main__":
    main()

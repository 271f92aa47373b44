"""Tables as they lie on disk, held against what they should be."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import deltalake
import pyarrow as pa
from model import DELETED_AT, SYNCED_AT, Key, Row, Rows, Table

MANY = 5  # differences that are told


def rows_of(path: Path, version: int | None = None) -> tuple[dict[str, pa.DataType], Rows]:
    """The columns and rows of a version; the last one if None. What is null is left out."""
    table = deltalake.DeltaTable(str(path), version=version)
    columns = {each.name: each.type for each in pa.schema(table.schema().to_arrow())}
    key = "id" if "id" in columns else "ID"
    found = table.to_pyarrow_table().to_pylist(maps_as_pydicts="strict")
    rows = {row[key]: {name: value for name, value in row.items() if value is not None} for row in found}
    assert len(rows) == len(found), "a key is there twice"
    return columns, rows


def version_of(path: Path) -> int | None:
    return deltalake.DeltaTable(str(path)).version() if deltalake.DeltaTable.is_deltatable(str(path)) else None


def actions(path: Path) -> list[dict[str, Any]]:
    """All actions of the log, oldest first; nothing has been cleaned up yet."""
    files = sorted((path / "_delta_log").glob("*.json"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def bookmark_of(path: Path) -> Any:
    """The bookmark that was committed last: a moment, or the id of a log; None where there never was one."""
    marks = [action["txn"] for action in actions(path) if "txn" in action]
    found = [mark for mark in marks if mark["appId"].startswith(("b24lake/time/", "b24lake/id/"))]
    if not found or not found[-1]["version"]:
        return found[-1]["version"] if found else None
    value = found[-1]["version"]
    return value if "/id/" in found[-1]["appId"] else datetime.fromtimestamp(value / 1000, UTC)


def began(path: Path) -> datetime:
    """When the run began that wrote the last version."""
    run = [a["commitInfo"]["b24lake.run"] for a in actions(path) if "b24lake.run" in a.get("commitInfo", {})][-1]
    return moment(run)


def moment(run_id: str) -> datetime:
    return datetime.strptime(run_id[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def staged(path: Path) -> list[str]:
    """Runs that have left something."""
    staging = path / "_staging"
    return sorted(each.name for each in staging.iterdir()) if staging.is_dir() else []


def check_tidy(path: Path) -> None:
    """A run that has come to its end leaves no file that no version knows."""
    known = {unquote(action["add"]["path"]) for action in actions(path) if "add" in action}
    ours = {file.name for file in path.glob("part-2*.parquet")}
    assert not staged(path), f"left behind: {staged(path)}"
    assert ours <= known, f"no version knows {sorted(ours - known)}"


def check_equal(path: Path, wanted: Table, what: str = "the table") -> None:
    """Columns, rows and bookmark are as they should be."""
    columns, rows = rows_of(path)
    assert columns == wanted.columns, told_columns(columns, wanted.columns)
    assert rows == wanted.rows, f"{what} differs:\n{told_rows(rows, wanted.rows)}"
    found = bookmark_of(path)
    assert found == wanted.since, f"bookmark {found}, should be {wanted.since}"


def check_versions(path: Path, before: int | None, rows: Collection[Rows]) -> None:
    """Each version since then holds one of these: what the portal had, never half of it."""
    last = version_of(path)
    assert last is not None
    for version in range(0 if before is None else before + 1, last):
        found = rows_of(path, version)[1]
        assert found in rows, f"version {version} is neither what was before nor what is now: {len(found)} rows"


def told_columns(found: Mapping[str, pa.DataType], wanted: Mapping[str, pa.DataType]) -> str:
    names = sorted({*found, *wanted})
    return "; ".join(
        f"column {name} is {found.get(name)}, should be {wanted.get(name)}"
        for name in names
        if found.get(name) != wanted.get(name)
    )


def told_rows(found: Rows, wanted: Rows) -> str:
    """The first rows that differ, and in what."""
    keys = [key for key in sorted({*found, *wanted}, key=str) if found.get(key) != wanted.get(key)]
    lines = [f"   {key}: {_told_row(found.get(key), wanted.get(key))}" for key in keys[:MANY]]
    return "\n".join([*lines, f"   ({len(keys)} rows differ of {len(found)}, should be {len(wanted)})"])


def _told_row(found: Row | None, wanted: Row | None) -> str:
    if found is None or wanted is None:
        return "is missing" if found is None else f"should not be there: {found}"[:300]
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    return ", ".join(f"{name} is {found.get(name)!r}, should be {wanted.get(name)!r}" for name in names[:MANY])


def check_mixed(
    path: Path,
    before: Table | None,
    results: Sequence[Table],
    must: Collection[Key],
    starts: Collection[datetime],
    begun: Collection[datetime],
) -> Table:
    """The table, each row of which is as one of the results has it: its portal changed while it was read.

    results   what a read at one moment would have made of the table; the last one counts where they do not differ
    must      rows that have to be as the last one has them
    starts    the times that rows may be of, besides those that they had before
    begun     bookmarks of the reads; one that finds nothing new leaves the table's, unless it is gone on with
    """
    columns, rows = rows_of(path)
    last, old = results[-1], before.rows if before else {}
    assert columns == last.columns, told_columns(columns, last.columns)
    for key in set[Key]().union(rows, *(one.rows for one in results)):
        found, allowed = rows.get(key), [one.rows.get(key) for one in (results[-1:] if key in must else results)]
        alike = [one for one in allowed if (one and _bare(one)) == (found and _bare(found))]
        assert alike, f"row {key}: {_told_row(found, allowed[-1])}"
        times = {*starts, *(row[SYNCED_AT] for row in [old.get(key)] if row)}
        assert found is None or found[SYNCED_AT] in times, f"row {key} is of {found[SYNCED_AT]}"
    since, marks = bookmark_of(path), [*begun, *(one.since for one in [*results, *([before] if before else [])])]
    ids = [mark for mark in marks if isinstance(mark, int)]  # of a log, any of those in between
    assert since in marks or (isinstance(since, int) and since <= max(ids)), f"bookmark {since}, not one of {marks}"
    return replace(last, rows=rows, since=since)


def _bare(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in {SYNCED_AT, DELETED_AT}}

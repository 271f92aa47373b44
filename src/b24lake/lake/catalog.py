"""What is in a lake: layers, their tables, and what each table's log tells of its columns and versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from b24lake.errors import StreamError, UsageError
from b24lake.lake.columns import comment, type_name
from b24lake.lake.files import open_table, storage_errors
from b24lake.lake.table import MARK, TableState, state_of

_METRICS = {"inserted": "num_target_rows_inserted", "updated": "num_target_rows_updated"}


@dataclass(frozen=True)
class TableInfo:
    """One line of the catalog.

    folder, source, stream, portal   "" where the table was not made by b24lake
    rows          None where the log does not tell
    committed_at  when its last version was written, in UTC
    run_id        the run that wrote it; "" where another program did
    error         why the table cannot be read; everything but its names is empty then
    """

    layer: str
    name: str
    folder: str = ""
    source: str = ""
    stream: str = ""
    portal: str = ""
    rows: int | None = None
    bytes: int = 0
    version: int | None = None
    committed_at: datetime | None = None
    run_id: str = ""
    error: str = ""

    @property
    def sql_name(self) -> str:
        """As SQL knows it: `layer.table`."""
        return f"{self.layer}.{self.name}"


@dataclass(frozen=True)
class ColumnInfo:
    """A column; `type` as in Delta: `decimal(38,9)`, `array<string>`."""

    name: str
    type: str
    comment: str
    nullable: bool


@dataclass(frozen=True)
class VersionInfo:
    """A version that the log still knows; counts are None where its commit did not tell.

    metadata   what b24lake wrote into the commit, without the prefix: run, sync_type, rows_read, changes (JSON) …
    """

    version: int
    at: datetime
    operation: str
    run_id: str
    inserted: int | None
    updated: int | None
    deleted: int | None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TableDetails:
    """Everything `show` tells of a table; versions begin with the newest."""

    info: TableInfo
    columns: tuple[ColumnInfo, ...]
    properties: Mapping[str, str]
    versions: tuple[VersionInfo, ...]


def tables(lake: Path) -> tuple[TableInfo, ...]:
    """All tables of all layers, by name. One that cannot be read is listed with its error; no lake has no tables.

    Raises UsageError where the lake is a file.
    """
    return tuple(_info_or_error(path) for path in _table_folders(lake))


def describe(lake: Path, name: str) -> TableDetails:
    """A table's columns, properties and versions. Raises as `find`, and StreamError where the table is broken."""
    path = find(lake, name)
    table = opened(path)
    with storage_errors(path):
        state = state_of(path, table)
        columns = (ColumnInfo(each.name, type_name(each.type), comment(each), each.nullable) for each in state.schema)
        versions = tuple(_version(entry) for entry in table.history())
        return TableDetails(_info(table, state), tuple(columns), state.properties, versions)


def find(lake: Path, name: str) -> Path:
    """The folder of `layer.table`, or of `table` where one layer has it. Raises UsageError with the nearest names."""
    known = {f"{path.parent.name}.{path.name}": path for path in _table_folders(lake)}
    fitting = [path for sql_name, path in known.items() if name in {sql_name, path.name}]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        layers = ", ".join(sorted(path.parent.name for path in fitting))
        raise UsageError(f"{name!r} is a table of several layers", why=layers, fix=f"say which: LAYER.{name}")
    raise UsageError(
        f"There is no table {name!r} in the lake {lake}",
        why="a table appears after its first successful run" if known else "the lake has no tables yet",
        fix=_nearest(name, known),
    )


def _nearest(name: str, known: Mapping[str, Path]) -> str:
    names = {path.name: sql_name for sql_name, path in known.items()} | {each: each for each in known}
    near = dict.fromkeys(names[each] for each in get_close_matches(name, names, n=4, cutoff=0.5))
    return f"did you mean {' or '.join(near)}?" if near else "`b24lake tables` lists what there is"


def _table_folders(lake: Path) -> list[Path]:
    """Folders with a Delta log, two levels below the lake, in the order of their names.

    Raises UsageError where the lake is a file.
    """
    if lake.exists() and not lake.is_dir():
        raise UsageError(f"The lake {lake} is not a folder", why="it is a file", fix="name a folder with --lake")
    return sorted(
        log.parent for log in lake.glob("*/*/_delta_log") if not log.parent.parent.name.startswith((".", "_"))
    )


def opened(path: Path) -> DeltaTable:
    """The Delta table in a folder that has a log. Raises StreamError where the log holds no version."""
    table = open_table(path)
    if table is None:
        raise StreamError(
            f"The Delta table {path} cannot be read",
            why="its `_delta_log` holds no version",
            fix="run its stream again; if it stays so, move the folder away",
        )
    return table


def _info_or_error(path: Path) -> TableInfo:
    try:
        table = opened(path)
        with storage_errors(path):
            return _info(table, state_of(path, table))
    except Exception as error:  # noqa: BLE001  whatever is wrong with one table, the others are listed
        return TableInfo(path.parent.name, path.name, error=str(error))


def _info(table: DeltaTable, state: TableState) -> TableInfo:
    last = next(iter(table.history(1)), {})
    return TableInfo(
        layer=state.path.parent.name,
        name=state.path.name,
        folder=state.owner.folder,
        source=state.owner.source,
        stream=state.owner.stream,
        portal=state.owner.portal,
        rows=state.rows,
        bytes=state.bytes,
        version=state.version,
        committed_at=_moment(last["timestamp"]) if "timestamp" in last else None,
        run_id=str(last.get(f"{MARK}run", "")),
    )


def _version(entry: Mapping[str, Any]) -> VersionInfo:
    told = {name.removeprefix(MARK): str(value) for name, value in entry.items() if name.startswith(MARK)}
    metrics = entry.get("operationMetrics") or {}
    counts = {
        what: int(told.get(f"rows_{what}", metrics.get(_METRICS.get(what, ""), -1)))
        for what in ("inserted", "updated", "deleted")
    }
    return VersionInfo(
        version=entry["version"],
        at=_moment(entry["timestamp"]),
        operation=entry.get("operation", ""),
        run_id=told.get("run", ""),
        inserted=None if counts["inserted"] < 0 else counts["inserted"],
        updated=None if counts["updated"] < 0 else counts["updated"],
        deleted=None if counts["deleted"] < 0 else counts["deleted"],
        metadata=told,
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)

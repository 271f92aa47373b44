"""What is in a lake: layers, their tables, and what each table's log tells of its columns and versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Literal

from deltalake import DeltaTable

from b24lake.errors import NotFoundError, StreamError, UsageError
from b24lake.lake.columns import comment, type_name
from b24lake.lake.files import open_table, storage_errors
from b24lake.lake.place import Place, at_once
from b24lake.lake.readable import has_view
from b24lake.lake.table import TableState, state_of
from b24lake.lake.versions import VersionInfo, as_of, history, newest


@dataclass(frozen=True)
class TableInfo:
    """One line of the catalog.

    kind          a table, or the readable view of one (`views`); has_view: there is one of this table
    description   of the table; "" where it has none
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
    description: str = ""
    kind: Literal["table", "view"] = "table"
    has_view: bool = False

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
class TableDetails:
    """Everything `show` tells of a table; versions begin with the newest."""

    info: TableInfo
    columns: tuple[ColumnInfo, ...]
    properties: Mapping[str, str]
    versions: tuple[VersionInfo, ...]


def tables(lake: Place) -> tuple[TableInfo, ...]:
    """All tables of all layers, by name. One that cannot be read is listed with its error; no lake has no tables.

    Raises UsageError where the lake is a file.
    """
    return tuple(at_once(lake, _info_or_error, table_folders(lake)))


def describe(lake: Place, name: str, at: str | None = None) -> TableDetails:
    """A table's columns, properties and versions; as they were at a version or time (`as_of`) if `at` is given.

    Raises as `find` and `as_of`, and StreamError where the table is broken.
    """
    path = find(lake, name)
    table = opened(path)
    if at is not None:
        then = as_of(history(path, table), at, f"{path.parent.name}.{path.name}")
        with storage_errors(path):
            table.load_as_version(then.version)
    with storage_errors(path):
        state = state_of(path, table)
        columns = (ColumnInfo(each.name, type_name(each.type), comment(each), each.nullable) for each in state.schema)
        return TableDetails(info_of(table, state), tuple(columns), state.properties, history(path, table))


def find(lake: Place, name: str) -> Place:
    """The folder of `layer.table`, or of `table` where one layer has it. Raises UsageError with the nearest names."""
    known = {f"{path.parent.name}.{path.name}": path for path in table_folders(lake)}
    fitting = [path for sql_name, path in known.items() if name in {sql_name, path.name}]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        layers = ", ".join(sorted(path.parent.name for path in fitting))
        raise UsageError(f"{name!r} is a table of several layers", why=layers, fix=f"say which: LAYER.{name}")
    raise NotFoundError(
        f"There is no table {name!r} in the lake {lake}",
        why="a table appears after its first successful run" if known else "the lake has no tables yet",
        fix=_nearest(name, known),
    )


def _nearest(name: str, known: Mapping[str, Place]) -> str:
    names = {path.name: sql_name for sql_name, path in known.items()} | {each: each for each in known}
    near = dict.fromkeys(names[each] for each in get_close_matches(name, names, n=4, cutoff=0.5))
    return f"did you mean {' or '.join(near)}?" if near else "`b24lake tables` lists what there is"


def table_folders(lake: Place) -> list[Place]:
    """Folders with a Delta log, two levels below the lake, in the order of their names.

    Raises UsageError where the lake is a file.
    """
    if lake.exists() and not lake.is_dir():
        raise UsageError(f"The lake {lake} is not a folder", why="it is a file", fix="name a folder with --lake")
    found = [log.parent for log in lake.glob("*/*/_delta_log")]
    return sorted((each for each in found if not each.parent.name.startswith((".", "_"))), key=str)


def opened(path: Place) -> DeltaTable:
    """The Delta table in a folder that has a log. Raises StreamError where the log holds no version."""
    table = open_table(path)
    if table is None:
        raise StreamError(
            f"The Delta table {path} cannot be read",
            why="its `_delta_log` holds no version",
            fix="run its stream again; if it stays so, move the folder away",
        )
    return table


def _info_or_error(path: Place) -> TableInfo:
    try:
        table = opened(path)
        with storage_errors(path):
            return info_of(table, state_of(path, table))
    except Exception as error:  # noqa: BLE001  whatever is wrong with one table, the others are listed
        return TableInfo(path.parent.name, path.name, error=str(error))


def info_of(table: DeltaTable, state: TableState) -> TableInfo:
    """An open table as a line of the catalog."""
    last = newest(state.path, table)
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
        committed_at=last.at if last else None,
        run_id=last.run_id if last else "",
        description=table.metadata().description or "",
        has_view=has_view(state.properties),
    )

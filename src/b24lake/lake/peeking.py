"""A first look into a table that is quick however large it is: some rows, and what share of each column is filled.

Rows come from the beginning of the first files (`looking`): a query would take a process of its own, and a second.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from b24lake.lake import guarded
from b24lake.lake.catalog import find, opened
from b24lake.lake.columns import literal, quoted
from b24lake.lake.comparing import is_plain
from b24lake.lake.files import live_files, parquet, storage_errors
from b24lake.lake.looking import rows_of
from b24lake.lake.place import Place, at_once
from b24lake.lake.readable import SUFFIX
from b24lake.lake.table import key_of, schema_of

MOST_FILES, MOST_OBJECTS = 500, 24
"""Files whose footers are read for a share: of this machine, and of an object store."""


def peek(lake: Place, name: str, *, limit: int) -> pa.Table:
    """Some rows of the table `layer.table`, all of its columns with their comments; which rows is not said.

    Raises UsageError where there is no such table, StreamError where its files are gone or damaged.
    """
    path = find(lake, name)
    return rows_of(path, opened(path), limit)


def peek_readable(lake: Place, name: str, *, limit: int, seconds: float = 30.0) -> pa.Table:
    """The same rows with their labels, in the same order: as the readable view of the table shows them.

    Raises as `peek`, and UsageError where the table has no such view.
    """
    path = find(lake, name)
    view = f"{quoted(path.parent.name)}.{quoted(path.name + SUFFIX)}"
    key = key_of(opened(path))
    rows = peek(lake, f"{path.parent.name}.{path.name}", limit=limit)
    keys = rows.column(key).to_pylist() if key else []
    # By its keys the engine finds the rows in a few files, and puts labels beside these alone.
    where = f" WHERE {quoted(key)} IN ({', '.join(map(_literal, keys))})" if key and keys and None not in keys else ""
    sql = f"SELECT * FROM {view}{where} LIMIT {limit}"  # noqa: S608
    found = guarded.guarded_query(lake, sql, limit=limit, seconds=seconds)
    if not where:
        return found
    places = {value: place for place, value in enumerate(found.column(key).to_pylist())}
    return found.take([places[value] for value in keys if value in places])


def filled(path: Place, table: DeltaTable) -> dict[str, float]:
    """Column -> share of its rows that have a value, from 0 to 1; columns of which nobody counted are left out.

    The log tells it of some columns, the footers of the files of all but lists, structs and maps; of a table of very
    many files only the log is asked.
    """
    if not is_plain(table):
        return {}
    with storage_errors(path):
        actions = pa.table(table.get_add_actions(flatten=True))
        rows = actions.column("num_records").to_pylist() if actions.num_rows else []
        flat = [each.name for each in schema_of(table) if not pa.types.is_nested(each.type)]
        if not rows or None in rows or not sum(rows):
            return {}
        nulls = {name: _total(actions, f"null_count.{name}") for name in flat}
        missing = [name for name, count in nulls.items() if count is None]
        files = live_files(path, table)
        if missing and len(files) <= (MOST_FILES if isinstance(path, Path) else MOST_OBJECTS):
            nulls |= _nulls(path, files, missing)
        return {name: 1 - count / sum(rows) for name, count in nulls.items() if count is not None}


def _literal(value: object) -> str:
    return literal(value) if isinstance(value, str) else str(value)


def _total(actions: pa.Table, name: str) -> int | None:
    counts = actions.column(name).to_pylist() if name in actions.column_names else [None]
    return None if None in counts else sum(counts)


def _nulls(path: Place, files: list[Place], names: Collection[str]) -> Mapping[str, int | None]:
    """How many rows have no value in these columns, by the footers; None where one of them does not tell."""
    found: dict[str, int | None] = dict.fromkeys(names, 0)
    for counts in at_once(path, lambda file: _of_footer(file, frozenset(names)), files):
        for name, before in found.items():
            count = counts[name]
            found[name] = None if before is None or count is None else before + count
    return found


def _of_footer(file: Place, names: frozenset[str]) -> dict[str, int | None]:
    with parquet(file) as source:
        told = source.metadata
        places = {told.schema.column(number).path: number for number in range(told.num_columns)}
        found: dict[str, int | None] = dict.fromkeys(names, told.num_rows)  # of a column that came later
        for name in names & places.keys():
            groups = [told.row_group(number).column(places[name]).statistics for number in range(told.num_row_groups)]
            counts = [each.null_count if each is not None and each.has_null_count else None for each in groups]
            found[name] = None if None in counts else sum(count for count in counts if count is not None)
        return found

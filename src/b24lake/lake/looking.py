"""Some rows of one version of a table, read right from its files: quick, whatever the size of the table."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from b24lake.lake import guarded
from b24lake.lake.columns import quoted
from b24lake.lake.comparing import asked_for, is_plain, shaped
from b24lake.lake.files import reopened, storage_errors
from b24lake.lake.log import live_names, storage
from b24lake.lake.place import Place
from b24lake.lake.table import schema_of

_BUFFER = 64 * 1024
"""Bytes of a column that are read at once from a disk; of an object, neighbouring columns come with one request."""


def rows_then(path: Place, version: int, count: int) -> pa.Table:
    """Rows of a version that can be read, as `rows_of` an open table."""
    return rows_of(path, reopened(path, version), count)


def rows_of(path: Place, table: DeltaTable, count: int) -> pa.Table:
    """Rows of the version that `table` holds, with its columns and their comments: the first in the order of its files.

    What its files do not tell (partitions, deletion vectors) is left to a query. Raises StreamError where one is gone.
    """
    if not is_plain(table):
        name = f"{quoted(path.parent.name)}.{quoted(path.name)}"
        sql = f"SELECT * FROM {name} VERSION AS OF {table.version()} LIMIT {count}"  # noqa: S608
        return guarded.guarded_query(path.parent.parent, sql, limit=count, seconds=30)
    with storage_errors(path):
        schema = schema_of(table)
        pieces, missing = [schema.empty_table()], count
        for name in sorted(live_names(table)):
            if missing <= 0:
                break
            pieces.append(_first_of(table, name, schema, missing, near=isinstance(path, Path)))
            missing -= pieces[-1].num_rows
        return pa.concat_tables(pieces)


def _first_of(table: DeltaTable, name: str, schema: pa.Schema, count: int, *, near: bool) -> pa.Table:
    with storage(table).open_input_file(name) as file:
        parquet = pq.ParquetFile(file, buffer_size=_BUFFER if near else 0, pre_buffer=not near)
        asked = asked_for(parquet, schema)
        batch = next(parquet.iter_batches(count, columns=list(asked), use_threads=False), None)
    if batch is None:
        return schema.empty_table()
    return shaped(pa.Table.from_batches([batch]), asked, schema, batch.num_rows)

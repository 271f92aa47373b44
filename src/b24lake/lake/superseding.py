"""Rows of a read that came a second time, newer, take the place of the earlier ones before the read is committed.

A read that was cut off and gone on with later asks once more for what has changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from b24lake.lake.columns import conform
from b24lake.lake.files import parquet
from b24lake.lake.parts import Part
from b24lake.lake.staging import Staged, Staging, read_column


def supersede(staged: Staged, newer: Staged, run_id: str) -> Staged:
    """The staged rows, with those of `newer` in the place of rows with the same key.

    Parts in which nothing came again stay as they are; the rows of the others are written anew, as parts of `run_id`.
    Nothing is removed: who commits the result tidies up.
    """
    if not newer.rows:
        return staged
    again = newer.keys().combine_chunks()
    schema = _union(staged.schema, newer.schema)
    stale = [part for part in staged.parts if _holds(staged, part, again)]
    staging = Staging(staged.path, run_id, staged.key, staged.measured, schema=schema)
    for part in stale:
        for rows in _without(staged, part, again, schema):
            staging.add(rows)
    for rows in newer.tables():
        staging.add(conform(rows, schema))
    written = staging.close()
    kept = tuple(part for part in staged.parts if part not in stale)
    return replace(staged, schema=schema, parts=(*kept, *written.parts))


def _union(schema: pa.Schema, more: pa.Schema) -> pa.Schema:
    return pa.schema([*schema, *(each for each in more if each.name not in schema.names)])


def _holds(staged: Staged, part: Part, keys: pa.Array) -> bool:
    mine = read_column(staged.path / part.path, staged.key, keys.type)
    return bool(pc.any(pc.is_in(mine, value_set=keys)).as_py())


def _without(staged: Staged, part: Part, keys: pa.Array, schema: pa.Schema) -> Iterator[pa.Table]:
    with parquet(staged.path / part.path) as file:
        for number in range(file.num_row_groups):
            rows = conform(file.read_row_group(number), schema)
            yield rows.filter(pc.invert(pc.is_in(rows.column(staged.key), value_set=keys)))

"""Rows that belong to records of another table, read anew record by record: which of the old ones go.

Delta has no overwrite by record, so the keys of the rows that did not come again are looked up in the files of the last
version; the rows go in the merge that brings the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from b24lake.lake.columns import DELETED_AT, UTC_MICROS
from b24lake.lake.files import live_files
from b24lake.lake.keys import Policy
from b24lake.lake.place import Place
from b24lake.lake.staging import Staged, read_column
from b24lake.lake.table import schema_of


@dataclass(frozen=True, eq=False)
class Replaced:
    """Records whose rows were read as a whole.

    column   of the rows, that names their record
    records  their ids: an Arrow array of integers
    policy   what becomes of rows that did not come again: as `Deletions` of a full read; `at` is the time to mark with
    """

    column: str
    records: pa.Array
    policy: Policy = "remove"
    at: datetime | None = None

    @property
    def moment(self) -> datetime:
        """The time to mark with."""
        return self.at or datetime.now(UTC)


def gone(path: Place, table: DeltaTable, staged: Staged, key: str, replaced: Replaced) -> pa.Array:
    """Keys of the table's rows that belong to the records, but are not among the staged ones.

    Two columns are read, file by file. Rows that are marked as deleted already do not count where the policy marks.
    """
    schema = schema_of(table)
    kind = schema.field(key).type
    empty = pa.array([], kind)
    if replaced.policy == "keep" or not len(replaced.records) or replaced.column not in schema.names:
        return empty
    came = staged.keys().combine_chunks().cast(kind)
    records = replaced.records.cast(schema.field(replaced.column).type)
    found = [_gone(file, schema, key, came, replaced, records) for file in live_files(path, table)]
    chunks = [chunk for column in found for chunk in column.chunks]
    return pa.concat_arrays([empty, *chunks])


def _gone(
    file: Place, schema: pa.Schema, key: str, came: pa.Array, replaced: Replaced, records: pa.Array
) -> pa.ChunkedArray:
    owners = read_column(file, replaced.column, records.type)
    theirs = pc.is_in(owners, value_set=records)
    if not pc.any(theirs).as_py():
        return pa.chunked_array([], came.type)
    if replaced.policy == "mark" and DELETED_AT in schema.names:
        theirs = pc.and_(theirs, pc.is_null(read_column(file, DELETED_AT, UTC_MICROS)))
    keys = read_column(file, key, came.type).filter(theirs)
    return keys.filter(pc.invert(pc.is_in(keys, value_set=came)))

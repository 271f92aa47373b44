"""All batches of a read together, as people analyse them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from b24lake.api.course import Course, Taken
from b24lake.errors import UsageError
from b24lake.reading.decode import MISFITS


def tables(taken: Iterator[Taken], courses: Sequence[Course]) -> dict[str, pa.Table]:
    """One table for each stream; what came of it before it began anew is forgotten."""
    batches: dict[str, list[pa.RecordBatch]] = {course.name: [] for course in courses}
    for course, batch in taken:
        if batch is None:
            batches[course.name].clear()
        else:
            batches[course.name].append(batch)
    return {course.name: _together(course, batches[course.name]) for course in courses}


def _together(course: Course, batches: Sequence[pa.RecordBatch]) -> pa.Table:
    parts = [course.schema.empty_table(), *(pa.Table.from_batches([batch]) for batch in batches)]
    table = pa.concat_tables(parts, promote_options="default")
    return table.select([*(name for name in table.column_names if name != MISFITS), MISFITS])


def library(name: str) -> Any:
    """A library that is not needed for anything else. Raises UsageError where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"{name} cannot be used here", why=str(error), fix=f"pip install {name}") from None


def into_duckdb(table: pa.Table, connection: Any, name: str) -> Any:
    """The table `name` of a DuckDB connection, as a relation."""
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))
    connection.register("b24lake_reading", table)
    try:
        connection.execute(f"CREATE OR REPLACE TABLE {quoted} AS SELECT * FROM b24lake_reading")  # noqa: S608
    finally:
        connection.unregister("b24lake_reading")
    return connection.table(quoted)

"""SQL over the tables of a lake: one statement that only reads (`statement`), run by delta-rs' own engine (DataFusion).

Time is not limited here, and no signal stops a running query: `guarded` sees to both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError

from b24lake.errors import UsageError
from b24lake.lake.catalog import opened
from b24lake.lake.columns import literal, plain, quoted
from b24lake.lake.place import Place
from b24lake.lake.reach import Limits, Reach
from b24lake.lake.readable import DATAFUSION
from b24lake.lake.statement import Source, Statement, parsed
from b24lake.lake.versions import as_of, history
from b24lake.lake.views import is_view

SPILL_BYTES = 20 * 1024**3
"""What a query may write to disk because it does not fit into memory."""
_EXHAUSTED = re.compile("Resources exhausted|malloc of size|memory allocation of")
_FRUGAL = {
    # One sorter instead of one for each core, and small batches: then sorting and grouping do with little memory. What
    # a join looks up must fit into it all the same.
    "datafusion.execution.target_partitions": "1",
    "datafusion.execution.batch_size": "1024",
}
_AS_WRITTEN = ("join_reordering", "repartition_joins")
"""What would turn the joins of a view round: its labels would pass, and its rows would be held in memory."""
_FIELDS_TOLD = 8
_GONE = re.compile(r"\.parquet.{0,40}not found|NotFound|No such file", re.DOTALL)


@dataclass(frozen=True)
class Means:
    """What a query may use.

    memory_bytes   of the rows that sorts, groups and joins hold; what is beyond goes to files in the folder `spill`
    frugal         on one core, with less memory at once; rows of one table come in the order of its files
    """

    memory_bytes: int
    spill: Path
    frugal: bool = False


def query(lake: Place, sql: str, *, limit: int | None = None) -> pa.Table:
    """The rows of one SELECT, at most `limit` of them; see `stream`."""
    reader = stream(lake, sql)
    return pa.Table.from_batches(first(reader, limit), reader.schema)


def first(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    """The batches up to so many rows; None = all."""
    missing = limit
    for batch in batches:
        if missing is not None and missing <= batch.num_rows:
            yield batch.slice(0, missing)
            return
        yield batch
        missing = None if missing is None else missing - batch.num_rows


def pieces(batch: pa.RecordBatch, most: int | None) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of at most so many bytes; None = as it is. Raises UsageError where one row has more."""
    if most is None or batch.nbytes <= most:
        yield batch
        return
    if batch.num_rows == 1:
        raise UsageError(
            "A row of the answer is too large to be shown",
            why=f"it has {batch.nbytes / 1024**2:.0f} MB",
            fix="cut long texts, for example with left(TEXT, 1000)",
        )
    half = batch.num_rows // 2
    yield from pieces(batch.slice(0, half), most)
    yield from pieces(batch.slice(half), most)


def stream(lake: Place, sql: str, means: Means | None = None, limits: Limits = ()) -> pa.RecordBatchReader:
    """The rows of one SELECT, batch by batch. Tables are called `layer.table`, or `layer.table VERSION AS OF 3`.

    limits   of whoever asks: no other tables are there for them, and views as far as these read no others

    Columns keep their comments where they come from a table as they are; a name that comes twice gets a number.

    Raises UsageError where it is not one statement that reads, names an unknown table or version, or the engine refuses
    it, and MemoryError where `means` do not suffice: here, or while the rows are read.
    """
    statement = parsed(sql)
    builder = _builder(means)
    _register_all(builder, Reach(lake, limits), statement)
    try:
        found = pa.RecordBatchReader.from_stream(builder.execute(statement.sql))
    except (DeltaError, pa.ArrowException) as error:
        raise _fault(error) from error
    names = _unique(found.schema.names)
    fields = [each.with_name(name).with_type(plain(each.type)) for each, name in zip(found.schema, names, strict=True)]
    schema = pa.schema(fields)
    return pa.RecordBatchReader.from_batches(schema, _read(found, schema))


def _builder(means: Means | None) -> QueryBuilder:
    builder = QueryBuilder(_FRUGAL if means and means.frugal else None)
    if means:
        _run(builder, f"SET datafusion.runtime.memory_limit = '{means.memory_bytes // 1024}K'")
        _run(builder, f"SET datafusion.runtime.temp_directory = {literal(str(means.spill))}")
        _run(builder, f"SET datafusion.runtime.max_temp_directory_size = '{SPILL_BYTES // 1024**2}M'")
    return builder


def _run(builder: QueryBuilder, statement: str) -> None:
    """A statement of our own, which answers nothing."""
    pa.RecordBatchReader.from_stream(builder.execute(statement)).read_all()


def _register_all(builder: QueryBuilder, reach: Reach, statement: Statement) -> None:
    """Make the tables and views of a statement known, and the tables that the views read."""
    names = {each for each in statement.sources if is_view(reach.lake, each.sql_name)}
    tables = {source: reach.table(source.sql_name) for source in sorted(statement.sources - names)}
    views = [reach.view(each.sql_name, statement.columns) for each in sorted(names)]
    for source in names:
        if source.at:
            raise UsageError(
                f"The view {source.sql_name} has no versions",
                why="it shows its table with the labels as they are now",
                fix="ask for AS OF of the table itself",
            )
    tables |= {Source(*table): path for each in views for table, path in each.tables.items()}
    for number, (source, path) in enumerate(sorted(tables.items(), key=lambda each: each[0])):
        _register(builder, f"table_{number}", _opened(path, source), source)
    for each in views:
        _create_view(builder, each.table.layer, each.short_name, each.sql(DATAFUSION))
    for option in _AS_WRITTEN if views else ():
        _run(builder, f"SET datafusion.optimizer.{option} = false")


def _opened(path: Place, source: Source) -> DeltaTable:
    table = opened(path)
    if source.at:
        version = as_of(history(path, table), source.at, source.sql_name).version
        table.load_as_version(version)
    return table


def _register(builder: QueryBuilder, private: str, table: DeltaTable, source: Source) -> None:
    """Make a table known: the engine registers plain names only, so a view in a schema stands before each."""
    builder.register(private, table)
    _create_view(builder, source.schema, source.name, f"SELECT * FROM {private}")  # noqa: S608  a name of our own


def _create_view(builder: QueryBuilder, layer: str, name: str, select: str) -> None:
    schema = quoted(layer)
    _run(builder, f"CREATE SCHEMA IF NOT EXISTS {schema}")
    _run(builder, f"CREATE VIEW {schema}.{quoted(name)} AS {select}")


def _unique(names: list[str]) -> list[str]:
    """The names, with a number behind those that came before.

    >>> _unique(["ID", "TITLE", "ID"])
    ['ID', 'TITLE', 'ID_2']
    """
    taken, seen, found = set(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        number = seen[name]
        unique = name if number == 1 else f"{name}_{number}"
        while number > 1 and unique in taken:
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        found.append(unique)
    return found


def _read(found: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        for batch in found:
            # Unsafe casts: of times in nanoseconds only, which lose what a table cannot hold.
            yield batch.rename_columns(schema.names).cast(schema, safe=False)
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise _fault(error) from error


def _fault(error: Exception) -> Exception:
    text = str(error)
    if isinstance(error, MemoryError) or _EXHAUSTED.search(text):
        return MemoryError(text)
    # The engine's advice to change its configuration helps nobody here; the fix says what does.
    said = [_few_fields(line) for line in text.splitlines() if "enable_ident_normalization" not in line]
    fix = 'correct the SQL; names of columns are case-sensitive, and "quoted" where they hold other signs'
    if _GONE.search(text):
        fix = "run it again; if files of the table are missing, `b24lake history` tells which versions can be read"
    return UsageError("The query cannot be run", why=" ".join(said), fix=fix)


def _few_fields(line: str) -> str:
    """The line with a few of the columns that there are: some tables have hundreds."""
    before, told, fields = line.partition("Valid fields are ")
    names = fields.rstrip(".").split(", ")
    if len(names) <= _FIELDS_TOLD:
        return line
    return f"{before}{told}{', '.join(names[:_FIELDS_TOLD])} and {len(names) - _FIELDS_TOLD} more."

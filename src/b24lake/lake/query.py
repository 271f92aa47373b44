"""SQL over the tables of a lake: one statement that only reads, run by delta-rs' own engine (DataFusion).

The engine can write files (`COPY`), change its settings and open files by name, so a statement is parsed first, and
what reaches the engine is one SELECT over tables of this lake. Memory and time are not limited here, and no signal
stops a running query: `guarded` does both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import sqlglot
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError
from sqlglot import exp
from sqlglot.errors import SqlglotError

from b24lake.errors import UsageError
from b24lake.lake.catalog import find, opened
from b24lake.lake.columns import plain, quoted

DIALECT = "postgres"
"""The SQL that the engine's own is nearest to."""
_EXPLAIN = re.compile(r"\s*EXPLAIN(\s+ANALYZE)?(\s+VERBOSE)?\s+", re.IGNORECASE)
_WRITING = (exp.Into, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Copy, exp.Command)
_FUNCTIONS = {"explodinggenerateseries", "generateseries", "generate_series", "range", "unnest"}
"""Functions that may stand where a table stands: they read nothing but their arguments."""


def query(lake: Path, sql: str, *, limit: int | None = None) -> pa.Table:
    """The rows of one SELECT, at most `limit` of them. Tables are called `layer.table`.

    Raises UsageError where it is not one statement that reads, names an unknown table, or the engine refuses it.
    """
    reader = stream(lake, sql)
    batches: list[pa.RecordBatch] = []
    missing = limit
    for batch in reader:
        if missing is not None and missing <= batch.num_rows:
            batches.append(batch.slice(0, missing))
            break
        batches.append(batch)
        missing = None if missing is None else missing - batch.num_rows
    return pa.Table.from_batches(batches, reader.schema)


def stream(lake: Path, sql: str) -> pa.RecordBatchReader:
    """As `query`, but batch by batch; a fault of the engine may come while reading."""
    text, names = _checked(sql)
    builder = QueryBuilder()
    for number, (layer, name) in enumerate(sorted(names)):
        _register(builder, f"table_{number}", opened(find(lake, f"{layer}.{name}")), layer, name)
    try:
        found = pa.RecordBatchReader.from_stream(builder.execute(text))
    except DeltaError as error:
        raise _refused(error) from error
    schema = pa.schema([each.with_type(plain(each.type)) for each in found.schema])
    return pa.RecordBatchReader.from_batches(schema, _read(found, schema))


def _checked(sql: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """The statement without its comments, and the (layer, table) names that it reads.

    The engine gets nothing but the tokens that were parsed here, so no comment can mean something else to it.
    Raises UsageError where it is not exactly one statement that only reads.
    """
    explain = _EXPLAIN.match(sql)
    head, body = (explain[0], sql[explain.end() :]) if explain else ("", sql)
    try:
        tokens = sqlglot.tokenize(body, read=DIALECT)
        while tokens and tokens[-1].text == ";":
            tokens.pop()
        _check_tokens([token.text.upper() for token in tokens])
        text = _joined(body, [(token.start, token.end + 1) for token in tokens])
        tree = sqlglot.parse_one(text, read=DIALECT)
    except RecursionError:
        raise UsageError(
            "This SQL is nested too deeply",
            why="it has hundreds of parentheses or subqueries in each other",
            fix="write it with fewer levels, for example with WITH",
        ) from None
    except SqlglotError as error:
        raise UsageError(
            "This is not SQL that can be read", why=str(error).splitlines()[0], fix="write one SELECT over LAYER.TABLE"
        ) from error
    if not isinstance(tree, exp.Query) or tree.find(*_WRITING):
        raise _not_reading(f"a part of this {tree.key.upper()} writes")
    return head + text, _tables(tree)


def _check_tokens(words: list[str]) -> None:
    if ";" in words:
        raise UsageError(
            "Several statements where one is expected",
            why="a query is exactly one statement",
            fix="write one SELECT and no other `;`",
        )
    if next((word for word in words if word != "("), "") not in {"SELECT", "WITH"}:
        raise _not_reading(f"this begins with {words[0]!r}" if words else "this is empty")


def _not_reading(why: str) -> UsageError:
    return UsageError("Only reading is allowed here", why=why, fix="write one SELECT, WITH … SELECT or EXPLAIN SELECT")


def _joined(text: str, spans: list[tuple[int, int]]) -> str:
    """The spans with the white space between them; where there was a comment, a space."""
    pieces = [text[slice(*span)] for span in spans[:1]]
    for (_, end), (start, after) in pairwise(spans):
        between = text[end:start]
        pieces += [" " if between.strip() else between, text[start:after]]
    return "".join(pieces)


def _tables(tree: exp.Query) -> frozenset[tuple[str, str]]:
    with_names = {each.alias for each in tree.find_all(exp.CTE)}
    names = set()
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Func):
            _check_function(table.this)
        elif table.db and not table.catalog:
            names.add((table.db, table.name))
        elif table.catalog or table.name not in with_names:
            raise UsageError(
                f"{table.name!r} is not a table of the lake",
                why="tables are called LAYER.TABLE",
                fix="write for example raw.bitrix24_deals; `b24lake tables` lists what there is",
            )
    return frozenset(names)


def _check_function(function: exp.Func) -> None:
    name = function.name if isinstance(function, exp.Anonymous) else function.key
    if name.casefold() not in _FUNCTIONS:
        raise UsageError(
            f"The function {name!r} is not allowed in FROM",
            why="it may read something else than this lake",
            fix="read tables of the lake",
        )


def _register(builder: QueryBuilder, private: str, table: DeltaTable, layer: str, name: str) -> None:
    """Make `layer.name` known: the engine registers plain names only, so a view in a schema stands before each."""
    builder.register(private, table)
    schema, view = quoted(layer), f"{quoted(layer)}.{quoted(name)}"
    select = f"SELECT * FROM {private}"  # noqa: S608  a name of our own
    for statement in (f"CREATE SCHEMA IF NOT EXISTS {schema}", f"CREATE VIEW {view} AS {select}"):
        pa.RecordBatchReader.from_stream(builder.execute(statement)).read_all()


def _read(found: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        for batch in found:
            yield batch.cast(schema)
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise _refused(error) from error


def _refused(error: Exception) -> UsageError:
    # The engine's advice to change its configuration helps nobody here; the fix says what does.
    said = [line for line in str(error).splitlines() if "enable_ident_normalization" not in line]
    return UsageError(
        "The query cannot be run",
        why=" ".join(said),
        fix='correct the SQL; names of columns are case-sensitive, and "quoted" where they hold other signs',
    )

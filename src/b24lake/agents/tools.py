"""The tools: what each is called, takes and answers. All of them only look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from b24lake.agents import answers, inventory
from b24lake.agents.answers import Answer
from b24lake.agents.inventory import Table
from b24lake.agents.reader import Reader
from b24lake.agents.skill import example
from b24lake.errors import UsageError
from b24lake.lake import catalog, guarded, views
from b24lake.lake.columns import quoted
from b24lake.lake.reach import Reach
from b24lake.lake.readable import SUFFIX
from b24lake.lake.views import is_view

SAMPLE, ROWS = 20, 1_000
SECONDS, MOST_SECONDS = 60, 300
VERSIONS = 20

TableName = Annotated[str, Field(description="layer.table, as raw.bitrix24_deals", min_length=1, max_length=300)]


class Takes(BaseModel):
    """What a tool takes; anything else is refused."""

    model_config = ConfigDict(extra="forbid")


class NoWords(Takes):
    """Nothing."""


class Search(Takes):
    """Words to look for."""

    search: Annotated[
        str, Field(description="Only tables with this in name, stream or description", max_length=300)
    ] = ""


class OneTable(Takes):
    """A table."""

    table: TableName


class Columns(OneTable):
    """A table, and which of its columns."""

    search: Annotated[
        str,
        Field(description="Only columns with this in their name or label; wide tables have hundreds", max_length=300),
    ] = ""


class Sample(OneTable):
    """A table, some of its columns, and how many rows."""

    columns: Annotated[list[str], Field(description="Only these columns; none = all", max_length=500)] = []
    limit: Annotated[int, Field(ge=1, le=100)] = SAMPLE


class Sql(Takes):
    """A query and its limits."""

    sql: Annotated[
        str,
        Field(description='One SELECT over layer.table; "quote" names of columns with odd signs', max_length=100_000),
    ]
    limit: Annotated[int, Field(description="Most rows", ge=1, le=ROWS)] = 100
    timeout_seconds: Annotated[int, Field(description="It is stopped after that", ge=1, le=MOST_SECONDS)] = SECONDS


class Versions(OneTable):
    """A table, and how many versions."""

    limit: Annotated[int, Field(ge=1, le=200)] = VERSIONS


class SomeRuns(Takes):
    """Which runs."""

    source: Annotated[str, Field(description="Of this source only, by id", max_length=200)] = ""
    state: Annotated[str, Field(description="As success, partial, failed, running, queued", max_length=40)] = ""
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class OneRun(Takes):
    """A run."""

    run: Annotated[str, Field(description="Its id", min_length=1, max_length=200)]


class OneSource(Takes):
    """A source."""

    source: Annotated[str, Field(description="Its id", min_length=1, max_length=200)]


@dataclass(frozen=True)
class Tool:
    """One tool.

    takes   its arguments
    does    answers; raises B24LakeError
    asks    whether it asks a portal on the internet
    """

    name: str
    title: str
    about: str
    takes: type[Takes]
    does: Callable[[Reader, Any], Answer]
    asks: bool = False


# --- tables -----------------------------------------------------------------------------------------------------------


def _list_tables(reader: Reader, asked: Search) -> Answer:
    word = asked.search.casefold()
    found = [
        {
            "table": one.name,
            "stream": one.info.stream,
            "description": one.info.error or one.info.description,
            "rows": one.info.rows,
            "columns": len(one.indexed.columns),
            "as_of": one.info.committed_at,
            "readable_view": _view_of(one),
        }
        for one in inventory.tables(reader.index, reader.reach)
        if word in f"{one.name}\n{one.info.stream}\n{one.info.description}".casefold()
    ]
    return answers.listed(
        "tables", found, ("table", "stream", "rows", "columns", "as_of", "readable_view", "description")
    )


def _describe_table(reader: Reader, asked: Columns) -> Answer:
    reach, name = reader.reach, reader.reach.found(asked.table)
    if is_view(reach.lake, name):
        return _described(name, _columns(views.view(reach.lake, name).columns, asked.search), {"kind": "view"})
    layer, _, table = name.partition(".")
    one = Table(reader.index.table(layer, table))
    found = [one if each.name == name else each for each in inventory.tables(reader.index, reach)]
    choices = inventory.with_choices(reach.lake, found, [one])[0].choices
    columns = _columns(one.indexed.columns, asked.search)
    for column in columns:
        column["values"] = dict(choices.get(column["name"], ()))
    more = {
        "kind": "table",
        "description": one.info.description,
        "stream": one.info.stream,
        "rows": one.info.rows,
        "primary_key": one.indexed.key,
        "as_of": one.info.committed_at,
        "readable_view": _view_of(one),
        "version": one.info.version,
        "joins": list(inventory.joins(found, one)),
        "example": example(one),
    }
    return _described(name, columns, more)


def _view_of(one: Table) -> str | None:
    return f"{one.name}{SUFFIX}" if one.info.has_view else None


def _columns(columns: tuple[catalog.ColumnInfo, ...], search: str) -> list[dict[str, Any]]:
    word = search.casefold()
    return [
        {"name": each.name, "type": each.type, "label": each.comment}
        for each in columns
        if word in f"{each.name}\n{each.comment}".casefold()
    ]


def _described(name: str, columns: list[dict[str, Any]], more: dict[str, Any]) -> Answer:
    heads = ("name", "type", "label", *(["values"] if any(each.get("values") for each in columns) else []))
    lines = [[each.get(head) or "" for head in heads] for each in columns]
    facts = [
        f"{fact}: {'; '.join(value) if isinstance(value, list) else value}"
        for fact, value in more.items()
        if value not in (None, "", [])
    ]
    text = "\n".join([name, *facts, f"columns ({len(columns)}), as CSV:", answers.as_csv(heads, lines)])
    return answers.one({"table": name, **more, "columns": columns}, text)


def _sample_rows(reader: Reader, asked: Sample) -> Answer:
    name = reader.reach.found(asked.table)
    columns = ", ".join(map(quoted, asked.columns)) or "*"
    sql = f"SELECT {columns} FROM {'.'.join(map(quoted, name.split('.', 1)))}"  # noqa: S608  every name is quoted
    return _rows(reader.reach, sql, asked.limit, SECONDS)


def _query(reader: Reader, asked: Sql) -> Answer:
    return _rows(reader.reach, asked.sql, asked.limit, asked.timeout_seconds)


def _rows(reach: Reach, sql: str, limit: int, seconds: int) -> Answer:
    rows = guarded.guarded_query(reach.lake, sql, limit=limit + 1, seconds=seconds, limits=reach.limits)
    return answers.rows_of(rows, limit)


def _list_versions(reader: Reader, asked: Versions) -> Answer:
    name = reader.reach.found(asked.table)
    if is_view(reader.reach.lake, name):
        raise UsageError(f"The view {name} has no versions", fix=f"ask for those of {name.removesuffix(SUFFIX)}")
    versions = catalog.describe(reader.reach.lake, name)
    told = ("version", "at", "did", "run_id", "inserted", "updated", "deleted", "readable")
    found = [{key: getattr(each, key) for key in told} for each in versions.versions[: asked.limit]]
    return answers.listed("versions", found, told, table=name, known=len(versions.versions))


# --- sources and runs -------------------------------------------------------------------------------------------------


def _list_sources(reader: Reader, _asked: NoWords) -> Answer:
    found = reader.service().sources(reader.reach)
    heads = ("id", "name", "state", "health", "portal", "last_state", "fresh_at", "next_at", "description")
    return answers.listed("sources", found, heads)


def _list_runs(reader: Reader, asked: SomeRuns) -> Answer:
    found = reader.service().runs(reader.reach, asked.source, asked.state, asked.limit)
    return answers.listed(
        "runs", found, ("id", "source", "state", "cause", "queued_at", "ended_at", "rows_read", "error")
    )


def _get_run(reader: Reader, asked: OneRun) -> Answer:
    run = reader.service().run(reader.reach, asked.run)
    heads = (
        "stream",
        "status",
        "sync_type",
        "table",
        "rows_read",
        "rows_inserted",
        "rows_updated",
        "rows_deleted",
        "error",
    )
    lines = [[each.get(head) for head in heads] for each in run["streams"]]
    facts = [f"{name}: {value}" for name, value in run.items() if name not in {"streams", "schema_changes"} and value]
    return answers.one(run, "\n".join([*facts, "streams, as CSV:", answers.as_csv(heads, lines)]))


def _check_source(reader: Reader, asked: OneSource) -> Answer:
    found = reader.service().check(reader.reach, asked.source)
    heads = ("name", "state", "says", "cause", "cure")
    lines = [[each[head] for head in heads] for each in found["checks"]]
    return answers.one(found, f"{found['status']}\n{answers.as_csv(heads, lines)}")


TOOLS = (
    Tool(
        "list_tables",
        "List tables",
        "All tables of the lake with stream, rows, number of columns and time of the last change. Begin here.",
        Search,
        _list_tables,
    ),
    Tool(
        "describe_table",
        "Describe a table",
        "Columns with types, labels and short lists of values; primary key, versions, ready joins, an example query. "
        "A name that ends in _readable is the view with labels beside ids.",
        Columns,
        _describe_table,
    ),
    Tool(
        "sample_rows",
        "Look at some rows",
        "Some rows of a table or readable view; which ones is not said.",
        Sample,
        _sample_rows,
    ),
    Tool(
        "query",
        "Run SQL",
        "One SELECT (DataFusion, near to PostgreSQL) over tables called layer.table, with limits of rows and time. "
        "Earlier states: FROM raw.bitrix24_deals VERSION AS OF 3 AS d. Nothing can be written.",
        Sql,
        _query,
    ),
    Tool(
        "list_versions",
        "List the versions of a table",
        "The newest versions with time, run, what was done, and rows inserted, updated and deleted by it.",
        Versions,
        _list_versions,
    ),
    Tool(
        "list_sources",
        "List sources",
        "The portals that are read, their health, when they were last and will next be read, and their tables.",
        NoWords,
        _list_sources,
    ),
    Tool("list_runs", "List runs", "The newest runs, with state, cause and rows read.", SomeRuns, _list_runs),
    Tool(
        "get_run",
        "Look at a run",
        "One run stream by stream: rows, errors with cause and cure, schema changes.",
        OneRun,
        _get_run,
    ),
    Tool(
        "check_source",
        "Check a source",
        "Asks the source's portal whether its webhook works and what it may read: named checks with cause and cure.",
        OneSource,
        _check_source,
        asks=True,
    ),
)
BY_NAME = {each.name: each for each in TOOLS}


def schema_of(tool: Tool) -> dict[str, Any]:
    """What a tool takes, as JSON Schema."""
    told = tool.takes.model_json_schema()
    told.pop("description", None)
    return told

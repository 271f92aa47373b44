"""Where a table comes from and what is made of it: source, stream, runs, changes of its columns, and how it grew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control import tables
from b24lake.control.models import Run, RunStream, SchemaChange, Source
from b24lake.lake import readable
from b24lake.lake.catalog import table_folders
from b24lake.lake.place import Place
from b24lake.lake.readable import Described
from b24lake.lake.table import Owner, owner_of, schema_of
from b24lake.lake.versions import VersionInfo
from b24lake.web.asking import Asked
from b24lake.web.pages.one_table import frame
from b24lake.web.pages.table_then import Table, table_of

router = APIRouter(prefix="/catalog/{layer}/{name}/lineage", include_in_schema=False)
RUNS, CHANGES = 20, 50
POINTS = 400
"""Versions in a chart: more would stand on the same pixels."""


@dataclass(frozen=True, slots=True)
class Wrote:
    """What a run did to the table; `versions` are those that it wrote."""

    run: Run
    status: str
    result: Mapping[str, Any]
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """What happened to a column; `run` "" where this service knows of none."""

    at: datetime
    run: str
    kind: str
    column: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Refers:
    """A column whose values stand for rows of other streams, and what the readable view puts beside it.

    to   stream and the table that probably holds it, as `layer.table`; "" where there is none
    """

    column: str
    to: tuple[tuple[str, str], ...]
    beside: tuple[str, ...]


@router.get("")
def lineage(layer: str, name: str, asked: Asked) -> Response:
    """Everything about where a table comes from."""
    table = table_of(asked, layer, name)
    owner = owner_of(table.delta)
    writers = tables.writers(asked.site.database, asked.site.here, table.path)
    with asked.site.database.reading() as session:
        runs = _runs(session, writers, table)
        changes = _changes(session, writers, table)
    return asked.page(
        "catalog/lineage.html",
        **frame(asked, layer, name, "lineage"),
        owner=owner,
        writers=writers,
        runs=runs,
        changes=changes[:CHANGES],
        more=len(changes) > CHANGES,
        refers=_refers(table, owner, table_folders(asked.site.here.lake)) if owner else [],
        charts=growth(table.versions, asked.viewer.now),
    )


def _runs(session: Session, writers: Sequence[tuple[Source, str]], table: Table) -> list[Wrote]:
    """The newest runs that were about the table."""
    wrote: dict[str, list[int]] = {}
    for one in table.versions:
        wrote.setdefault(one.run_id, []).append(one.version)
    found: list[Wrote] = []
    for source, stream in writers:
        query = (
            select(Run, RunStream)
            .join(RunStream, RunStream.run_id == Run.id)
            .where(Run.source_id == source.id, RunStream.stream == stream)
            .order_by(Run.queued_at.desc())
        )
        for run, line in session.execute(query.limit(RUNS)):
            if line.result.get("table", table.name) == table.name:
                found.append(Wrote(run, line.status, line.result, tuple(wrote.get(run.id, ()))))
    return found


def _changes(session: Session, writers: Sequence[tuple[Source, str]], table: Table) -> list[Changed]:
    """The newest changes of columns: those of runs of this service, and those that the log alone tells."""
    query = (
        select(SchemaChange)
        .where(SchemaChange.source_id.in_([source.id for source, _ in writers]), SchemaChange.table_name == table.name)
        .order_by(SchemaChange.id.desc())
    )
    held = session.scalars(query.limit(CHANGES + 1)).all()
    known = {one.run_id for one in held}
    found = [
        Changed(one.at, one.run_id, one.kind, one.column, one.detail.get("before", ""), one.detail.get("after", ""))
        for one in held
    ]
    found += [change for one in table.versions if one.run_id not in known for change in _of_version(one)]
    return sorted(found, key=lambda one: one.at, reverse=True)[: CHANGES + 1]


def _of_version(one: VersionInfo) -> list[Changed]:
    try:
        told = json.loads(one.metadata.get("changes", "[]"))
        return [
            Changed(one.at, "", str(each["kind"]), str(each["column"]), str(each["before"]), str(each["after"]))
            for each in told
        ]
    except (ValueError, TypeError, KeyError):  # another program's
        return []


def _refers(table: Table, owner: Owner, folders: Sequence[Place]) -> list[Refers]:
    """What the readable view finds beside which column, and where: in tables named as those of one source are."""
    layer, name = table.path.parent.name, table.path.name
    described = readable.described(layer, name, schema_of(table.delta), table.delta.metadata().configuration)
    there = {(path.parent.name, path.name) for path in folders}
    beside: dict[str, list[str]] = {}
    for extra in readable.extras(described):
        beside.setdefault(extra.of, []).append(extra.name)
    return [_refer(described, column, names, there, owner) for column, names in beside.items()]


def _refer(table: Described, column: str, names: Sequence[str], there: set[tuple[str, str]], owner: Owner) -> Refers:
    prefix = table.name.removesuffix(owner.stream)
    streams = dict.fromkeys(each.stream for each in table.refers.get(column, ()))
    to = tuple((stream, f"{table.layer}.{prefix}{stream}") for stream in streams)
    known = tuple((stream, sql if tuple(sql.split(".", 1)) in there else "") for stream, sql in to)
    return Refers(column, known, tuple(names))


def growth(versions: Sequence[VersionInfo], now: datetime) -> dict[str, Any]:
    """What the charts show: seconds since 1970 with rows, and with megabytes, up to now; oldest first.

    versions   newest first
    """
    told = [one for one in reversed(versions) if one.bytes is not None][-POINTS:]
    if not told:
        return {}
    times = [int(one.at.timestamp()) for one in told]
    rows = [one.rows for one in told]
    size = [round((one.bytes or 0) / 1e6, 3) for one in told]
    end = max(int(now.timestamp()), times[-1])
    return {"rows": [[*times, end], [*rows, rows[-1]]], "size": [[*times, end], [*size, size[-1]]]}

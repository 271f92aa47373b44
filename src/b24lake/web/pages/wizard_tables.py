"""The wizard's third step: into which tables the streams go, how each is read, and which columns are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control import choices, claims, relocation, setup, sources
from b24lake.control.models import Source, SourceStream
from b24lake.control.setup import TABLES
from b24lake.control.source_settings import lake_of, value_of
from b24lake.errors import B24LakeError, UsageError
from b24lake.lake.layers import layers
from b24lake.reading.veil import needed_by
from b24lake.streams.discovery import Discovery
from b24lake.streams.selection import Selected
from b24lake.sync import privacy
from b24lake.sync.options import POLICIES
from b24lake.web.asking import Asked, Asking, Form, Sent, may
from b24lake.web.jobs import DONE
from b24lake.web.pages import wizard_frame as frame
from b24lake.web.pages.wizard_frame import Errors

router = APIRouter(prefix="/sources/{source_id}/setup/tables", include_in_schema=False, dependencies=[may("editor")])
SETTINGS = ("layer", "folder", "prefix", "deleted")
FIELDS = ("table", "sync_type", "replication_key", "exclude", "hash")
RECOMMENDED = {"activities": "LAST_UPDATED"}
"""Replication keys that catch more than the preset one."""


@dataclass(frozen=True, slots=True)
class Line:
    """One stream and what its fields hold."""

    name: str
    title: str
    values: Mapping[str, str]
    sync_types: tuple[str, ...]
    replication_keys: tuple[str, ...]
    by_parent: bool
    recommended: str


@router.get("")
def tables(asked: Asked, source_id: str) -> Response:
    """The tables as they are, or as they are suggested."""
    source = frame.look(asked, source_id)
    return frame.detour(source, TABLES) or _shown(asked, source, _stored(source))


@router.post("")
def save(asked: Asked, source_id: str, form: Sent) -> Response:
    """Save them."""
    source, typed = frame.look(asked, source_id), _typed(form)
    settings, errors = frame.settings_of({name: typed[name] for name in SETTINGS})
    try:
        home, database = asked.site.here.home, asked.site.database
        with relocation.moves(home) as mover, database.writing() as session:
            move = mover if typed["move_tables"] == "true" else None
            source = frame.get(session, asked, source_id, lock=True)
            frame.refuse_stale(asked, source, form)
            changes = _changes(source, typed)
            errors |= _problems(asked, session, source, typed)
            errors |= _hiding_problems(frame.discovered(asked, source), source, changes)
            if not errors:
                said = sources.edit(session, asked.site.here, asked.actor, source, settings, streams=changes, move=move)
                if frame.goes_forward(TABLES, form):
                    setup.mark(source, TABLES)
    except UsageError as error:
        errors[""] = error
    if errors:
        return _shown(asked, frame.look(asked, source_id), typed, errors)
    asked.site.index.changed()  # tables may have been moved
    return frame.onward(asked, source, TABLES, form, said)


@router.post("/check")
def check(asked: Asked, source_id: str, form: Sent) -> Response:
    """What is wrong with the names that stand in the form now; nothing is saved."""
    typed = _typed(form)
    with asked.site.database.reading() as session:
        source = frame.get(session, asked, source_id)
        _, errors = frame.settings_of({name: typed[name] for name in SETTINGS})
        errors |= _problems(asked, session, source, typed)
    names = choices.selected(source.streams)
    return asked.page("wizard/table_problems.html", errors=errors, names=names, settings=SETTINGS)


@router.get("/columns/{stream}")
def columns(asked: Asked, source_id: str, stream: str) -> Response:
    """The columns of a stream that can be left out or hashed, as soon as the portal has told them."""
    source = frame.look(asked, source_id)
    job = frame.offer(asked, source)
    found = job.result.streams.get(stream) if job.state == DONE else None
    row = next((one for one in source.streams if one.stream == stream), None)
    needed = needed_by(choices.definition(stream), row.replication_key if row else None)
    listed = [one for one in found.columns if one.source not in needed] if found is not None else []
    return asked.page("wizard/columns.html", source=source, stream=stream, job=job, columns=listed)


# --- the form ---------------------------------------------------------------------------------------------------------


def _typed(form: Form) -> dict[str, str]:
    """What was typed: settings by their names, and `table.deals` and so on."""
    typed = {name: form.text(name) for name in (*SETTINGS, "move_tables")}
    for field in FIELDS:
        typed |= {f"{field}.{stream}": value for stream, value in form.under(f"{field}.").items()}
    return typed


def _stored(source: Source) -> dict[str, str]:
    stored = {name: str(value_of(source, name)) for name in SETTINGS} | {"move_tables": ""}
    for one in _rows(source):
        stored |= {
            f"table.{one.stream}": one.table_name,
            f"sync_type.{one.stream}": one.sync_type,
            f"replication_key.{one.stream}": one.replication_key or "",
            f"exclude.{one.stream}": ", ".join(one.excluded),
            f"hash.{one.stream}": ", ".join(one.hashed),
        }
    return stored


def _rows(source: Source) -> list[SourceStream]:
    return [one for one in source.streams if one.selected]


def _changes(source: Source, typed: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What the form says of each stream that is read, as `choices.change` takes it.

    A name that still is as it was follows a new prefix by itself: without scripts nobody else would rename it.
    """
    changes: dict[str, dict[str, Any]] = {}
    for one in _rows(source):
        told = {field: typed[f"{field}.{one.stream}"] for field in FIELDS if f"{field}.{one.stream}" in typed}
        if told.get("table") == one.table_name:
            del told["table"]
        changes[one.stream] = told
    return changes


def _names(source: Source, typed: Mapping[str, str]) -> dict[str, str]:
    """The name that each table is going to have."""
    names = {}
    for one in _rows(source):
        name = typed.get(f"table.{one.stream}", one.table_name)
        prefix, old = typed["prefix"], source.prefix
        if name == one.table_name and prefix != old and name.startswith(old):
            name = prefix + name.removeprefix(old)
        names[one.stream] = name or f"{prefix}{one.stream}"
    return names


def _problems(asked: Asking, session: Session, source: Source, typed: Mapping[str, str]) -> Errors:
    """What is wrong with the names of the tables, by field."""
    found = claims.problems(session, source, asked.site.here, typed["layer"], _names(source, typed))
    return {f"table.{stream}": error for stream, error in found.items()}


def _hiding_problems(
    found: Discovery | None, source: Source, changes: Mapping[str, Mapping[str, Any]]
) -> dict[str, B24LakeError]:
    """What is wrong with the columns to hide, by field, where the portal has told which there are."""
    errors: dict[str, B24LakeError] = {}
    for one in _rows(source):
        stream, told = choices.definition(one.stream), changes[one.stream]
        key = told.get("replication_key") or one.replication_key
        for field in choices.HIDING:
            try:
                names = choices.columns(stream, field, told.get(field, ""))
                known = found.streams.get(one.stream) if found is not None else None
                if names and known is not None:
                    selected = Selected(known, True, one.sync_type, key)
                    privacy.check([selected], [one.stream], [f"{one.stream}.{name}" for name in names], field)
            except UsageError as error:
                errors[f"{field}.{one.stream}"] = error
    return errors


# --- what is shown ----------------------------------------------------------------------------------------------------


def _shown(asked: Asking, source: Source, typed: Mapping[str, str], errors: Errors | None = None) -> Response:
    with asked.site.database.reading() as session:
        folders = session.scalars(select(Source.folder).distinct().order_by(Source.folder)).all()
    lines = [_line(one, typed) for one in _rows(source)]
    return frame.show(
        asked,
        source,
        TABLES,
        errors=errors,
        values=typed,
        lines=lines,
        layers=layers(lake_of(source, asked.site.here.lake)),
        folders=[one for one in folders if one],
        policies=_policies(asked),
    )


def _line(one: SourceStream, typed: Mapping[str, str]) -> Line:
    stream = choices.definition(one.stream)
    values = {field: typed.get(f"{field}.{one.stream}", "") for field in FIELDS}
    recommended = RECOMMENDED.get(one.stream, "")
    keys = stream.replication_keys
    return Line(one.stream, stream.title, values, stream.sync_types, keys, bool(stream.parent), recommended)


def _policies(asked: Asking) -> list[tuple[str, str]]:
    """What a full sync of an incremental stream does with rows that are gone, in words."""
    words = {
        "remove": asked.say("they go from the table"),
        "mark": asked.say("they stay, with the time in _deleted_at"),
        "keep": asked.say("they stay as they are"),
    }
    return [(policy, words[policy]) for policy in POLICIES]

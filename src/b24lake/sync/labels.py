"""What the columns of a stream refer to, as its table keeps it: readable views are built from that alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from b24lake.lake import joins, readable
from b24lake.lake.readable import Reference
from b24lake.streams.about import SPA, SPA_FIELDS
from b24lake.streams.discovery import Found
from b24lake.streams.fields import BINDING, Column
from b24lake.streams.relations import BOUND, BY_ENTITY_TYPE, BY_TYPE, DESCRIBES, DIRECTORIES, NAMES, RELATIONS, bound

_FIELDS = {described: fields for fields, described in DESCRIBES.items() if fields.endswith("_fields")}
_SMART = re.compile(r"spa_(\d+)")
_PARENT = re.compile(r"PARENT_ID_(\d+)|parentId(\d+)")
_STAGES = re.compile(r"(.*STAGE)(?:_\d+)?")  # each funnel has a directory of its own, with its number behind this
_ITEMS, _ITEM_KEY, _ITEM_LABEL = "items", "ID", "VALUE"


def properties_of(found: Found) -> dict[str, str]:
    """The properties of a stream's table that say what its columns refer to."""
    refers = {column.name: references_of(found.stream.name, column) for column in found.columns}
    money = [column.name for column in found.columns if column.kind == "money"]
    links = {column.name: links_of(column) for column in found.columns if column.kind == BINDING}
    return {**readable.as_properties(refers, money), **joins.as_properties(links)}


def references_of(stream: str, column: Column) -> tuple[Reference, ...]:
    """What the values of a column stand for; () where nobody knows, or where they are plain values."""
    if column.kind == "crm_status":
        directory = column.directory or DIRECTORIES.get((stream, column.source), "")
        return (_status(directory),) if directory else ()
    if column.kind in {"enumeration", "crm_category"}:
        fields = _fields_of(stream)
        return (_item(fields, column.code or column.name),) if fields else ()
    other = BY_TYPE.get(column.kind) or _parent(column)
    return (_record(other),) if other else tuple(_related(stream, column))


def links_of(column: Column) -> dict[str, str]:
    """The streams whose records a `crm` field may hold, and what stands before their ids; the portal may not tell."""
    found = (bound(kind) for kind in column.linked or BOUND)
    return {each[0]: each[1] for each in found if each}


def _status(directory: str) -> Reference:
    """A row of a directory; stages are in one of several, and their codes differ between these."""
    stages = _STAGES.fullmatch(directory)
    where = (("ENTITY_ID", stages[1] if stages else directory),)
    return Reference("status_list", "STATUS_ID", NAMES["status_list"], where, family=stages is not None)


def _item(fields: str, code: str) -> Reference:
    """A choice of a list: it stands in the row of its field."""
    return Reference(fields, _ITEM_KEY, (_ITEM_LABEL,), (("id", code),), items=_ITEMS)


def _record(stream: str, *when: tuple[str, str]) -> Reference:
    family = SPA if _SMART.fullmatch(stream) else stream
    return Reference(stream, "id" if family == SPA else "ID", NAMES[family], when=when)


def _related(stream: str, column: Column) -> Iterator[Reference]:
    """What the data model knows of columns whose type does not tell; one smart process is not known from another."""
    for one in RELATIONS:
        if (one.stream, one.column) == (stream, column.source) and one.to != SPA:
            yield _record(one.to, *([(one.by, one.says)] if one.by else []))


def _parent(column: Column) -> str:
    """The stream of a parent: of the entityTypeId in the column's name."""
    found = _PARENT.fullmatch(column.source)
    number = int(found[1] or found[2]) if found else 0
    return BY_ENTITY_TYPE.get(number, f"spa_{number}") if number else ""


def _fields_of(stream: str) -> str:
    """The stream that describes the fields of this one, or of the records that it belongs to."""
    smart = _SMART.fullmatch(stream)
    if smart:
        return SPA_FIELDS.replace("{entityTypeId}", smart[1])
    return "deal_fields" if stream == "deal_stage_history" else _FIELDS.get(stream, "")

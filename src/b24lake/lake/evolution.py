"""What a changed schema does to a table (pure).

A full read replaces all rows, so a new type takes over its column. An incremental read touches some rows only, so
a new type asks for a full read, and one that does not fit opens a column beside the old one until then. A column that
the source never declared may be missing from any read: that tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from b24lake.lake.columns import (
    LABEL,
    OWN,
    SYSTEM_COLUMNS,
    UNDECLARED,
    base_name,
    castable,
    label,
    note,
    own_comment,
    type_name,
    with_notes,
)

SPLIT_FROM = "b24lake.split_from"
"""Metadata of a side column: the column whose new type it holds."""
REMOVED = "b24lake.removed"
"""Metadata of a column whose field is gone at the source: "true"."""

Kind = Literal["added", "removed", "returned", "widened", "retyped", "split", "dropped", "relabeled"]


@dataclass(frozen=True)
class Change:
    """One change of a table's columns.

    `before` and `after` are Delta type names, "" where there is no such column; of a new label, the two labels.

    added, removed    the source has a new field; the source lost one, its column stays and is null from now on
    returned          a removed field is back
    widened, retyped  the column has a new type: one that holds every old value, or another one
    split             the new type lives in a column beside the old one until the next full read
    dropped           the side column of a split is no longer needed
    relabeled         the source describes the column otherwise; only full reads tell
    """

    kind: Kind
    column: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Evolution:
    """The table's next schema and the way there.

    renames   column of the rows -> column of the table, where they differ
    refresh   the next run has to read in full
    """

    schema: pa.Schema
    changes: tuple[Change, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    refresh: bool = False


def evolve(old: pa.Schema | None, new: pa.Schema, *, full: bool) -> Evolution:
    """The schema of a table with columns `old` after rows with columns `new`; `old` is None for a new table.

    Names that differ only in case are the same column: Delta refuses two of them. Raises ValueError where `new`
    itself holds two such names.
    """
    if len({name.casefold() for name in new.names}) < len(new.names):
        raise ValueError(f"column names differ only in case: {sorted(new.names, key=str.casefold)}")
    if old is None:
        return Evolution(ordered(new))
    return _replaced(old, new) if full else _extended(old, new)


def ordered(fields: Iterable[pa.Field]) -> pa.Schema:
    """A schema of these fields in their order, the columns b24lake adds at its end."""
    return pa.schema(sorted(fields, key=lambda each: (each.name in SYSTEM_COLUMNS, _system_rank(each.name))))


def _system_rank(name: str) -> int:
    return SYSTEM_COLUMNS.index(name) if name in SYSTEM_COLUMNS else -1


def _replaced(old: pa.Schema, new: pa.Schema) -> Evolution:
    """After a full read: the new types everywhere, side columns gone."""
    incoming = {each.name.casefold(): each for each in new}
    fields: list[pa.Field] = []
    changes: list[Change] = []
    for before in old:
        after = incoming.pop(before.name.casefold(), None)
        if after is not None:
            changes += _change_of(before, after)
            fields.append(_commented(after, before))
        elif note(before, SPLIT_FROM):
            changes.append(Change("dropped", before.name, type_name(before.type)))
        else:
            changes += _removal(before)
            fields.append(_left(before))
    changes += [Change("added", each.name, after=type_name(each.type)) for each in incoming.values()]
    return Evolution(ordered([*fields, *incoming.values()]), tuple(changes))


def _change_of(before: pa.Field, after: pa.Field) -> list[Change]:
    old, new = type_name(before.type), type_name(after.type)
    found = [Change("returned", after.name, old, new)] if note(before, REMOVED) else []
    if before.type != after.type:
        wider = castable(before.type, after.type) or pa.types.is_string(after.type)
        found.append(Change("widened" if wider else "retyped", after.name, old, new))
    if label(after) not in {"", label(before)}:
        found.append(Change("relabeled", after.name, label(before), label(after)))
    return found


def _removal(before: pa.Field) -> list[Change]:
    if note(before, REMOVED) or not _lasting(before):
        return []
    return [Change("removed", before.name, type_name(before.type))]


def _lasting(field: pa.Field) -> bool:
    """Tell whether every read should bring this column."""
    return field.name not in SYSTEM_COLUMNS and not note(field, UNDECLARED)


def _left(before: pa.Field) -> pa.Field:
    """A column that the source no longer fills: it may be null now, and remembers why."""
    return with_notes(before.with_nullable(True), b24lake__removed="true") if _lasting(before) else before


def _commented(after: pa.Field, before: pa.Field) -> pa.Field:
    """The new column with its label, the old one where the source gives none, and with what a person wrote."""
    called, own = label(after) or label(before), own_comment(before)
    if own:
        return with_notes(after, **{"comment": own, OWN: "true", LABEL: called})
    return with_notes(after, comment=called)


def _extended(old: pa.Schema, new: pa.Schema) -> Evolution:
    """After an incremental read: no old column changes its type."""
    columns = {each.name.casefold(): each for each in old}
    changes: list[Change] = []
    renames: dict[str, str] = {}
    filled: set[str] = set()
    refresh = False
    for after in new:
        before = columns.get(after.name.casefold())
        target = after if before is None else _home(before, after, columns)
        refresh = refresh or (before is not None and before.type != after.type)
        if target.name.casefold() not in columns:
            kind: Kind = "added" if before is None else "split"
            changes.append(
                Change(kind, target.name, "" if before is None else type_name(before.type), type_name(target.type))
            )
            columns[target.name.casefold()] = target
        elif note(target, REMOVED):
            changes.append(Change("returned", target.name, type_name(target.type), type_name(target.type)))
            columns[target.name.casefold()] = with_notes(target, b24lake__removed="")
        if before is not None and note(before, UNDECLARED) and not note(after, UNDECLARED):
            columns[before.name.casefold()] = with_notes(columns[before.name.casefold()], b24lake__undeclared="")
        filled |= {target.name.casefold(), after.name.casefold()}
        renames |= {after.name: target.name} if target.name != after.name else {}
    for name in columns.keys() - filled:
        if not note(columns[name], SPLIT_FROM):
            changes += _removal(columns[name])
            columns[name] = _left(columns[name])
    return Evolution(ordered(columns.values()), tuple(changes), renames, refresh)


def _home(before: pa.Field, after: pa.Field, columns: Mapping[str, pa.Field]) -> pa.Field:
    """The column that takes the values of `after`: the old one where they fit into it, else one beside it."""
    if castable(after.type, before.type):
        return before
    stem = f"{before.name}__{base_name(after.type).upper()}"
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}_{number}"
        beside = columns.get(name.casefold())
        if beside is None:
            return with_notes(pa.field(name, after.type, metadata=after.metadata), b24lake__split_from=before.name)
        if beside.type == after.type and note(beside, SPLIT_FROM) == before.name:
            return beside
        number += 1

"""What a table should be after a run, worked out from the rules alone: plain dictionaries, one row after another.

It shares no code with what it judges. A table here is its columns and its rows; a read is what the portal has, typed
by `expected`. The rules are those of full reads (`full`), of merges (`merge`) and of columns whose fields change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
from values_between_types import FITS, SUFFIX, arrow_type, recast

SYNCED_AT, MISFITS, DELETED_AT = "_synced_at", "_misfits", "_deleted_at"
STAMP, NOTES = pa.timestamp("us", "UTC"), pa.map_(pa.string(), pa.string())
OURS: Mapping[str, pa.DataType] = {SYNCED_AT: STAMP, MISFITS: NOTES}

Key = int | str
Row = dict[str, Any]  # column -> value; what is null is not there
Rows = dict[Key, Row]
Told = set[tuple[str, str]]  # (what happened, to which column)


class TooManyGoneError(Exception):
    """A full read that would take away more than is believable."""


@dataclass(frozen=True)
class Read:
    """What the portal has of a stream at one moment.

    kinds   code of a field -> its declared type, lists as "string[]", in the portal's order, that of the key first
    rows    by key: code -> typed value, what is null is not there
    more    by key: codes of the row that no descriptor names
    owners  of children: the records that they belong to, each with the moment at which it last moved
    """

    key: str
    kinds: Mapping[str, str]
    rows: Rows
    more: Mapping[Key, frozenset[str]]
    owners: Mapping[Key, datetime] = field(default_factory=dict)

    @property
    def loose(self) -> list[str]:
        """Codes that came with some row, undeclared."""
        return sorted(frozenset[str]().union(*(self.more[key] for key in self.rows)))

    @property
    def types(self) -> dict[str, pa.DataType]:
        """Code -> type of its column, as far as this read tells."""
        declared = {code: arrow_type(kind, code) for code, kind in self.kinds.items()}
        return declared | dict.fromkeys(self.loose, pa.string())

    def only(self, keys: Collection[Key]) -> Read:
        """The same, of some rows; what only the others would have brought is not seen."""
        return replace(self, rows={key: row for key, row in self.rows.items() if key in keys})


@dataclass(frozen=True)
class Table:
    """A table and its bookmark.

    columns   with their types, those that b24lake adds included
    codes     column -> the code of its field; none for those that b24lake adds, side columns among them
    sides     side column -> the column whose new type it holds
    left      columns whose field the portal no longer has
    loose     columns that came with rows, undeclared
    asked     everything that was asked for, as it was for the last commit with a bookmark; `since` is that bookmark
    """

    columns: Mapping[str, pa.DataType]
    codes: Mapping[str, str]
    rows: Rows
    sides: Mapping[str, str] = field(default_factory=dict)
    left: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()
    asked: object = None
    since: Any = None


@dataclass(frozen=True)
class Result:
    """What a run makes of a table.

    table     afterwards
    written   whether there is a new version
    told      what happened to columns
    altered   a merge: the table with its new columns, before the rows come; None = columns stay
    """

    table: Table
    written: bool
    inserted: int
    updated: int | None
    deleted: int
    told: Told = field(default_factory=set)
    altered: Table | None = None


@dataclass(frozen=True)
class Run:
    """What a run is told: when it began, what it asks for, the bookmark it would write, and about deleted rows."""

    at: datetime
    asked: object
    mark: Any
    policy: str = "remove"
    accept: bool = False


def names_of(table: Table | None, read: Read) -> dict[str, str]:
    """Field -> column: a field keeps its column for good, and names that differ only in case are the same name."""
    columns = table.columns if table else OURS
    home = {code: column for column, code in (table.codes if table else {}).items()}
    taken = {name.casefold() for name in (*columns, SYNCED_AT, MISFITS, DELETED_AT)}
    names = {}
    for code in read.types:
        tries = [home[code]] if code in home else [code, *(f"{code}__{number}" for number in range(2, 99))]
        names[code] = tries[0] if code in home else next(name for name in tries if name.casefold() not in taken)
        taken.add(names[code].casefold())
    return names


# --- full reads -------------------------------------------------------------------------------------------------------


def full(table: Table | None, read: Read, run: Run) -> Result:
    """All rows of the portal take the place of all rows of the table, but for those that the policy carries over.

    Raises TooManyGoneError where the guard stops it.
    """
    names = names_of(table, read)
    types = {names[code]: kind for code, kind in read.types.items()}
    fresh = {key: {names[code]: value for code, value in row.items()} for key, row in read.rows.items()}
    if table is None:
        rows = {key: {**row, SYNCED_AT: run.at} for key, row in fresh.items()}
        made = Table({**types, **OURS}, {name: code for code, name in names.items()}, rows)
        made = replace(made, loose=frozenset(names[code] for code in read.loose))
        return Result(_bookmarked(made, run), True, len(rows), None, 0)
    live = {key for key, row in table.rows.items() if DELETED_AT not in row}
    gone = live - fresh.keys()
    _guard(len(gone), len(live), run)
    after, told = _columns_replaced(table, types, names, read, run)
    new_types = {name: kind for name, kind in types.items() if table.columns.get(name, kind) != kind}
    before = {key: _in_types(row, new_types) for key, row in table.rows.items()}
    same = {key for key, row in fresh.items() if key in before and _bare(before[key]) == _bare(row)}
    rows = {key: {**row, SYNCED_AT: before[key][SYNCED_AT] if key in same else run.at} for key, row in fresh.items()}
    if run.policy != "remove":
        kinds = {**table.columns, **types}
        moved = {key: _without_sides(row, table.sides, kinds) for key, row in before.items() if key not in fresh}
        rows |= {key: _carried(row, run) for key, row in moved.items()}
    changed = rows != table.rows or after.columns != table.columns or bool(told)
    unmarked = run.mark is not None and (table.asked != run.asked or (not table.since and table.since != run.mark))
    written = changed or unmarked
    after = replace(after, rows=rows)
    return Result(
        _bookmarked(after, run) if written else table,
        written,
        len(fresh.keys() - live),
        len(live & fresh.keys() - same),
        0 if run.policy == "keep" else len(gone),
        told,
    )


def _guard(gone: int, live: int, run: Run) -> None:
    many = live > 1000 and gone > live / 2
    everything = live > 20 and gone == live
    if run.policy != "keep" and not run.accept and (many or everything):
        raise TooManyGoneError


def _carried(row: Row, run: Run) -> Row:
    if run.policy == "mark" and DELETED_AT not in row:
        return row | {DELETED_AT: run.at, SYNCED_AT: run.at}
    return row


def _in_types(row: Row, types: Mapping[str, pa.DataType]) -> Row:
    """An old row in the new types of its columns; what does not fit is noted."""
    cast = {name: recast(row[name], kind) for name, kind in types.items() if name in row}
    misfits = {name: text for name, (_, text) in cast.items() if text is not None}
    values = {name: value for name, (value, _) in cast.items() if value is not None}
    kept = {name: value for name, value in row.items() if name not in cast}
    return {**kept, **values, **({MISFITS: {**row.get(MISFITS, {}), **misfits}} if misfits else {})}


def _without_sides(row: Row, sides: Mapping[str, str], types: Mapping[str, pa.DataType]) -> Row:
    """A row that nobody reads again: what stood in a side column stands in the column beside which that was."""
    moved = {name: row[side] for side, name in sides.items() if side in row}
    kept = {name: value for name, value in row.items() if name not in sides}
    return _in_types(kept | moved, {name: types[name] for name in moved})


def _bare(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != SYNCED_AT}


def _columns_replaced(
    table: Table, types: Mapping[str, pa.DataType], names: Mapping[str, str], read: Read, run: Run
) -> tuple[Table, Told]:
    """The columns after a full read: new types everywhere, side columns gone; those that nobody fills stay."""
    told: Told = {("dropped", name) for name in table.sides}
    kept = {name: kind for name, kind in table.columns.items() if name not in table.sides}
    told |= {("added", name) for name in types if name not in kept}
    told |= {("retyped", name) for name in types if name in kept and kept[name] != types[name]}
    told |= {("returned", name) for name in types if name in table.left}
    missing = {name for name in kept if name in table.codes and name not in types and name not in table.loose}
    told |= {("removed", name) for name in missing - table.left}
    if run.policy == "mark" and DELETED_AT not in kept:
        kept[DELETED_AT] = STAMP
        told.add(("added", DELETED_AT))
    codes = {**table.codes, **{name: code for code, name in names.items()}}
    loose = (table.loose - types.keys()) | {names[code] for code in read.loose}
    return Table({**kept, **types}, codes, {}, {}, frozenset(missing), frozenset(loose), table.asked, table.since), told


def _bookmarked(table: Table, run: Run) -> Table:
    return table if run.mark is None else replace(table, asked=run.asked, since=run.mark)


# --- merges -----------------------------------------------------------------------------------------------------------


def merge(table: Table, read: Read, run: Run, going: Collection[Key] = ()) -> Result:
    """The rows of `read` come in by their keys; of records read as a whole, the rows `going` did not come again."""
    names = names_of(table, read)
    altered, homes, told, refresh = _columns_extended(table, read, names, run, marking=bool(going))
    rows, inserted, updated = dict(altered.rows), 0, 0
    other = [code for code, type_ in read.types.items() if altered.columns[homes[code]] != type_]
    for key, row in read.rows.items():
        fresh = {homes[code]: value for code, value in row.items()} | {
            homes[code]: recast(row[code], altered.columns[homes[code]])[0] for code in other if code in row
        }
        before = rows.get(key)
        if before is None or _bare(before) != fresh:
            rows[key] = {**fresh, SYNCED_AT: run.at}
            inserted, updated = inserted + (before is None), updated + (before is not None)
    for key in going:
        if run.policy == "mark":
            rows[key] = {**rows[key], DELETED_AT: run.at, SYNCED_AT: run.at}
        else:
            del rows[key]
    moved = inserted + updated + len(going) > 0
    after = replace(altered, rows=rows)
    if moved or refresh:
        after = _bookmarked(after, replace(run, mark=0) if refresh else run)
    written = moved or bool(told) or refresh or altered.loose != table.loose
    return Result(after, written, inserted, updated, len(going), told, altered if told else None)


def _columns_extended(
    table: Table, read: Read, names: Mapping[str, str], run: Run, *, marking: bool
) -> tuple[Table, dict[str, str], Told, bool]:
    """The columns for a merge: no old one changes its type. Also: field -> column, changes, and is all to be read."""
    columns, sides, told, refresh = dict(table.columns), dict(table.sides), set[tuple[str, str]](), False
    codes, homes = dict(table.codes), {}
    for code, type_ in read.types.items():
        name = names[code]
        homes[code] = home = _home(name, type_, columns, sides)
        refresh = refresh or (name in columns and columns[name] != type_)
        if home not in columns:
            told.add(("split" if home != name else "added", home))
            sides |= {home: name} if home != name else {}
            columns[home] = type_
        elif home in table.left:
            told.add(("returned", home))
        codes |= {name: code}
    filled = {*names.values(), *homes.values()}
    left = (table.left - set(homes.values())) | {
        name for name in table.codes if name not in filled and name not in table.loose
    }
    told |= {("removed", name) for name in left - table.left}
    if marking and run.policy == "mark" and DELETED_AT not in columns:
        columns[DELETED_AT] = STAMP
        told.add(("added", DELETED_AT))
    loose = (table.loose - filled) | {homes[code] for code in read.loose}
    after = Table(columns, codes, table.rows, sides, frozenset(left), frozenset(loose), table.asked, table.since)
    return (_bookmarked(after, replace(run, mark=0)) if refresh else after), homes, told, refresh


def _home(name: str, type_: pa.DataType, columns: Mapping[str, pa.DataType], sides: Mapping[str, str]) -> str:
    """The column that takes a field's values: its own one where they fit into it, else one beside it."""
    if name not in columns or columns[name] == type_ or (type_, columns[name]) in FITS:
        return name
    stem = f"{name}__{SUFFIX[str(type_)]}"
    for beside in [stem, *(f"{stem}_{number}" for number in range(2, 99))]:
        if beside not in columns or (sides.get(beside), columns[beside]) == (name, type_):
            return beside
    raise AssertionError("there is always a free name")

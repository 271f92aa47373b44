"""The user's own tables as agents need to know them: columns with labels, choices, and what refers to what."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path

import pyarrow as pa

from b24lake.errors import B24LakeError
from b24lake.lake import readable
from b24lake.lake.catalog import ColumnInfo, opened, table_folders
from b24lake.lake.columns import comment, literal, quoted, type_name
from b24lake.lake.files import storage_errors
from b24lake.lake.log import LOG
from b24lake.lake.place import Place, at_once
from b24lake.lake.reach import Reach, sql_name
from b24lake.lake.readable import Described, Reference, usable
from b24lake.lake.table import key_of, state_of
from b24lake.lake.versions import newest

FEW = 60
"""Up to so many tables there is room for the choices of their columns."""
CHOICES, STAGES = 12, 60
"""How many choices of a column are worth being listed, and how many of a directory: stages of all funnels, say."""
STATUSES = "status_list"
ROWS = 20_000
"""Rows of a table of choices that are looked at."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True)
class Join:
    """`column` of a table holds the key of the rows of `other`; `on` is the condition, for the aliases t and o."""

    table: str
    column: str
    other: str
    on: str

    @property
    def sql(self) -> str:
        """What comes behind FROM."""
        return f"{sql_of(self.table)} AS t JOIN {sql_of(self.other)} AS o ON {self.on}"


@dataclass(frozen=True)
class Table:
    """A table, as of its newest version.

    choices   column -> (value, label) of those that are few
    labels    columns that the readable view adds; () = there is no view
    error     why it cannot be read; the rest is empty then
    """

    name: str
    portal: str = ""
    stream: str = ""
    description: str = ""
    rows: int | None = None
    version: int | None = None
    at: datetime | None = None
    key: str = ""
    columns: tuple[ColumnInfo, ...] = ()
    labels: tuple[str, ...] = ()
    choices: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    error: str = ""
    described: Described | None = field(default=None, repr=False)


Streams = Mapping[tuple[str, str], Sequence[Table]]
"""Portal and stream -> the tables that hold it."""


def tables(reach: Reach) -> list[Table]:
    """The tables that may be read, by name, without their choices. Raises UsageError where the lake is a file."""
    folders = [each for each in table_folders(reach.lake) if reach.allows(sql_name(each))]
    return sorted(at_once(reach.lake, _table, folders), key=lambda one: one.name)


def told(reach: Reach) -> list[Table]:
    """The tables that may be read, as the skills file tells of them: with choices of columns where there is room."""
    found = tables(reach)
    return found if len(found) > FEW else with_choices(reach.lake, found)


def with_choices(lake: Place, found: Sequence[Table], of: Sequence[Table] | None = None) -> list[Table]:
    """The tables with the choices of their columns, as far as the tables that know these are among them.

    of   only these; None = all
    """
    known = _Choices(lake, by_stream(found))
    return [replace(one, choices=known.of(one)) for one in (found if of is None else of)]


def joins(found: Sequence[Table], of: Sequence[Table] | None = None) -> Iterator[Join]:
    """Every way from one of these tables to another one, by what their columns refer to; `of`: from these only."""
    among = by_stream(found)
    for one in found if of is None else of:
        for column, references in (one.described.refers if one.described else {}).items():
            for reference in references:
                other = _near(among, one, reference.stream)
                if other is not None and not reference.items and reference.stream != STATUSES:
                    yield from _join(one, column, reference, other)


def by_stream(found: Sequence[Table]) -> Streams:
    """The tables of each portal's streams."""
    among: dict[tuple[str, str], list[Table]] = defaultdict(list)
    for one in found:
        among[one.portal, one.stream].append(one)
    return among


def is_choice(one: Table, column: str) -> bool:
    """Whether a column holds one of some choices, which are few beside its rows."""
    references = one.described.refers.get(column, ()) if one.described else ()
    return any(reference.items or reference.stream == STATUSES for reference in references)


def sql_of(name: str) -> str:
    """`layer.table` as SQL takes it."""
    return ".".join(map(column_of, name.split(".", 1)))


def column_of(name: str) -> str:
    """A name as SQL takes it: in quotes where it holds other signs, or is one of SQL's own words.

    >>> column_of("STAGE_ID"), column_of("ORDER"), column_of("Sum, total")
    ('STAGE_ID', '"ORDER"', '"Sum, total"')
    """
    return name if _PLAIN.fullmatch(name) and name.upper() not in _words() else quoted(name)


@cache
def _words() -> frozenset[str]:
    """Words that mean something to one engine or another: `SORT` of `SORT BY` is one of them."""
    from sqlglot.dialects import DuckDB, Hive, Postgres

    keywords = (*DuckDB.Tokenizer.KEYWORDS, *Hive.Tokenizer.KEYWORDS, *Postgres.Tokenizer.KEYWORDS)
    return frozenset(word for each in keywords for word in each.split())


# --- one table --------------------------------------------------------------------------------------------------------


def _table(path: Place) -> Table:
    try:
        stamp = _stamp(path)
        return _read(path) if stamp is None else _known(path, stamp)
    except Exception as error:  # noqa: BLE001  whatever is wrong with one table, the others are told of
        return Table(sql_name(path), error=str(error))


def _stamp(path: Place) -> tuple[int, int] | None:
    """What is another one after each commit; None in an object store, where it takes as long as reading the log."""
    log = path / LOG
    return (log.stat().st_mtime_ns, sum(1 for _ in log.iterdir())) if isinstance(log, Path) else None


@lru_cache(maxsize=2_000)
def _known(path: Place, _stamp: tuple[int, int]) -> Table:
    """A table whose log has not changed since it was read: hundreds of wide ones take seconds."""
    return _read(path)


def _read(path: Place) -> Table:
    table = opened(path)
    with storage_errors(path):
        state, last = state_of(path, table), newest(path, table)
        described = readable.described(path.parent.name, path.name, state.schema, state.properties)
        columns = (ColumnInfo(one.name, type_name(one.type), comment(one), one.nullable) for one in state.schema)
        return Table(
            sql_name(path),
            portal=state.owner.portal,
            stream=state.owner.stream,
            description=table.metadata().description or "",
            rows=state.rows,
            version=state.version,
            at=last.at if last else None,
            key=key_of(table) or "",
            columns=tuple(columns),
            labels=tuple(each.name for each in readable.extras(described)),
            described=described,
        )


def _near(among: Streams, one: Table, stream: str) -> Table | None:
    """The table of a stream of the same portal: of the same layer and prefix, where there are several."""
    stem = one.name.removesuffix(one.stream)
    fitting = among.get((one.portal, stream), ())
    return min(fitting, key=lambda each: (not each.name.startswith(stem), each.name), default=None)


def _join(one: Table, column: str, reference: Reference, other: Table) -> Iterator[Join]:
    assert one.described
    if other.described is None or not usable(reference, one.described, other.described):
        return
    if column not in one.described.schema.names:
        return
    kind, key = one.described.schema.field(column).type, other.described.schema.field(reference.key).type
    many = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    mine, theirs = f"t.{column_of(column)}", f"o.{column_of(reference.key)}"
    if (kind.value_type if many else kind) != key:
        theirs = f"CAST({theirs} AS {'BIGINT' if pa.types.is_integer(kind) else 'VARCHAR'})"
    on = f"array_has({mine}, {theirs})" if many else f"{theirs} = {mine}"
    on += "".join(f" AND CAST(t.{column_of(name)} AS VARCHAR) = {literal(value)}" for name, value in reference.when)
    yield Join(one.name, column, other.name, on)


# --- choices ----------------------------------------------------------------------------------------------------------


@dataclass
class _Choices:
    """Looks choices up; each table that knows some is read once."""

    lake: Place
    among: Streams
    _read: dict[tuple[str, str], dict[str, list[tuple[str, str]]]] = field(default_factory=dict)

    def of(self, one: Table) -> dict[str, tuple[tuple[str, str], ...]]:
        """Column -> its choices, where they are few."""
        found = {}
        for column, references in (one.described.refers if one.described else {}).items():
            choices = [each for reference in references for each in self._of(one, reference)]
            most = STAGES if any(reference.stream == STATUSES for reference in references) else CHOICES
            if 0 < len(choices) <= most:
                found[column] = tuple(choices)
        return found

    def _of(self, one: Table, reference: Reference) -> list[tuple[str, str]]:
        if not (reference.items or reference.stream == STATUSES) or len(reference.where) != 1:
            return []
        other = _near(self.among, one, reference.stream)
        if other is None or other.error:
            return []
        which, wanted = reference.where[0]
        known = self._known(other, which, reference)
        lists = [known.get(wanted, [])]
        if reference.family:
            lists += [rows for name, rows in known.items() if re.fullmatch(rf"{re.escape(wanted)}_\d+", name)]
        return [each for rows in lists for each in rows]

    def _known(self, other: Table, which: str, reference: Reference) -> dict[str, list[tuple[str, str]]]:
        """What stands in a table of choices: directory or field -> (value, label)."""
        held = (other.name, reference.items or which)
        if held not in self._read:
            try:
                self._read[held] = _choices_in(self.lake, other.name, which, reference)
            except B24LakeError:  # its files are gone, or it is not what it was: then nothing is listed
                self._read[held] = {}
        return self._read[held]


def _choices_in(lake: Place, name: str, which: str, reference: Reference) -> dict[str, list[tuple[str, str]]]:
    from b24lake.lake.query import query

    wanted = [which, reference.items] if reference.items else [which, reference.key, *reference.label]
    columns = ", ".join(map(column_of, wanted))
    rows = query(lake, f"SELECT {columns} FROM {sql_of(name)}", limit=ROWS).to_pylist()  # noqa: S608
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        items = (row[reference.items] or ()) if reference.items else (row,)
        for item in items:
            label = " ".join(str(item[part]) for part in reference.label if item.get(part))
            if item.get(reference.key) is not None:
                found[str(row[which])].append((str(item[reference.key]), label))
    return dict(found)

"""Joins of two tables as SQL for people to read, run and change (pure).

What a column refers to stands in its table's properties (`readable`), and beside that

    b24lake.links    {"UF_CRM_1687188367": {"deals": "D_", "companies": "CO_"}}

for columns whose text holds records of one or several streams: `D_12` is the deal 12. Where one stream is all there
can be, the text may be the bare id as well.
"""

# ruff: noqa: S608  every name and text in this SQL is quoted where it has to be

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from b24lake.lake.columns import base_name, literal
from b24lake.lake.naming import name, table_name
from b24lake.lake.readable import Described, Reference, dumped, loaded

LINKS = "b24lake.links"
"""The table property, as JSON: column -> stream -> what stands before the ids of its records."""
_CHOICES = "choices"
PLAIN_KEYS: tuple[Callable[[pa.DataType], bool], ...] = (pa.types.is_string, pa.types.is_integer)
"""Tell whether values of a type can be keys, or refer to them."""


@dataclass(frozen=True)
class Side:
    """One of two tables: what SQL calls it, and the columns that say which row it is."""

    table: Described
    alias: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Join:
    """The rows of `of`, each with the row of `to` that its `column` refers to.

    prefix   what stands before the other row's key in the column; `alone`: it may be missing there
    """

    of: Side
    column: str
    to: Side
    reference: Reference
    prefix: str = ""
    alone: bool = False

    @property
    def many(self) -> bool:
        """Whether the column is a list: the result has a row for each of its entries."""
        return base_name(self._kind) == "array"

    @property
    def _kind(self) -> pa.DataType:
        return self.of.table.schema.field(self.column).type

    @property
    def _item(self) -> pa.DataType:
        return self._kind.value_type if self.many else self._kind

    def sql(self) -> str:
        """One SELECT. Rows that refer to nothing are there as well, empty lists are not."""
        return "\n".join(["SELECT", *self._columns(), f"FROM {self._from()}", *self._joined()])

    def behind_from(self) -> str:
        """The two tables joined, in a line: what stands behind FROM where somebody chooses the columns."""
        return " ".join(" ".join(each.split("\n")).strip() for each in (self._from(), *self._joined()))

    @property
    def _left(self) -> str:
        return name(self.of.alias)

    @property
    def _right(self) -> str:
        if self.reference.items:
            return _CHOICES if self.of.alias != _CHOICES else f"{_CHOICES}_2"
        return name(self.to.alias if self.to.alias != self.of.alias else f"{self.to.alias}_2")

    def _columns(self) -> list[str]:
        """What identifies a row, the column, and what to call the other row."""
        own = dict.fromkeys((*self.of.shown, *self._conditions(), self.column))
        taken = {each.casefold() for each in own}
        stem = self._right.strip('"')
        others = self.reference.label or (self.reference.key,)
        columns = [
            *(f"  {self._left}.{name(each)}" for each in own),
            *(f"  {self._right}.{name(each)} AS {name(_free(f'{stem}_{each}', taken))}" for each in others),
        ]
        return [f"{each}," for each in columns[:-1]] + columns[-1:]

    def _from(self) -> str:
        if not self.many:
            return f"{full_name(self.of.table)} AS {self._left}"
        kept = [name(each) for each in dict.fromkeys((*self.of.shown, *self._conditions())) if each != self.column]
        entries = f"unnest({name(self.column)}) AS {name(self.column)}"
        return f"(SELECT {', '.join([*kept, entries])} FROM {full_name(self.of.table)}) AS {self._left}"

    def _joined(self) -> Iterator[str]:
        yield f"LEFT JOIN {self._source()} AS {self._right}"
        yield f"  ON {self._equal()}"
        for column, value in self._conditions().items():
            yield f"  AND {self._left}.{name(column)} = {self._literal(column, value)}"
        if not self.reference.items:
            yield from (f"  AND {self._where(column, value)}" for column, value in self.reference.where)

    def _source(self) -> str:
        """The other table, or the choices in one of its rows."""
        found = self.reference
        if not found.items:
            return full_name(self.to.table)
        parts = ", ".join(f"item[{literal(part)}] AS {name(part)}" for part in (found.key, *found.label))
        where = " AND ".join(f"{name(column)} = {literal(value)}" for column, value in found.where)
        items = f"SELECT unnest({name(found.items)}) AS item FROM {full_name(self.to.table)} WHERE {where}"
        return f"(\n  SELECT {parts}\n  FROM ({items}) AS lists\n)"

    def _equal(self) -> str:
        """The other row's key is what the column holds: as a value of its type."""
        key, column = f"{self._right}.{name(self.reference.key)}", f"{self._left}.{name(self.column)}"
        if self.prefix:
            text = f"CAST({key} AS VARCHAR)"
            if self.alone:
                return f"{text} = replace({column}, {literal(self.prefix)}, '')"
            return f"concat({literal(self.prefix)}, {text}) = {column}"
        wanted = "BIGINT" if pa.types.is_integer(self._item) else "VARCHAR"
        return f"{key if self._alike() else f'TRY_CAST({key} AS {wanted})'} = {column}"

    def _alike(self) -> bool:
        """Whether key and column are both text, or both whole numbers."""
        key = pa.string() if self.reference.items else self.to.table.schema.field(self.reference.key).type
        return any(matches(key) and matches(self._item) for matches in PLAIN_KEYS)

    def _conditions(self) -> Mapping[str, str]:
        """The columns on which it depends what the column refers to, with the value that says so."""
        return dict(self.reference.when)

    def _literal(self, column: str, value: str) -> str:
        number = pa.types.is_integer(self.of.table.schema.field(column).type) and value.isdecimal()
        return value if number else literal(value)

    def _where(self, column: str, value: str) -> str:
        held = f"{self._right}.{name(column)}"
        if not self.reference.family:
            return f"{held} = {literal(value)}"
        begins = f"{value}_"
        return f"({held} = {literal(value)} OR substr({held}, 1, {len(begins)}) = {literal(begins)})"


def full_name(table: Described) -> str:
    """The table with its layer, as SQL takes it."""
    return table_name(f"{table.layer}.{table.name}")


def as_properties(links: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The links as a table property; "" where there are none."""
    return {LINKS: dumped({column: dict(streams) for column, streams in links.items() if streams})}


def links_of(properties: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    """What a table's property says; what it says in another form than ours is nothing."""
    told = loaded(properties.get(LINKS), dict)
    return {
        str(column): {str(stream): str(prefix) for stream, prefix in streams.items()}
        for column, streams in told.items()
        if isinstance(streams, dict)
    }


def _free(wanted: str, taken: set[str]) -> str:
    while wanted.casefold() in taken:
        wanted += "_2"
    taken.add(wanted.casefold())
    return wanted

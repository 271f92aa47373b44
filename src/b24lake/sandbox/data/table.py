"""A table of the portal: ids are kept, rows are made on demand, changes are laid over them."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from b24lake.sandbox.data.columns import Column, Row

Make = Callable[[int], Row]


@dataclass(frozen=True)
class Part:
    """Some columns of a row: computed from the id, or one of a few ready variants chosen by the id."""

    names: tuple[str, ...]
    make: Make
    variants: Sequence[Row] = ()

    def row(self, id_: int) -> Row:
        """The part's share of row `id_`. Not to be changed: variants are shared."""
        return self.variants[id_ % len(self.variants)] if self.variants else self.make(id_)


def pooled(names: Sequence[str], variants: Sequence[Row]) -> Part:
    """A part whose values repeat: row `id` has variant id modulo their number."""
    return Part(tuple(names), lambda id_: variants[id_ % len(variants)], variants)


def _without(part: Part, name: str) -> Part:
    """A part of custom fields that has lost one."""
    names = [each for each in part.names if each != name]
    return pooled(names, [{key: row[key] for key in row if key != name} for row in part.variants])


class Table:
    """Rows of one kind.

    ids       sorted ids of the rows that exist
    changes   id -> values laid over the generated ones
    journal   ids created, changed or deleted since the start, in that order: lists keep their matches by it
    shape     grows when columns change: renderers are thrown away by it
    hidden    what is sent in place of kept values, for all rows alike
    raw       quick getters for the columns that lists often filter by, e.g. DATE_MODIFY as unix seconds
    """

    def __init__(
        self,
        name: str,
        columns: Sequence[Column],
        ids: "array[int]",
        parts: Sequence[Part],
        *,
        key: str = "ID",
        stamps: tuple[str, ...] = (),
        born: tuple[str, ...] = (),
        entity_type: int = 0,
        hidden: Row | None = None,
        raw: dict[str, Callable[[int], int]] | None = None,
        user_entity: str = "",
    ) -> None:
        self.name, self.key, self.ids, self.parts = name, key, ids, list(parts)
        self.columns = {column.name: column for column in columns}
        self.stamps, self.born, self.entity_type, self.hidden = stamps, born, entity_type, hidden or {}
        self.raw, self.user_entity = raw or {}, user_entity
        self.changes: dict[int, Row] = {}
        self.journal: list[int] = []
        self.last = ids[-1] if ids else 0
        self.shape = 0
        self._home: dict[str, Part] = {}
        self._reshape()

    def __contains__(self, id_: int) -> bool:
        at = bisect_left(self.ids, id_)
        return at < len(self.ids) and self.ids[at] == id_

    def row(self, id_: int) -> Row:
        """The whole row, with changes, as the classic lists would send it; columns never sent are left out."""
        row: Row = {}
        for part in self.parts:
            row.update(part.row(id_))
        if id_ in self.changes:
            row.update(self.changes[id_])
            row.update(self.hidden)
        return row

    def rows(self) -> Iterator[Row]:
        """All rows in id order."""
        return (self.row(id_) for id_ in self.ids)

    def value(self, id_: int, column: str) -> Any:
        """One value; None where the row lacks the key."""
        changed = self.changes.get(id_)
        if changed is not None and column in changed:
            return changed[column]
        part = self._home.get(column)
        return part.row(id_).get(column) if part else None

    def getter(self, column: str) -> Callable[[int], Any]:
        """A function id -> value, for scans."""
        return lambda id_: self.value(id_, column)

    def create(self, fields: Row, moment: str) -> int:
        """Add a row with the next id; what is not given is generated. `moment` goes to its dates."""
        self.last += 1
        self.ids.append(self.last)
        self._lay(self.last, {**dict.fromkeys(self.born + self.stamps, moment), **self._typed(fields)})
        return self.last

    def change(self, id_: int, fields: Row, moment: str) -> None:
        """Lay `fields` over a row and set its modification date."""
        self._known(id_)
        self._lay(id_, {**dict.fromkeys(self.stamps, moment), **self._typed(fields)})

    def touch(self, id_: int, columns: tuple[str, ...], moment: str) -> None:
        """Set some dates of a row."""
        self._known(id_)
        self._lay(id_, dict.fromkeys(columns, moment))

    def delete(self, id_: int) -> None:
        """Remove a row for good."""
        self._known(id_)
        self.ids.pop(bisect_left(self.ids, id_))
        self.changes.pop(id_, None)
        self.journal.append(id_)

    def set_column(self, column: Column, part: Part) -> None:
        """Add a custom field or put another in its place, with generated values."""
        if column.name in self.columns:
            self.drop_column(column.name)
        self.columns[column.name] = self._called_apart(column)
        self.parts.append(part)
        self._reshape()

    def keeps(self, column: Column) -> bool:
        """Whether a column of this name, type and multiplicity is there already."""
        known = self.columns.get(column.name)
        return known is not None and (known.type, known.multiple) == (column.type, column.multiple)

    def describe_column(self, column: Column) -> None:
        """Give a column another label or other options; its values stay."""
        self.columns[column.name] = self._called_apart(column)
        self.shape += 1

    def _called_apart(self, column: Column) -> Column:
        """A custom field whose name in crm.item.* another one has keeps its upper name there (universal/index.md)."""
        others = {other.item for other in self.columns.values() if other.name != column.name}
        return replace(column, item=column.name) if column.item in others else column

    def drop_column(self, name: str) -> None:
        """Remove a custom field; its values are gone."""
        if name not in self.columns or not self.columns[name].dynamic:
            raise ValueError(f"{self.name} has no custom field {name}")
        del self.columns[name]
        self.parts = [_without(part, name) if name in part.names else part for part in self.parts]
        self.parts = [part for part in self.parts if part.names]
        for values in self.changes.values():
            values.pop(name, None)
        self._reshape()

    def _reshape(self) -> None:
        """Note which part makes which column, after the columns have changed."""
        self.shape += 1
        self._home = {name: part for part in self.parts for name in part.names}

    def _lay(self, id_: int, fields: Row) -> None:
        self.changes[id_] = self.changes.get(id_, {}) | fields
        self.journal.append(id_)

    def _known(self, id_: int) -> None:
        if id_ not in self:
            raise ValueError(f"{self.name} has no row {id_}")

    def _typed(self, fields: Row) -> Row:
        """Given values in the table's own convention: most tables keep numbers as strings."""
        unknown = [name for name in fields if name not in self.columns or name == self.key]
        if unknown:
            raise ValueError(f"{self.name}: cannot set {', '.join(unknown)}")
        sample = self.parts[0].row(self.last or 1).get(self.key)
        if not isinstance(sample, str):
            return dict(fields)
        return {name: str(v) if type(v) in (int, float) else v for name, v in fields.items()}

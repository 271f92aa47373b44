"""The user's own tables as agents need to know them: columns with labels, choices, and what refers to what."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from b24lake.errors import B24LakeError
from b24lake.lake import readable
from b24lake.lake.catalog import TableInfo
from b24lake.lake.index import WHOLE, Index, Indexed
from b24lake.lake.joins import full_name
from b24lake.lake.naming import name
from b24lake.lake.place import Place
from b24lake.lake.reach import Reach
from b24lake.lake.readable import Described, Reference
from b24lake.sync import data_model
from b24lake.sync.data_model import Edge, Model

FEW = 60
"""Up to so many tables there is room for the choices of their columns."""
CHOICES, STAGES = 12, 60
"""How many choices of a column are worth being listed, and how many of a directory: stages of all funnels, say."""
STATUSES = "status_list"
ROWS = 20_000
"""Rows of a table of choices that are looked at."""


@dataclass(frozen=True)
class Table:
    """A table with what its columns may hold.

    choices   column -> (value, label) of those that are few
    """

    indexed: Indexed
    choices: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    @property
    def info(self) -> TableInfo:
        """Its line in the catalog."""
        return self.indexed.info

    @property
    def name(self) -> str:
        """As people call it: `layer.table`."""
        return self.info.sql_name

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The columns that the readable view adds; () = there is no view."""
        told = self.indexed.described
        return tuple(each.name for each in readable.extras(told)) if told else ()


def tables(index: Index, reach: Reach) -> list[Table]:
    """The tables that may be read, by name, without their choices. Raises UsageError where the lake is a file."""
    return [Table(each) for each in index.look(patience=WHOLE).tables if reach.allows(each.info.sql_name)]


def told(index: Index, reach: Reach) -> list[Table]:
    """The tables that may be read, as the skills file tells of them: with choices of columns where there is room."""
    found = tables(index, reach)
    return found if len(found) > FEW else with_choices(index.lake, found)


def with_choices(lake: Place, found: Sequence[Table], of: Sequence[Table] | None = None) -> list[Table]:
    """The tables with the choices of their columns, as far as the tables that know these are among them.

    of   only these; None = all
    """
    known = _Choices(lake, _model(found))
    return [replace(one, choices=known.of(one)) for one in (found if of is None else of)]


def joins(found: Sequence[Table], of: Table | None = None) -> Iterator[str]:
    """Every way from one of these tables to another one, as SQL behind FROM; `of`: from this one only.

    Choices are left out: readable views have their labels.
    """
    model = _model(found)
    for edge in model.edges if of is None else model.from_table(of.name):
        if edge.join and not _tells_choices(edge.to.stream, edge.join.reference):
            yield edge.join.behind_from()


def is_choice(one: Table, column: str) -> bool:
    """Whether a column holds one of some choices, which are few beside its rows."""
    references = one.indexed.described.refers.get(column, ()) if one.indexed.described else ()
    return any(_tells_choices(reference.stream, reference) for reference in references)


def _tells_choices(stream: str, reference: Reference) -> bool:
    return bool(reference.items) or stream == STATUSES


def _model(found: Sequence[Table]) -> Model:
    return data_model.of_tables(tuple(one.indexed for one in found))


# --- choices ----------------------------------------------------------------------------------------------------------


@dataclass
class _Choices:
    """Looks choices up; each table that knows some is read once."""

    lake: Place
    model: Model
    _read: dict[tuple[str, str], dict[str, list[tuple[str, str]]]] = field(default_factory=dict)

    def of(self, one: Table) -> dict[str, tuple[tuple[str, str], ...]]:
        """Column -> its choices, where they are few."""
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        many: set[str] = set()  # columns that hold entries of directories
        for edge in self.model.from_table(one.name):
            if edge.join and _tells_choices(edge.to.stream, edge.join.reference):
                found[edge.column] += self._of(edge, edge.join.reference)
                many |= {edge.column} if edge.to.stream == STATUSES else set()
        return {
            column: tuple(choices)
            for column, choices in found.items()
            if 0 < len(choices) <= (STAGES if column in many else CHOICES)
        }

    def _of(self, edge: Edge, reference: Reference) -> list[tuple[str, str]]:
        if len(reference.where) != 1:
            return []
        which, wanted = reference.where[0]
        known = self._known(edge.to.table, which, reference)
        lists = [known.get(wanted, [])]
        if reference.family:
            lists += [rows for name, rows in known.items() if re.fullmatch(rf"{re.escape(wanted)}_\d+", name)]
        return [each for rows in lists for each in rows]

    def _known(self, other: Described, which: str, reference: Reference) -> dict[str, list[tuple[str, str]]]:
        """What stands in a table of choices: directory or field -> (value, label)."""
        held = (full_name(other), reference.items or which)
        if held not in self._read:
            try:
                self._read[held] = _choices_in(self.lake, other, which, reference)
            except B24LakeError:  # its files are gone, or it is not what it was: then nothing is listed
                self._read[held] = {}
        return self._read[held]


def _choices_in(lake: Place, other: Described, which: str, reference: Reference) -> dict[str, list[tuple[str, str]]]:
    from b24lake.lake.query import query

    wanted = [which, reference.items] if reference.items else [which, reference.key, *reference.label]
    columns = ", ".join(map(name, wanted))
    rows = query(lake, f"SELECT {columns} FROM {full_name(other)}", limit=ROWS).to_pylist()  # noqa: S608
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        items = (row[reference.items] or ()) if reference.items else (row,)
        for item in items:
            label = " ".join(str(item[part]) for part in reference.label if item.get(part))
            if item.get(reference.key) is not None:
                found[str(row[which])].append((str(item[reference.key]), label))
    return dict(found)

"""The data model of somebody's own tables: which refer to which, by which columns, with the SQL that joins them.

It is made of what the tables' properties say and of what is known of the streams; tables of different portals are never
joined. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import groupby

import pyarrow as pa

from b24lake.lake import readable
from b24lake.lake.columns import base_name, comment, type_name
from b24lake.lake.index import Indexed
from b24lake.lake.joins import PLAIN_KEYS, Join, Side
from b24lake.lake.readable import Described, Reference
from b24lake.streams import smart
from b24lake.streams.about import SPA, SPA_FIELDS
from b24lake.streams.definitions import SMART, STREAMS
from b24lake.streams.relations import DESCRIBES, NAMES, PLACES, RELATIONS


@dataclass(frozen=True, eq=False)
class Node:
    """A table of the model.

    portal    whose rows it holds; `address` is where that portal was then
    links     columns whose text holds records of several streams (`joins`)
    """

    table: Described
    stream: str
    portal: str
    address: str = ""
    key: str = ""
    description: str = ""
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As SQL knows it: `layer.table`."""
        return f"{self.table.layer}.{self.table.name}"

    @cached_property
    def family(self) -> str:
        """The stream, or the family of streams that it belongs to."""
        if smart.entity_type_of(self.stream) is None:
            return self.stream
        return SPA_FIELDS if self.stream.startswith("spa_fields_") else SPA

    @property
    def group(self) -> str:
        """The group of its stream; "" where nobody knows the stream."""
        known = STREAMS.get(self.stream)
        return known.group if known else SMART if self.family in {SPA, SPA_FIELDS} else ""

    @property
    def place(self) -> int:
        """Its column in a diagram, from the left."""
        return next((number for number, streams in enumerate(PLACES) if self.family in streams), 0)

    @property
    def describes(self) -> bool:
        """Whether its rows tell of the columns of other tables."""
        return self.family in DESCRIBES

    @property
    def side(self) -> Side:
        """The table in a join: called as its stream, with its key and what to call its rows."""
        shown = dict.fromkeys(each for each in (self.key, *NAMES.get(self.family, ())) if each in self._columns)
        return Side(self.table, self.stream or self.table.name, tuple(shown))

    @cached_property
    def _columns(self) -> frozenset[str]:
        return frozenset(self.table.schema.names)


@dataclass(frozen=True, eq=False)
class Edge:
    """The table `of` refers to the table `to`: by one of its columns, or by telling of all of its columns (no join)."""

    of: Node
    to: Node
    join: Join | None = None

    @property
    def column(self) -> str:
        """The column of `of`; "" where it tells of the columns of `to`."""
        return self.join.column if self.join else ""

    @property
    def label(self) -> str:
        """What the column is called in the portal; "" where nobody says."""
        return comment(self._field) if self.join else ""

    @property
    def type(self) -> str:
        """The column's type as in Delta."""
        return type_name(self._field.type) if self.join else ""

    @property
    def many(self) -> bool:
        """Whether the column is a list."""
        return self.join is not None and self.join.many

    @property
    def key(self) -> str:
        """The column of `to` that is referred to; `items[].ID` for a choice in a list."""
        if not self.join:
            return ""
        found = self.join.reference
        return f"{found.items}[].{found.key}" if found.items else found.key

    @property
    def when(self) -> Mapping[str, str]:
        """Column of `of` -> its value in the rows to which this applies; none = all."""
        return dict(self.join.reference.when) if self.join else {}

    @property
    def prefix(self) -> str:
        """What stands before the other row's key in the column."""
        return self.join.prefix if self.join else ""

    @property
    def sql(self) -> str:
        """The two tables joined, ready to run; "" where there is nothing to join."""
        return self.join.sql() if self.join else ""

    @property
    def _field(self) -> pa.Field:
        assert self.join is not None
        return self.of.table.schema.field(self.join.column)


@dataclass(frozen=True)
class Model:
    """Tables and what they refer to, both in the order of their names."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @cached_property
    def portals(self) -> Mapping[str, str]:
        """The portals whose tables these are, with the address each was last seen at."""
        return {each.portal: each.address for each in sorted(self.nodes, key=lambda each: each.address)}

    def of_portal(self, portal: str) -> Model:
        """The part of one portal."""
        nodes = tuple(each for each in self.nodes if each.portal == portal)
        return Model(nodes, tuple(each for each in self.edges if each.of.portal == portal))

    def node(self, name: str) -> Node | None:
        """The table of this name, `layer.table`; None where the model has none."""
        return next((each for each in self.nodes if each.name == name), None)

    def from_table(self, name: str) -> tuple[Edge, ...]:
        """What a table refers to."""
        return tuple(each for each in self.edges if each.of.name == name)

    def to_table(self, name: str) -> tuple[Edge, ...]:
        """What refers to a table."""
        return tuple(each for each in self.edges if each.to.name == name)

    def between(self, of: str, to: str) -> tuple[Edge, ...]:
        """What one table refers to in another."""
        return tuple(each for each in self.edges if (each.of.name, each.to.name) == (of, to))


@lru_cache(maxsize=4)
def of_tables(tables: tuple[Indexed, ...]) -> Model:
    """The data model of tables as the index knows them; those that hold no rows of a portal are no part of it."""
    return model(filter(None, map(_node, tables)))


def _node(table: Indexed) -> Node | None:
    info = table.info
    if table.described is None or not info.stream:
        return None
    return Node(table.described, info.stream, info.portal, info.source, table.key, info.description, table.links)


def model(nodes: Iterable[Node]) -> Model:
    """How these tables refer to each other."""
    places: dict[tuple[str, str], list[Node]] = {}
    ordered = tuple(sorted(nodes, key=lambda each: each.name))
    for each in ordered:
        places.setdefault((each.portal, each.stream), []).append(each)
    return Model(ordered, tuple(edge for each in ordered for edge in _edges(each, places)))


_Places = Mapping[tuple[str, str], list[Node]]
# a column that may hold the id of a record of any smart process: another one holds its entityTypeId
_OF_ANY_SMART = {(one.stream, one.column): one for one in RELATIONS if one.to == SPA and one.by}


def _edges(of: Node, places: _Places) -> Iterator[Edge]:
    told = {*of.table.refers, *of.links, *(column for stream, column in _OF_ANY_SMART if stream == of.stream)}
    for column in of.table.schema.names:
        if column in told and _comparable(of.table.schema.field(column).type):
            yield from _edges_by(of, column, places)
    for stream in _described(of, places):
        to = nearest(of, places.get((of.portal, stream), []))
        if to is not None:
            yield Edge(of, to)


def _edges_by(of: Node, column: str, places: _Places) -> Iterator[Edge]:
    link = of.links.get(column, {})
    for stream, reference in _references(of, column, places):
        to = nearest(of, places.get((of.portal, stream), []))
        known = _usable(reference, of, to) if to else None
        if to is not None and known is not None:
            yield Edge(of, to, Join(of.side, column, to.side, known, link.get(stream, ""), len(link) == 1))


def _references(of: Node, column: str, places: _Places) -> Iterator[tuple[str, Reference]]:
    """The streams that a column refers to, and how: as its table says, and as the data model knows beside that."""
    yield from ((each.stream, each) for each in of.table.refers.get(column, ()))
    for stream in of.links.get(column, {}):
        for to in places.get((of.portal, stream), [])[:1]:
            yield stream, Reference(stream, to.key, NAMES.get(to.family, ()))
    of_any = _OF_ANY_SMART.get((of.stream, column))
    for (portal, stream), found in places.items() if of_any else ():
        if of_any and portal == of.portal and found[0].family == SPA:
            when = ((of_any.by, str(smart.entity_type_of(stream))),)
            yield stream, Reference(stream, of_any.to_column, NAMES[SPA], when=when)


def _described(of: Node, places: _Places) -> Iterator[str]:
    """The streams whose columns the rows of this table tell of."""
    told = DESCRIBES.get(of.family, "")
    if told != SPA:
        yield from [told] if told else []
        return
    for portal, stream in places:
        number = smart.entity_type_of(stream)
        if portal == of.portal and stream == f"spa_{number}" and smart.entity_type_of(of.stream) in {None, number}:
            yield stream


def _comparable(kind: pa.DataType) -> bool:
    """Whether values of a column, or those of its lists, can be compared with keys."""
    item = kind.value_type if base_name(kind) == "array" else kind
    return any(matches(item) for matches in PLAIN_KEYS)


def _usable(reference: Reference, of: Node, to: Node) -> Reference | None:
    """The reference with the labels that are there; None where it names other columns that are not."""
    if not _all_in(of.table.schema, (name for name, _ in reference.when)):
        return None
    if reference.items:
        return reference if readable.usable(reference, of.table, to.table) else None
    if not _all_in(to.table.schema, (reference.key, *(name for name, _ in reference.where))):
        return None
    return replace(reference, label=tuple(name for name in reference.label if _all_in(to.table.schema, [name])))


def _all_in(schema: pa.Schema, names: Iterable[str]) -> bool:
    """Whether the columns are there and hold plain values."""
    places = [schema.get_field_index(name) for name in names]
    return not any(place < 0 or pa.types.is_nested(schema.field(place).type) for place in places)


def nearest(of: Node, others: Iterable[Node]) -> Node | None:
    """Of several tables of a stream the one that belongs with this one: of its layer and prefix, as views choose it."""
    prefix = of.table.name.removesuffix(of.stream)

    def distance(other: Node) -> tuple[bool, bool, bool, str]:
        here = other.table.layer == of.table.layer
        with_it = here and other.table.name == prefix + other.stream
        return not with_it, not other.table.name.startswith(prefix), not here, other.name

    return min(others, key=distance, default=None)


def pairs(edges: Iterable[Edge]) -> dict[tuple[str, str], tuple[Edge, ...]]:
    """The edges by the names of the two tables: a diagram draws one line for each."""
    ordered = sorted(edges, key=lambda each: (each.of.name, each.to.name))
    return {names: tuple(each) for names, each in groupby(ordered, key=lambda each: (each.of.name, each.to.name))}

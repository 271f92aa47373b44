"""The readable views of a lake: which there are, and where each finds its labels (`readable` makes the SQL)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from b24lake.errors import StreamError, UsageError
from b24lake.lake import readable
from b24lake.lake.catalog import ColumnInfo, TableInfo, find, opened, table_folders
from b24lake.lake.columns import comment, type_name
from b24lake.lake.files import storage_errors
from b24lake.lake.place import Place
from b24lake.lake.readable import STANDARD, SUFFIX, Described, Dialect
from b24lake.lake.table import Owner, owner_of, schema_of


@dataclass(frozen=True)
class View:
    """A readable view.

    path     the folder of its table
    others   the tables that know its labels, by stream, and `paths` their folders
    missing  streams whose tables would know labels, but are not in the lake
    wanted   names that somebody asks for: labels of other columns were not looked for; None = all
    """

    table: Described
    path: Place
    others: Mapping[str, Described] = field(default_factory=dict)
    paths: Mapping[str, Place] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    wanted: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """As SQL knows it: `layer.table_readable`."""
        return f"{self.table.layer}.{self.short_name}"

    @property
    def short_name(self) -> str:
        """The same without the layer."""
        return f"{self.table.name}{SUFFIX}"

    @property
    def tables(self) -> dict[tuple[str, str], Place]:
        """The tables that it reads, by layer and name."""
        others = {(each.layer, each.name): self.paths[stream] for stream, each in self.others.items()}
        return {(self.table.layer, self.table.name): self.path, **others}

    def sql(self, dialect: Dialect = STANDARD) -> str:
        """The view as one SELECT; see `readable.select`."""
        return readable.select(self.table, self.others, wanted=self.wanted, dialect=dialect)

    @property
    def columns(self) -> tuple[ColumnInfo, ...]:
        """Its columns: those of the table, and what stands beside them."""
        beside: dict[str, list[ColumnInfo]] = {}
        for extra in readable.extras(self.table):
            info = ColumnInfo(extra.name, type_name(extra.type), self._said(extra), nullable=True)
            beside.setdefault(extra.of, []).append(info)
        found = []
        for each in self.table.schema:
            found.append(ColumnInfo(each.name, type_name(each.type), comment(each), each.nullable))
            found += beside.get(each.name, ())
        return tuple(found)

    def _said(self, extra: readable.Extra) -> str:
        """Where the values of a column come from."""
        if extra.what != "label":
            return f"{extra.what.capitalize()} of {extra.of}"
        places = {each.stream: self.others.get(each.stream) for each in extra.references}
        told = [f"{place.layer}.{place.name}" if place else f"{name} (not there)" for name, place in places.items()]
        return f"Label of {extra.of}, from {', '.join(told)}"


def view(lake: Place, name: str, wanted: frozenset[str] | None = None) -> View:
    """The view `layer.table_readable`, or `table_readable` where one layer has that table.

    wanted   names of columns that somebody asks for, the table's own among them; None = all

    Raises UsageError where there is no such table, or where it has nothing to put labels beside.
    """
    path = find(lake, name.removesuffix(SUFFIX))
    table = opened(path)
    with storage_errors(path):
        properties, owner = table.metadata().configuration, owner_of(table)
        schema = schema_of(table)
    if owner is None or not readable.has_view(properties):
        raise UsageError(
            f"The table {path.parent.name}.{path.name} has no readable view",
            why="nobody noted what its columns refer to" if owner else "it was not made by b24lake",
            fix="query the table itself; b24lake notes it with the next sync of its stream, if there is anything",
        )
    found = readable.described(path.parent.name, path.name, schema, properties)
    return _with_labels(lake, View(found, path, wanted=wanted), owner)


def is_view(lake: Place, name: str) -> bool:
    """Tell whether a name, with or without its layer, is that of a view: its table is there, and none hides it."""
    if not name.endswith(SUFFIX):
        return False
    tables = {each for path in table_folders(lake) for each in (path.name, f"{path.parent.name}.{path.name}")}
    return name not in tables and name.removesuffix(SUFFIX) in tables


def listed(tables: Collection[TableInfo]) -> tuple[TableInfo, ...]:
    """The views of these tables, as lines of the catalog; a table that has the name of a view hides it."""
    names = {each.sql_name for each in tables}
    views = (
        replace(each, name=each.name + SUFFIX, kind="view", bytes=0, description=f"{each.name} with labels")
        for each in tables
        if each.has_view
    )
    return tuple(each for each in views if each.sql_name not in names)


def _with_labels(lake: Place, found: View, owner: Owner) -> View:
    """The view with the tables that know its labels: of the same portal, and of its prefix where there are several.

    They are looked for where runs put them; only where one is not there, all tables of the lake are looked at.
    """
    missing = set(readable.streams_of(found.table, found.wanted))
    others: dict[str, Described] = {}
    paths: dict[str, Place] = {}
    for path in _candidates(lake, found.path, owner, missing):
        if not missing:
            break
        with suppress(StreamError), storage_errors(path):
            table = opened(path)
            whose = owner_of(table)
            if whose is not None and whose.portal == owner.portal and whose.stream in missing:
                missing.remove(whose.stream)
                paths[whose.stream] = path
                others[whose.stream] = readable.described(path.parent.name, path.name, schema_of(table), {})
    return replace(found, others=others, paths=paths, missing=tuple(sorted(missing)))


def _candidates(lake: Place, path: Place, owner: Owner, streams: Collection[str]) -> Iterator[Place]:
    """Tables in the order in which they are asked whether they know labels."""
    prefix = path.name.removesuffix(owner.stream)
    tables = table_folders(lake)
    likely = [each for each in tables if each.parent == path.parent and each.name in {prefix + one for one in streams}]
    yield from likely
    rest = [each for each in tables if each not in likely]
    yield from sorted(rest, key=lambda each: (not each.name.startswith(prefix), each.parent != path.parent, str(each)))

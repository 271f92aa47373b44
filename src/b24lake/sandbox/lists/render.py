"""Rows as JSON text: ready fragments, chosen by id and joined; only changed rows are built as dicts."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from b24lake.sandbox.data.columns import Row
from b24lake.sandbox.data.table import Part, Table

Render = Callable[[int], bytes]
Fragment = Callable[[int], bytes]
PLANS_KEPT = 32


@dataclass(frozen=True)
class View:
    """How a family of methods shows a table.

    convert   a row, or a part of one, from the classic convention to the family's; None where they are the same
    added     what the family adds, by id, at least these keys of it (None = all); None for nothing
    """

    name: str
    convert: Callable[[Table, Row], Row] | None = None
    added: Callable[[Table, int, frozenset[str] | None], Row] | None = None


CLASSIC = View("classic")


class Renderer:
    """Makes render functions and keeps them by table, view and selection."""

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[str, int, str, frozenset[str] | None], Render] = OrderedDict()

    def plan(self, table: Table, view: View, names: frozenset[str] | None) -> Render:
        """A function id -> JSON text of the row with the keys `names` (None = all)."""
        key = (table.name, table.shape, view.name, names)
        found = self._plans.get(key)
        if found is None:
            found = self._plans[key] = make_render(table, view, names)
            if len(self._plans) > PLANS_KEPT:
                self._plans.popitem(last=False)
        return found


def build_row(table: Table, view: View, names: frozenset[str] | None, id_: int) -> Row:
    """The slow way to the same row: as a dict."""
    row = table.row(id_)
    row = view.convert(table, row) if view.convert else row
    if view.added:
        row = row | view.added(table, id_, names)
    return _picked(row, names)


def make_render(table: Table, view: View, names: frozenset[str] | None) -> Render:
    """Fragments for each part of the table's rows, and the join."""
    fragments = [fragment for part in table.parts if (fragment := _fragment(table, view, names, part))]
    if view.added:
        fragments.append(_added_fragment(table, view, names))
    changes, join = table.changes, b"".join

    def render(id_: int) -> bytes:
        if id_ in changes:
            return orjson.dumps(build_row(table, view, names, id_))
        text = join([fragment(id_) for fragment in fragments])
        return b"{" + text[1:] + b"}"

    return render


def _fragment(table: Table, view: View, names: frozenset[str] | None, part: Part) -> Fragment | None:
    """The JSON text of a part, each key led by a comma; None where nothing of it is wanted."""

    def text(row: Row) -> bytes:
        shown = view.convert(table, row) if view.convert else row
        return _inner(_picked(shown, names))

    if part.variants:
        ready = [text(row) for row in part.variants]
        size = len(ready)
        return (lambda id_: ready[id_ % size]) if any(ready) else None
    if names is not None and table.key in part.names:
        only_id = _only_id(table, view, names, part)
        if only_id:
            return only_id
    make = part.make
    if view.convert is None and (names is None or names.issuperset(part.names)):
        return lambda id_: _inner(make(id_))
    if view.convert is None and names is not None and names.isdisjoint(part.names):
        return None
    return lambda id_: text(make(id_))


def _only_id(table: Table, view: View, names: frozenset[str], part: Part) -> Fragment | None:
    """A short way where a sweep of ids wants nothing else of a part; None where it does."""
    key = table.key.encode()
    if view.convert is None:
        return (lambda id_: b',"%b":"%d"' % (key, id_)) if names & {*part.names} == {table.key} else None
    sent = {table.columns[name].item for name in part.names if name in table.columns}
    item = table.columns[table.key].item
    return (lambda id_: b',"%b":%d' % (item.encode(), id_)) if names & sent == {item} else None


def _added_fragment(table: Table, view: View, names: frozenset[str] | None) -> Fragment:
    added = view.added
    assert added is not None
    return lambda id_: _inner(_picked(added(table, id_, names), names))


def _inner(row: Row) -> bytes:
    return b"," + orjson.dumps(row)[1:-1] if row else b""


def _picked(row: Row, names: frozenset[str] | None) -> Row:
    return row if names is None else {name: row[name] for name in row if name in names}

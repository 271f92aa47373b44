"""Which rows match a filter, in which order: kept matches, so that pages of a million rows cost a look-up each."""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from b24lake.sandbox.data.columns import NUMBERS
from b24lake.sandbox.data.dates import parse
from b24lake.sandbox.data.table import Table
from b24lake.sandbox.lists.conditions import Condition, test
from b24lake.sandbox.params import to_int

KEPT = 12  # matches kept per table
BOUNDS = {">", ">=", "<", "<="}

Holds = Callable[[int], bool]
Order: TypeAlias = tuple[tuple[str, bool], ...]  # (field, descending)


class Group(NamedTuple):
    """Several nodes joined by AND or OR."""

    logic: str
    nodes: "tuple[Node, ...]"


Node: TypeAlias = Condition | Group


@dataclass
class _Kept:
    """Ids that match, true up to an entry of the table's journal."""

    ids: "array[int]"
    journal: int
    shape: int


class Finder:
    """Finds rows of the portal's tables; `offset` is the server's, in minutes."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self._kept: dict[str, OrderedDict[tuple[Node, ...], _Kept]] = {}
        self._moments: dict[tuple[str, str], tuple[array[int], array[int]]] = {}
        self._sorted: dict[str, tuple[Any, Sequence[int]]] = {}

    def find(self, table: Table, nodes: Iterable[Node], order: Order) -> Sequence[int]:
        """Ids of the rows that meet all `nodes`, in the order asked for."""
        bounds, sets, rest = _by_key(table, nodes)
        ids = self._matching(table, rest)
        low, high = _slice(ids, bounds)
        if sets:
            named = sorted(set.intersection(*sets))
            return self._ordered(table, [id_ for id_ in named if _within(ids, id_, low, high)], order)
        if order and order[0][0] != table.key:
            return self._sorted_kept(table, (tuple(rest), tuple(bounds), order), ids[low:high], order)
        return _Span(ids, low, high, reverse=bool(order) and order[0][1])

    def holds(self, table: Table, nodes: Iterable[Node]) -> Holds:
        """A test of one id by all `nodes`."""
        tests = [self._test(table, node) for node in nodes]
        if len(tests) == 1:
            return tests[0]
        return lambda id_: all(holds(id_) for holds in tests)

    def _matching(self, table: Table, nodes: tuple[Node, ...]) -> "array[int]":
        if not nodes:
            return table.ids
        kept = self._kept.setdefault(table.name, OrderedDict())
        found = kept.get(nodes)
        holds = self.holds(table, nodes)
        if found is None or found.shape != table.shape:
            found = kept[nodes] = _Kept(self._scan(table, nodes, holds), len(table.journal), table.shape)
        _catch_up(found, table, holds)
        kept.move_to_end(nodes)
        if len(kept) > KEPT:
            kept.popitem(last=False)
        return found.ids

    def _scan(self, table: Table, nodes: tuple[Node, ...], holds: Holds) -> "array[int]":
        """Look at every row once. A lower bound of a date, which every incremental read sends, goes by kept dates."""
        first = nodes[0]
        if isinstance(first, Condition) and first.operator == ">=" and first.field in table.raw:
            bound = parse(first.value, self.offset)
            if bound is not None:
                recent = (i for i, moment in self._dates(table, first.field) if moment >= bound)
                candidates = sorted({*recent, *table.changes})
                return array("q", (id_ for id_ in candidates if id_ in table and holds(id_)))
        return array("q", filter(holds, table.ids))

    def _dates(self, table: Table, field: str) -> Iterable[tuple[int, int]]:
        """(id, generated date) of all rows, made once; rows since deleted are still among them."""
        key = (table.name, field)
        if key not in self._moments:
            self._moments[key] = (array("q", table.ids), array("q", map(table.raw[field], table.ids)))
        return zip(*self._moments[key], strict=True)

    def _test(self, table: Table, node: Node) -> Holds:
        if isinstance(node, Group):
            tests = [self._test(table, each) for each in node.nodes]
            joined = any if node.logic == "OR" else all
            return lambda id_: joined(holds(id_) for holds in tests)
        column = table.columns[node.field]
        check = test(node, column.type, self.offset)
        raw, changes, name = table.raw.get(column.name), table.changes, column.name
        if raw is None:
            return lambda id_: check(table.value(id_, name))
        return lambda id_: check(table.value(id_, name)) if id_ in changes and name in changes[id_] else check(raw(id_))

    def _sorted_kept(self, table: Table, query: Any, ids: Iterable[int], order: Order) -> Sequence[int]:
        """The last sorted list of a table is kept: pages of one listing sort once."""
        state = (query, len(table.journal), table.shape)
        last = self._sorted.get(table.name)
        if last is None or last[0] != state:
            last = self._sorted[table.name] = (state, self._ordered(table, list(ids), order))
        return last[1]

    def _ordered(self, table: Table, ids: list[int], order: Order) -> list[int]:
        for field, descending in reversed(order):
            ids.sort(key=self._sort_key(table, field), reverse=descending)
        return ids

    def _sort_key(self, table: Table, field: str) -> Callable[[int], Any]:
        raw = table.raw.get(field)
        if field == table.key:
            return lambda id_: id_
        if raw is not None and not table.changes:
            return raw
        kind = table.columns[field].type
        return lambda id_: _comparable(table.value(id_, field), kind)


class _Span(Sequence[int]):
    """A stretch of a sorted id array, forwards or backwards, without a copy."""

    def __init__(self, ids: Sequence[int], low: int, high: int, *, reverse: bool) -> None:
        self.ids, self.low, self.high, self.reverse = ids, low, max(low, high), reverse

    def __len__(self) -> int:
        return self.high - self.low

    def __getitem__(self, at: Any) -> Any:
        if not isinstance(at, slice):
            return self.ids[self.high - 1 - at if self.reverse else self.low + at]
        start, stop, _ = at.indices(len(self))
        if self.reverse:
            return list(reversed(self.ids[self.high - stop : self.high - start]))
        return self.ids[self.low + start : self.low + stop]


def _comparable(value: Any, kind: str) -> tuple[int, Any]:
    """A sort key: nothing comes first, numbers by size, dates and texts by their text."""
    if value is None or value == "" or isinstance(value, (list, dict)):
        return (0, 0)
    if kind in NUMBERS:
        return (1, float(value)) if str(value).replace(".", "", 1).lstrip("-").isdigit() else (0, 0)
    return (1, str(value))


def _by_key(table: Table, nodes: Iterable[Node]) -> tuple[list[tuple[str, int]], list[set[int]], tuple[Node, ...]]:
    """Conditions on the id, as bounds and as sets, apart from all others. Ids are cast as PHP casts them."""
    bounds, sets, rest = [], [], []
    for node in nodes:
        if not isinstance(node, Condition) or node.field != table.key:
            rest.append(node)
        elif node.operator in BOUNDS:
            bounds.append((node.operator, to_int(list(node.value) if isinstance(node.value, tuple) else node.value)))
        elif node.operator in {"=", "@"}:
            several = node.value if isinstance(node.value, tuple) else (node.value,)
            sets.append({to_int(each) for each in several})
        else:
            rest.append(node)
    return bounds, sets, tuple(rest)


def _slice(ids: Sequence[int], bounds: Iterable[tuple[str, int]]) -> tuple[int, int]:
    low, high = 0, len(ids)
    for operator, value in bounds:
        at = bisect_right(ids, value) if operator in {">", "<="} else bisect_left(ids, value)
        if operator in {">", ">="}:
            low = max(low, at)
        else:
            high = min(high, at)
    return low, high


def _within(ids: Sequence[int], id_: int, low: int, high: int) -> bool:
    """Whether a sorted stretch of ids holds one: a look-up, as rows are often asked for by name."""
    at = bisect_left(ids, id_, low, max(low, high))
    return at < high and ids[at] == id_


def _catch_up(kept: _Kept, table: Table, holds: Holds) -> None:
    """Bring kept matches up to the table's journal: only rows touched since are looked at again."""
    for id_ in table.journal[kept.journal :]:
        at = bisect_left(kept.ids, id_)
        present = at < len(kept.ids) and kept.ids[at] == id_
        wanted = id_ in table and holds(id_)
        if wanted and not present:
            insort(kept.ids, id_)
        elif present and not wanted:
            kept.ids.pop(at)
    kept.journal = len(table.journal)

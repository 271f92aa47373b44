"""What list methods are asked: filters, orders and selections, read from parameters."""

from collections.abc import Callable, Iterable
from typing import Any

from b24lake.sandbox import errors
from b24lake.sandbox.data.columns import DATES, NUMBERS, Column
from b24lake.sandbox.data.dates import parse
from b24lake.sandbox.data.table import Table
from b24lake.sandbox.lists.conditions import Condition, freeze, split
from b24lake.sandbox.lists.find import Group, Node, Order
from b24lake.sandbox.params import Params, get, items
from b24lake.sandbox.portal import Portal


def check_readable(portal: Portal, entity_type: int) -> None:
    """Raise where the webhook's owner may not read a smart process."""
    if entity_type in portal.settings.forbidden_types:
        raise errors.denied()


def array_of(params: Params, name: str) -> Any:
    """A parameter that must be an array, as classic lists insist; None where it is missing or empty."""
    value = get(params, name)
    if value is None or value == "":
        return None
    if not isinstance(value, (dict, list)):
        raise errors.plain(f"Parameter '{name}' must be array.")
    return value


def loose_filter(table: Table, given: Any) -> list[Node]:
    """A filter of a classic list: conditions joined by AND, unknown fields dropped without a word."""
    nodes: list[Node] = []
    for key, value in items(given):
        operator, field = split(key)
        if field in table.columns:
            nodes.append(Condition(field, operator, freeze(value)))
    return nodes


def loose_order(table: Table, given: Any, default: Order) -> Order:
    """An order of a classic list; unknown fields are dropped."""
    order = tuple((field, str(way).upper().startswith("DESC")) for field, way in items(given) if field in table.columns)
    return order or default


def strict_filter(columns: dict[str, Column], given: Any, offset: int) -> list[Node]:
    """A filter of crm.item.list and its family: nested, with `logic`, and unknown fields refused."""
    nodes: list[Node] = []
    for key, value in items(given):
        if key == "logic":
            continue
        if key.isdigit():
            inner = strict_filter(columns, value, offset)
            logic = str(value.get("logic", "AND")).upper() if isinstance(value, dict) else "AND"
            nodes.append(Group("OR" if logic == "OR" else "AND", tuple(inner)))
            continue
        operator, field = split(key)
        if field not in columns:
            raise errors.bad_filter(field)
        column = columns[field]
        _check(field, column, operator, value, offset)
        nodes.append(Condition(column.name, operator, freeze(value)))
    if isinstance(given, dict) and str(given.get("logic", "")).upper() == "OR":
        return [Group("OR", tuple(nodes))]
    return nodes


def strict_order(columns: dict[str, Column], given: Any, default: Order) -> Order:
    """An order of that family."""
    order = []
    for field, way in items(given):
        if field not in columns:
            raise errors.bad_order(field)
        if str(way).upper() not in {"ASC", "DESC"}:
            raise errors.plain("Invalid order: allowed values for sort are 'ASC' and 'DESC'", "INVALID_ARG_VALUE")
        order.append((columns[field].name, str(way).upper() == "DESC"))
    return tuple(order) or default


def selection(
    given: Any, standard: Callable[[], Iterable[str]], custom: Callable[[], Iterable[str]], known: Iterable[str]
) -> frozenset[str]:
    """The keys a select asks for: names, `*` for the standard ones, `UF_*` for the custom ones; both by default."""
    asked = {str(name) for _, name in items(given)} or {"*", "UF_*"}
    names = asked & set(known)
    if "*" in asked:
        names |= set(standard())
    if "UF_*" in asked:
        names |= set(custom())
    return frozenset(names)


def _check(field: str, column: Column, operator: str, value: Any, offset: int) -> None:
    """Refuse a value that cannot be compared with the column."""
    several = [each for _, each in items(value)] if isinstance(value, (list, dict)) else [value]
    if isinstance(value, (list, dict)) and operator not in {"=", "@", "!@", "!=", "!"}:
        raise errors.bad_filter(field, "has invalid value")
    for each in several:
        if each in (None, "") or operator in {"%", "=%", "%=", "!%", "!=%", "!%="}:
            continue
        number = column.type in NUMBERS and not str(each).lstrip("-").replace(".", "", 1).isdigit()
        if number or (column.type in DATES and parse(each, offset) is None):
            raise errors.bad_filter(field, "has invalid value")

"""Filters: operators before field names, turned into tests of a value.

Source: the filter tables of crm-deal-list.md, crm-item-list.md, user-get.md, voximplant-statistic-get.md.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from b24lake.sandbox.data.columns import DATES, NUMBERS
from b24lake.sandbox.data.dates import parse
from b24lake.sandbox.params import to_int

Test = Callable[[Any], bool]

# Longest first: ">=" must not be read as ">".
OPERATORS = ("!=%", "!%=", "!><", "!%", "!@", "!=", ">=", "<=", "><", "=%", "%=", "!", ">", "<", "=", "%", "@", "?")


class Condition(NamedTuple):
    """`field operator value`; hashable, so that matches can be kept by it. Arrays are tuples."""

    field: str
    operator: str
    value: Any


def split(key: str) -> tuple[str, str]:
    """`>=DATE_MODIFY` -> (">=", "DATE_MODIFY"); no operator means "="."""
    for operator in OPERATORS:
        if key.startswith(operator):
            return operator, key[len(operator) :]
    return "=", key


def freeze(value: Any) -> Any:
    """Arrays as tuples."""
    if isinstance(value, dict):
        return tuple(freeze(each) for each in value.values())
    if isinstance(value, list):
        return tuple(freeze(each) for each in value)
    return value


def test(condition: Condition, kind: str, offset: int) -> Test:
    """The test of one value by a condition, given the column's type and the server's offset in minutes."""
    operator = condition.operator
    if operator.startswith("!"):
        positive = Condition(condition.field, operator[1:] or "=", condition.value)
        inner = test(positive, kind, offset)
        return lambda value: not inner(value)
    if operator == "><":
        low, high = ([*condition.value, None, None] if isinstance(condition.value, tuple) else [None, None])[:2]
        above = test(Condition(condition.field, ">=", low), kind, offset)
        below = test(Condition(condition.field, "<=", high), kind, offset)
        return lambda value: above(value) and below(value)
    if operator in {"%", "=%", "%=", "?"}:
        return _like(condition)
    read = _reader(kind, offset)
    if operator in {"=", "@"}:
        return _equal(condition.value, read)
    return _compare(operator, read(condition.value), read)


def _reader(kind: str, offset: int) -> Callable[[Any], Any]:
    """How values of a type are made comparable."""
    if kind in NUMBERS:
        return _number
    if kind in DATES:
        return lambda value: value if isinstance(value, (int, float)) else parse(value, offset)
    return _text


def _number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, (tuple, list, dict)):
        return to_int(list(value))
    found = re.match(r"\s*[+-]?\d+(\.\d+)?", str(value))
    return float(found[0]) if found else 0.0


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def _equal(wanted: Any, read: Callable[[Any], Any]) -> Test:
    """Equality, with an array: one of. An empty wish is met by every kind of empty."""
    several = wanted if isinstance(wanted, tuple) else (wanted,)
    if any(each in (None, "", False) for each in several):
        several += ("", None)
    values = {read(each) for each in several}
    if None in values and read("") is None:
        values.add("")

    def equal(value: Any) -> bool:
        if isinstance(value, list):
            return any(read(each) in values for each in value) or (not value and None in values)
        if value is False and None in values:
            return True
        return read(value) in values

    return equal


def _compare(operator: str, bound: Any, read: Callable[[Any], Any]) -> Test:
    """An order comparison. A bound that cannot be read selects nothing."""
    if bound is None:
        return lambda _: False
    tests: dict[str, Test] = {
        ">": lambda value: value > bound,
        ">=": lambda value: value >= bound,
        "<": lambda value: value < bound,
        "<=": lambda value: value <= bound,
    }
    compare = tests[operator]

    def compared(value: Any) -> bool:
        seen = read(value)
        return seen is not None and compare(seen)

    return compared


def _like(condition: Condition) -> Test:
    """`%` looks for a part; `=%` and `%=` take a pattern in which % stands for anything."""
    wanted = str(condition.value)
    pattern = f"%{wanted}%" if condition.operator in {"%", "?"} else wanted
    found = re.compile(".*".join(re.escape(piece) for piece in pattern.split("%")), re.DOTALL | re.IGNORECASE)

    def like(value: Any) -> bool:
        several = value if isinstance(value, list) else [value]
        return any(found.fullmatch(str(each)) for each in several if each is not None)

    return like

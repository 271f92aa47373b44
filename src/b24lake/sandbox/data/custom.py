"""Custom fields of every type, single and multiple, with values as classic lists send them.

Source: api-reference/crm/universal/user-defined-fields/crm-userfield-types.md and the samples of the lists' pages.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

from b24lake.sandbox.data import words
from b24lake.sandbox.data.chance import generator
from b24lake.sandbox.data.columns import Column, Row, camel_custom
from b24lake.sandbox.data.dates import DAY, SPAN, midnight
from b24lake.sandbox.data.table import Part, pooled

FIRST_STAMP = 1704817278  # the portal's first custom field was made then: its name is that second
VARIANTS = (251, 241, 239, 233, 229, 227, 223, 211, 199, 197, 193, 191)  # primes: parts of a row do not move in step
PART_SIZE = 8
DROPPED_WHEN_EMPTY = {"file"}
KINDS = (
    "string", "integer", "double", "boolean", "enumeration", "datetime", "date", "money", "url", "address", "file",
    "employee", "crm_status", "iblock_section", "iblock_element", "crm", "resourcebooking", "rest_3_rating",
)  # fmt: skip
NEVER_MULTIPLE = {"boolean"}
SETTINGS: dict[str, Any] = {
    "string": {"SIZE": 20, "ROWS": 1, "REGEXP": "", "MIN_LENGTH": 0, "MAX_LENGTH": 0, "DEFAULT_VALUE": ""},
    "integer": {"SIZE": 20, "MIN_VALUE": 0, "MAX_VALUE": 0, "DEFAULT_VALUE": None},
    "double": {"PRECISION": 2, "SIZE": 20, "MIN_VALUE": 0, "MAX_VALUE": 0, "DEFAULT_VALUE": None},
    "boolean": {"DEFAULT_VALUE": 0, "DISPLAY": "CHECKBOX", "LABEL": ["", ""], "LABEL_CHECKBOX": ""},
    "enumeration": {"DISPLAY": "LIST", "LIST_HEIGHT": 1, "CAPTION_NO_VALUE": "", "SHOW_NO_VALUE": "Y"},
    "date": {"DEFAULT_VALUE": {"TYPE": "NONE", "VALUE": ""}},
    "datetime": {"DEFAULT_VALUE": {"TYPE": "NONE", "VALUE": ""}, "USE_SECOND": "Y", "USE_TIMEZONE": "N"},
    "money": {"DEFAULT_VALUE": ""},
    "url": {"POPUP": "Y", "SIZE": 20, "MIN_LENGTH": 0, "MAX_LENGTH": 0, "DEFAULT_VALUE": "", "ROWS": 1},
    "file": {"SIZE": 20, "LIST_WIDTH": 0, "LIST_HEIGHT": 0, "MAX_SHOW_SIZE": 0, "EXTENSIONS": [], "TARGET_BLANK": "Y"},
    "crm_status": {"ENTITY_TYPE": "INDUSTRY"},
    "crm": {"DEAL": "Y", "CONTACT": "Y", "COMPANY": "Y", "LEAD": None},
}

Value = Callable[[random.Random, "Maker"], Any]


class Maker:
    """What values are made with: the printer of dates, the epoch, and how this table's booleans look."""

    def __init__(self, show: Callable[[int], str], epoch: int, booleans: tuple[Any, Any], prefix: str = "") -> None:
        self.show, self.epoch, self.booleans, self.prefix = show, epoch, booleans, prefix

    def moment(self, dice: random.Random) -> int:
        """Any second of the portal's years."""
        return self.epoch - dice.randrange(SPAN)


def _file(dice: random.Random, _: Maker) -> dict[str, Any]:
    number = dice.randrange(100, 99999)
    shown = f"/bitrix/components/bitrix/crm.deal.show/show_file.php?ownerId=1&fileId={number}"
    return {"id": number, "showUrl": f"{shown}&auth=", "downloadUrl": f"{shown}&download=1&auth="}


VALUES: dict[str, Value] = {
    "string": lambda dice, _: dice.choice(words.NOTES + words.TITLES),
    "integer": lambda dice, _: str(dice.randrange(-5, 100000)),
    "double": lambda dice, _: f"{dice.uniform(0, 5000):.2f}",
    "datetime": lambda dice, maker: maker.show(maker.moment(dice)),
    "date": lambda dice, maker: maker.show(midnight(maker.moment(dice) + 300 * DAY)),
    "money": lambda dice, _: f"{dice.choice(('300', '1500.50', '0', '99999.99'))}|{dice.choice(('EUR', 'RUB', 'USD'))}",
    "url": lambda dice, _: f"https://{dice.choice(words.DOMAINS)}/?q={dice.randrange(999)}&lang=ru",
    "address": lambda dice, _: f"{dice.choice(words.STREETS)}|55.75;37.61|{dice.randrange(1, 500)}",
    "file": _file,
    "employee": lambda dice, _: str(dice.randrange(1, 40)),
    "crm_status": lambda dice, _: dice.choice(("IT", "TELECOM", "MANUFACTURING", "OTHER")),
    "iblock_section": lambda dice, _: str(dice.randrange(1, 60)),
    "iblock_element": lambda dice, _: str(dice.randrange(1, 900)),
    "crm": lambda dice, _: f"{dice.choice(('D', 'C', 'CO', 'L', 'T80'))}_{dice.randrange(2, 500)}",
    "resourcebooking": lambda dice, _: str(dice.randrange(1, 300)),
    "rest_3_rating": lambda dice, _: str(dice.randrange(1, 6)),
}


def custom_columns(entity: str, count: int, seed: int, *, prefix: str = "") -> list[Column]:
    """`count` custom fields: every type in turn, first single, then multiple. `prefix` is a smart process's `7_`."""
    dice = generator(seed, f"custom fields of {entity}")
    wanted = [(kind, False) for kind in KINDS] + [(kind, True) for kind in KINDS if kind not in NEVER_MULTIPLE]
    columns, stamp = [], FIRST_STAMP
    for number in range(count):
        kind, multiple = wanted[number % len(wanted)]
        name = f"UF_CRM_{prefix}{_code(number, stamp)}"
        columns.append(
            custom_column(name, kind, f"{words.LABELS[number % len(words.LABELS)]} {number + 1}", multiple=multiple)
        )
        stamp += dice.randrange(3600, 14 * DAY)
    return columns


def _code(number: int, stamp: int) -> str:
    """Names as portals give them: a unix time, sometimes with milliseconds, sometimes a developer's own."""
    if number % 17 == 16:
        return f"DELIVERY_{'ABCDEFGHIJ'[number // 17 % 10]}"
    return f"{stamp}{number * 37 % 1000:03}" if number % 3 == 1 else str(stamp)


def custom_column(name: str, kind: str, title: str, *, multiple: bool = False, labels: Sequence[str] = ()) -> Column:
    """A custom field; an enumeration gets its options, with these labels or the usual ones."""
    base = int("".join(c for c in name if c.isdigit()) or 0) % 5000 + 40
    options = (
        tuple((str(base + 2 * n), label) for n, label in enumerate(labels or words.OPTIONS))
        if kind == "enumeration"
        else ()
    )
    return Column(
        name=name, type=kind, title=title, item=camel_custom(name), multiple=multiple, dynamic=True, options=options,
        settings=SETTINGS.get(kind, {}), status_type="INDUSTRY" if kind == "crm_status" else "",
    )  # fmt: skip


def custom_parts(columns: Sequence[Column], maker: Maker, seed: int) -> list[Part]:
    """Parts that hold the values of `columns`, a handful of columns each."""
    parts = []
    for number, first in enumerate(range(0, len(columns), PART_SIZE)):
        parts.append(custom_part(columns[first : first + PART_SIZE], maker, seed, VARIANTS[number % len(VARIANTS)]))
    return parts


def custom_part(columns: Sequence[Column], maker: Maker, seed: int, size: int = 97) -> Part:
    """One part: `size` variants of the columns' values."""
    dice = generator(seed, f"values of {maker.prefix}{columns[0].name} {columns[0].type}")
    return pooled([column.name for column in columns], [_variant(columns, maker, dice) for _ in range(size)])


def _variant(columns: Sequence[Column], maker: Maker, dice: random.Random) -> Row:
    row: Row = {}
    for column in columns:
        value = _value(column, maker, dice)
        if value is not None or column.type not in DROPPED_WHEN_EMPTY:
            row[column.name] = value
    return row


def _value(column: Column, maker: Maker, dice: random.Random) -> Any:
    """A value, or one of the ways in which classic lists say "empty"."""
    if column.type == "boolean":
        return maker.booleans[dice.random() < 0.4]
    if dice.random() < 0.45:
        return _empty(column, dice)
    if not column.multiple:
        return _single(column, maker, dice)
    return [_single(column, maker, dice) for _ in range(dice.choice((1, 1, 2, 3)))]


def _empty(column: Column, dice: random.Random) -> Any:
    if column.multiple:
        return dice.choice((False, False, []))
    if column.type in {"date", "datetime", "string", "money", "url", "employee", "enumeration"}:
        return dice.choice(("", "", None))
    return None


def _single(column: Column, maker: Maker, dice: random.Random) -> Any:
    if column.options:
        return dice.choice(column.options)[0]
    return VALUES.get(column.type, VALUES["string"])(dice, maker)

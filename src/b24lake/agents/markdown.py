"""Text of others inside Markdown: it stays what it is, and can neither become markup nor leave its place (pure)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~#!&$])")
_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20})://")
_FENCE = re.compile(r"`{3,}")
_TICKS = re.compile(r"`+")


def said(text: str, longest: int = 80) -> str:
    r"""Text that somebody wrote, as one line in quotation marks.

    >>> print(said("Price # <b>\n\nIgnore | all"))
    "Price \# \<b\> Ignore \| all"
    """
    line = one_line(text).replace('"', "'")
    line = line if len(line) <= longest else f"{line[: longest - 1]}…"
    return f'"{_ADDRESS.sub(_unlinked, _MARKUP.sub(_escaped, line))}"'


def code(name: str) -> str:
    """A name as code, in as many ticks as it takes.

    >>> code("TITLE"), code("a`b")
    ('`TITLE`', '`` a`b ``')
    """
    line = one_line(name).replace("|", "¦")  # a table's cell would end there, code or not
    longest = max((len(run) for run in _TICKS.findall(line)), default=0)
    pad = " " if longest or not line else ""
    ticks = "`" * (longest + 1)
    return f"{ticks}{pad}{line}{pad}{ticks}"


def block(text: str, language: str = "sql") -> str:
    r"""Lines of code between fences that the lines themselves do not end.

    >>> block("SELECT 1")
    '```sql\nSELECT 1\n```'
    """
    fence = "`" * max(3, 1 + max((len(run) for run in _FENCE.findall(text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def table(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a table; cells are Markdown already."""
    names = list(heads)
    rows = [names, ["---"] * len(names), *map(list, lines)]
    return [f"| {' | '.join(row)} |" for row in rows]


def one_line(text: str) -> str:
    r"""The text without line breaks, control characters and those that nobody sees.

    >>> one_line(" a\n\tb\u202e\u200bc ")
    'a bc'
    """
    if text.isprintable():  # as nearly all are
        return " ".join(text.split())
    seen = (" " if each.isspace() else each for each in text)
    return " ".join("".join(each for each in seen if unicodedata.category(each)[0] != "C").split())


def _escaped(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


def _unlinked(found: re.Match[str]) -> str:
    """An address that no reader turns into a link."""
    return f"{found[1]}:\\//"

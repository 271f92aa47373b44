"""Ids from names: short, readable, safe in URLs, file names and YAML."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from b24lake.errors import UsageError

LONGEST = 48
RESERVED = frozenset({"new", "bitrix"})
"""What the addresses of the screens need for themselves: /sources/new, /sources/bitrix."""
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CYRILLIC = (
    "а a, б b, в v, г g, д d, е e, ё e, ж zh, з z, и i, й y, к k, л l, м m, н n, о o, п p, р r, с s, т t, у u, ф f, "
    "х h, ц ts, ч ch, ш sh, щ sch, ъ , ы y, ь , э e, ю yu, я ya, і i, ї yi, є ye, ґ g"
)
_LATIN = "ß ss, æ ae, ø o, ł l, đ d, ð d, þ th, œ oe, ı i"
_LETTERS = str.maketrans(dict(pair.split(" ") for pair in f"{_CYRILLIC}, {_LATIN}".split(", ")))


def slug(name: str) -> str:
    """The id that a name suggests; "source" where none of its letters can be in one.

    >>> slug("Sales, São Paulo"), slug("Отдел продаж"), slug("東京")
    ('sales-sao-paulo', 'otdel-prodazh', 'source')
    """
    folded = unicodedata.normalize("NFC", name).casefold().translate(_LETTERS)
    plain = unicodedata.normalize("NFKD", folded).casefold()
    words = re.sub(r"[^a-z0-9]+", "-", re.sub(r"[\u0300-\u036f]", "", plain))
    return words.strip("-")[:LONGEST].rstrip("-") or "source"


def free_slug(name: str, taken: Collection[str]) -> str:
    """The id for a name that nothing else has: with a number behind it where it must be.

    >>> free_slug("CRM", {"crm", "crm-2"})
    'crm-3'
    """
    first, number = slug(name), 1
    found = first
    while found in taken or found in RESERVED:
        number += 1
        tail = f"-{number}"
        found = first[: LONGEST - len(tail)].rstrip("-") + tail
    return found


def checked_slug(text: str, what: str = "id") -> str:
    """The text itself where it can be an id. Raises UsageError otherwise."""
    if not _SLUG.fullmatch(text) or len(text) > LONGEST:
        raise UsageError(
            f"{text!r} cannot be an {what}",
            why=f"one has 1 to {LONGEST} small letters (a-z) and digits, with single hyphens between them",
            fix=f"take {slug(text)!r}",
        )
    if text in RESERVED:
        raise UsageError(f"{text!r} cannot be an {what}", why="the screens need that word", fix="take another one")
    return text

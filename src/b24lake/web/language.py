"""The languages of the screens: texts by gettext, numbers and times by Babel. Pure but for reading the catalogues."""

from __future__ import annotations

import gettext
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cache
from io import BytesIO
from pathlib import Path

from babel.dates import format_datetime, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from b24lake.web.wording import Wording

LOCALES = Path(__file__).parent / "locales"
LANGUAGES = {"en": "English", "pt_BR": "Português (Brasil)"}
"""Code -> its name in itself. A new one needs `locales/CODE/LC_MESSAGES/b24lake.po` and a line here."""


@dataclass(frozen=True, slots=True)
class Language:
    """How a page speaks.

    code        as in LANGUAGES
    text        a message in this language
    texts       one of two messages, by a number
    wording     what errors say
    """

    code: str
    text: Callable[[str], str]
    texts: Callable[[str, str, int], str]
    wording: Wording

    @property
    def tag(self) -> str:
        """As HTML writes it: `pt-BR`."""
        return self.code.replace("_", "-")

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with this language's separators; a dash where there is none."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return "–" if value is None else format_decimal(value, pattern, locale=self.code)

    def moment(self, at: datetime | None, zone: tzinfo) -> str:
        """A time of the day in the viewer's zone; a dash where there is none."""
        return "–" if at is None else format_datetime(at, "medium", tzinfo=zone, locale=self.code)

    def ago(self, at: datetime | None, now: datetime) -> str:
        """How long ago something was, or in how long it will be."""
        return "–" if at is None else format_timedelta(at - now, add_direction=True, locale=self.code)

    def span(self, seconds: float | None) -> str:
        """A duration in one unit and a bit: `3 min`."""
        return (
            "–" if seconds is None else format_timedelta(timedelta(seconds=seconds), format="short", locale=self.code)
        )


@cache
def language(code: str) -> Language:
    """The language of a code. Raises KeyError where there is no such language."""
    found = _texts(LOCALES / code / "LC_MESSAGES" / "b24lake.po")
    held = {english: text for english, text in getattr(found, "_catalog", {}).items() if isinstance(english, str)}
    return Language(code, found.gettext, found.ngettext, Wording(held, found.gettext))


def clock(seconds: float | None) -> str:
    """A duration as a clock shows it; a dash where there is none.

    >>> clock(5.4), clock(65), clock(3_725)
    ('0:05', '1:05', '1:02:05')
    """
    if seconds is None:
        return "–"
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes}:{left:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{left:02}"


def _texts(path: Path) -> gettext.NullTranslations:
    """A catalogue, compiled here: so its readable form is the only one that there is."""
    if not path.exists():
        return gettext.NullTranslations()
    with path.open("rb") as file:
        catalogue = read_po(file)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def chosen(cookie: str | None, accepted: str) -> str:
    """The code of the language to speak: the one picked before, else the first that the browser asks for.

    >>> chosen(None, "fr;q=0.9, pt-BR, en;q=0.5")
    'pt_BR'
    """
    if cookie in LANGUAGES:
        return str(cookie)
    spoken = {code.partition("_")[0]: code for code in LANGUAGES}  # `pt` is better served by `pt_BR` than by English
    wanted = (spoken.get(code.replace("_", "-").partition("-")[0].lower()) for code in _in_order(accepted))
    return next(filter(None, wanted), "en")


def _in_order(accepted: str) -> Sequence[str]:
    """The codes of an Accept-Language header, the most wanted first."""
    wanted = []
    for part in accepted.split(","):
        code, _, weight = part.strip().partition(";q=")
        try:
            wanted.append((-float(weight or 1), code))
        except ValueError:
            continue
    return [code for _, code in sorted(wanted, key=lambda pair: pair[0]) if code]

"""Templates: one environment, and what every page is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from b24lake.control.accounts import ROLES as ROLES
from b24lake.control.accounts import at_least
from b24lake.web import assets
from b24lake.web.language import LANGUAGES, Language, clock

TEMPLATES = Path(__file__).parent / "templates"
UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page, and how: language, time zone, and the token that their forms carry.

    name   "" without login; then the role is manager
    role   viewer, editor or manager: each may do what those before it may; "" before the login
    """

    language: Language
    zone: tzinfo
    now: datetime
    token: str = ""
    name: str = ""
    role: str = "manager"

    def may(self, role: str) -> bool:
        """Whether the viewer has at least this role."""
        return at_least(self.role, role)

    def moment(self, at: datetime | None) -> str:
        """A time in the viewer's zone and language; a dash where there is none."""
        return self.language.moment(at, self.zone)

    def ago(self, at: datetime | None) -> str:
        """How long ago, or in how long."""
        return self.language.ago(at, self.now)

    def size(self, count: int) -> str:
        """Bytes in words; 1 kB = 1,000 bytes."""
        value, step = float(count), 0
        while value >= 1000 and step < len(UNITS) - 1:
            value, step = value / 1000, step + 1
        return f"{self.language.number(value, 1 if step else 0)} {UNITS[step]}"


@cache
def environment() -> Environment:
    """The templates; everything that is put in is escaped, and a name nobody gave is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.filters["clock"] = clock
    made.globals.update(asset=assets.url, languages=LANGUAGES)
    return made


def page(name: str, viewer: Viewer, values: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
    """A template as an answer, in the viewer's language."""
    language = viewer.language
    told = {
        "viewer": viewer,
        "_": language.text,
        "gettext": language.text,
        "ngettext": language.texts,
        "told": language.wording.told,
        "sentence": language.wording.sentence,
        **values,
    }
    return HTMLResponse(environment().get_template(name).render(told), status_code=status)

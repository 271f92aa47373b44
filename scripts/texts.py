"""Collect the texts of the screens into the catalogues of the languages: `make texts`.

Templates say _("…") and ngettext("…", "…", n), Python says `asked.say("…")`, all with the English text itself. What
errors say is collected from where they are raised, with `{}` for each value; `b24lake/web/wording.py` finds it by that.
Each catalogue, `src/b24lake/web/locales/LANGUAGE/LC_MESSAGES/b24lake.po`, keeps the translations that it has, gets an
empty one for a new text, and loses those that nothing says any more.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from b24lake.streams.definitions import STREAMS
from b24lake.web.wording import PLACE, patterns

SRC = Path(__file__).parent.parent / "src/b24lake"
WEB = SRC / "web"
SAYS = {"_": None, "gettext": None, "ngettext": (1, 2), "say": None, "say_many": (1, 2)}
METHODS = [("templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
OPTIONS = {"templates/**.html": {"trimmed": "true", "silent": "false"}}


def texts() -> Catalog:
    """Every text that the screens say, without translations."""
    found = Catalog(project="b24lake")
    for name, _, message, _, context in extract_from_dir(WEB, METHODS, OPTIONS, keywords=SAYS):
        found.add(message, locations=[(Path(name).as_posix(), 0)], context=context)
    for stream in STREAMS.values():  # these are shown by what the service knows of them
        found.add(stream.title, locations=[("streams", 0)])
    for file in sorted(SRC.rglob("*.py")):
        if not {"cli", "sandbox"} & set(file.relative_to(SRC).parts):
            for pattern in errors(ast.parse(file.read_text(encoding="utf-8"))):
                found.add(pattern, locations=[("errors", 0)])
    return found


def errors(module: ast.Module) -> Iterator[str]:
    """What the errors of a module say, as far as the call itself tells it."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and _name(node.func).endswith("Error"):
            said = [*node.args[:1], *(word.value for word in node.keywords if word.arg in {"what", "why", "fix"})]
            for part in said:
                text = _pattern(part)
                if any(letter.isalpha() for letter in text) and (PLACE not in text or patterns([text])):
                    yield text


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _pattern(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else PLACE for part in parts)
    return ""


def catalogues() -> Iterator[tuple[Path, Catalog]]:
    """The catalogue of each language but English, which is in the code."""
    for path in sorted(WEB.glob("locales/*/LC_MESSAGES/b24lake.po")):
        with path.open("rb") as file:
            yield path, read_po(file, locale=path.parent.parent.name)


def main() -> None:
    """Bring the catalogues up to date, and say what is not translated."""
    found = texts()
    for path, catalogue in catalogues():
        catalogue.update(found, no_fuzzy_matching=True, update_creation_date=False)
        catalogue.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, catalogue, width=120, omit_header=False, sort_output=True, ignore_obsolete=True)
        missing = [message.id for message in catalogue if message.id and not all_of(message.string)]
        sys.stdout.write(f"{path.parent.parent.name}: {len(catalogue)} texts, {len(missing)} not translated\n")


def all_of(translation: object) -> bool:
    """Whether a translation is there, in each of its numbers."""
    return all(translation) if isinstance(translation, list | tuple) else bool(translation)


if __name__ == "__main__":
    main()

"""Collect the texts of the screens into the catalogues of the languages: `make texts`.

Templates say _("…") and ngettext("…", "…", n), Python says `asked.say("…")`, all with the English text itself. What
errors and checks say is collected from where they are made, with `{}` for each value; `b24lake/web/wording.py` finds it
by that.
Each catalogue, `src/b24lake/web/locales/LANGUAGE/LC_MESSAGES/b24lake.po`, keeps the translations that it has, gets an
empty one for a new text, and loses those that nothing says any more.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from b24lake.lake.layers import FIRST
from b24lake.streams.definitions import STREAMS
from b24lake.streams.scopes import SCOPES, tick
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
    known = [one.title for one in STREAMS.values()] + [one.unlocks for one in SCOPES.values()] + [tick([PLACE])]
    for text in [*known, *(layer.description for layer in FIRST)]:  # shown by what the service knows of them
        found.add(text, locations=[("known", 0)])
    for file in sorted(SRC.rglob("*.py")):
        if not {"cli", "sandbox"} & set(file.relative_to(SRC).parts):
            for pattern in spoken(ast.parse(file.read_text(encoding="utf-8"))):
                found.add(pattern, locations=[("errors", 0)])
    return found


PARTS = {"what", "why", "fix", "says", "cause", "cure", "title"}
UNNAMED = {
    "Error": (0,),
    "Check": (0, 2, 3, 4),
    "Stream": (),
    "said.append": (0,),
    "said.extend": (0,),
    "_conflict": (1,),
}
"""By how the name of what is called ends: which arguments without a name are texts."""


def spoken(module: ast.Module) -> Iterator[str]:
    """What the errors and checks of a module say, as far as the module itself tells it."""
    means = _meanings(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            places = next((its for end, its in UNNAMED.items() if ast.unparse(node.func).endswith(end)), None)
            if places is not None:
                unnamed = [part for place, part in enumerate(node.args) if place in places]
                for part in [*unnamed, *(word.value for word in node.keywords if word.arg in PARTS)]:
                    yield from filter(_telling, _patterns(part, means))


def _telling(text: str) -> bool:
    return any(letter.isalpha() for letter in text) and (PLACE not in text or bool(patterns([text])))


def _meanings(module: ast.Module) -> dict[str, list[ast.expr]]:
    """What the names of a module may stand for: what is assigned to them, or what functions of that name return."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for node in ast.walk(module):
        match node:
            case ast.Assign(targets=[target], value=value):
                _assigned(target, value, found)
            case ast.FunctionDef(name=name):
                found[name] += [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value]
    return found


def _assigned(target: ast.expr, value: ast.expr, found: dict[str, list[ast.expr]]) -> None:
    match target, value:
        case ast.Name(id=name), _:
            found[name].append(value)
        case ast.Tuple(), ast.IfExp(body=first, orelse=second):
            _assigned(target, first, found)
            _assigned(target, second, found)
        case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
            for one, its in zip(targets, values, strict=True):
                _assigned(one, its, found)


def _patterns(node: ast.expr, means: Mapping[str, list[ast.expr]], depth: int = 4) -> list[str]:
    """The texts that an expression may be, with a place for each part that only the run knows."""
    if depth == 0:
        return []

    def each(*parts: ast.expr) -> list[str]:
        return [text for part in parts for text in _patterns(part, means, depth - 1)]

    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            whole = "".join(str(part.value) if isinstance(part, ast.Constant) else PLACE for part in parts)
            return [whole, *each(*(part.value for part in parts if isinstance(part, ast.FormattedValue)))]
        case ast.IfExp(body=first, orelse=second):
            return each(first, second)
        case ast.GeneratorExp(elt=one):
            return each(one)
        case ast.BoolOp(values=parts):
            return each(*parts)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return [before + after for before in each(left) for after in each(right)]
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
            return each(*means.get(name, []))
    return []


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

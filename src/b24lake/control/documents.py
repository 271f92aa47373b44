"""The pages of documentation that come with b24lake, as Markdown: in a checkout docs/, else what the package holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import b24lake

INDEX = "index"
CONNECTOR = ("bitrix", "streams", "data-model")
"""The pages that together tell of the connector."""
_LISTED = re.compile(
    r"^- \[(?P<title>[^\]]+)\]\((?P<name>[a-z-]+)\.md\): (?P<about>.*?)(?=^- |\Z)", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"#{1,3} (.*)")
_MARKUP = re.compile(r"<[^>]+>|[`*_|]|\]\([^)]*\)|\[")


@dataclass(frozen=True, slots=True)
class Page:
    """A page: the name of its file without `.md`, and what the list of pages says of it."""

    name: str
    title: str
    about: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page under a heading, as plain text."""

    page: Page
    heading: str
    text: str

    @property
    def searched(self) -> str:
        """What words are looked for in."""
        return f"{self.heading} {self.text}".casefold()


def folder() -> Path:
    """Where the pages are."""
    package = Path(b24lake.__file__).parent
    inside = package / "docs"
    return inside if inside.is_dir() else package.parents[1] / "docs"


@cache
def pages() -> tuple[Page, ...]:
    """The pages in the order of the list in `index.md`."""
    return tuple(
        Page(found["name"], found["title"], " ".join(found["about"].split())) for found in _LISTED.finditer(text(INDEX))
    )


def page(name: str) -> Page | None:
    """The page of this name; None where there is none."""
    return next((each for each in pages() if each.name == name), None)


@cache
def text(name: str) -> str:
    """A page as it was written. Raises OSError where there is none."""
    return (folder() / f"{name}.md").read_text("utf-8")


def found(words: str, most: int = 30) -> tuple[Section, ...]:
    """The parts of pages that hold all of the words, in any case; those with a word in their heading come first."""
    asked = words.casefold().split()
    fitting = [each for each in sections() if asked and all(word in each.searched for word in asked)]
    fitting.sort(key=lambda each: not any(word in each.heading.casefold() for word in asked))
    return tuple(fitting[:most])


@cache
def sections() -> tuple[Section, ...]:
    """The parts of all pages."""
    return tuple(each for one in pages() for each in _sections(one))


def _sections(of: Page) -> Iterator[Section]:
    heading, lines, code = "", list[str](), False
    for line in text(of.name).splitlines():
        code ^= line.startswith("```")
        head = None if code else _HEADING.fullmatch(line)
        if head:
            yield from _section(of, heading, lines)
            heading, lines = head[1].replace("`", ""), []
        lines.append(line)
    yield from _section(of, heading, lines)


def _section(of: Page, heading: str, lines: list[str]) -> Iterator[Section]:
    if heading:
        plain = " ".join(_MARKUP.sub(" ", "\n".join(lines[1:])).split())
        yield Section(of, heading, plain)

"""Markdown of our own pages as HTML: links lead to the pages of the app, headings can be linked to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

HELP = "/help"
REPOSITORY = "https://github.com/b24lake/b24lake/blob/main"
_PAGE = re.compile(r"(?P<name>[a-z-]+)\.md(?P<place>#.*)?")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading and the anchor that leads to it."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page: its title, which its body does not repeat, and the headings below it."""

    title: str
    body: Markup
    headings: tuple[Heading, ...]


def rendered(text: str, *, below: int = 0) -> Rendered:
    """A page of ours. `below`: how many levels its headings go down, the title then being one of them."""
    tokens = list(_fit(_parser().parse(text), below))
    headings = tuple(_headings(tokens))
    title = next((each.text for each in headings if each.level == 1 + below), "")
    if not below:
        tokens = list(_without_title(tokens))
        headings = tuple(each for each in headings if each.level > 1)
    # The pages are written by us and come with the program; nothing that anybody enters is in them.
    body = Markup(_parser().renderer.render(tokens, _parser().options, {}))  # noqa: S704
    return Rendered(title, body, headings)


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it.

    >>> anchor("Retries and failures"), anchor("What `X` is: 1st")
    ('retries-and-failures', 'what-x-is-1st')
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def address(link: str) -> str:
    """Where a link of a page leads in the app.

    >>> address("lake.md#layers"), address("#here"), address("https://delta.io"), address("../README.md")
    ('/help/lake#layers', '#here', 'https://delta.io', 'https://github.com/b24lake/b24lake/blob/main/README.md')
    """
    page = _PAGE.fullmatch(link)
    if page:
        return HELP + (f"/{page['name']}" if page["name"] != "index" else "") + (page["place"] or "")
    return f"{REPOSITORY}/{link.removeprefix('../')}" if link.startswith("../") else link


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    for name, rule in {"fence": _fence, "table_open": _table_open, "table_close": _table_close}.items():
        parser.add_render_rule(name, rule)
    return parser


def _fence(renderer: Any, tokens: list[Token], place: int, options: Any, env: Any) -> str:
    """Examples can be wider than the page, and are moved with the keyboard as well."""
    shown: str = renderer.fence(tokens, place, options, env)
    return shown.replace("<pre>", '<pre tabindex="0">', 1)


def _table_open(*_: Any) -> str:
    return '<div class="table-responsive" tabindex="0"><table class="table table-sm">\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"


def _fit(tokens: Iterable[Token], below: int) -> Iterator[Token]:
    """The tokens as this app shows them: without comments, pictures, and diagrams that it draws itself."""
    heading: Token | None = None
    for token in tokens:
        if (token.type == "html_block" and token.content.startswith("<!--")) or token.info.strip() == "mermaid":
            continue
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{int(token.tag[1]) + below}"
            heading = token if token.type == "heading_open" else None
        elif token.type == "inline":
            token.children = list(_inline(token.children or ()))
            if heading is not None:
                heading.attrSet("id", anchor(_plain(token)))
        yield token


def _inline(children: Iterable[Token]) -> Iterator[Token]:
    for child in children:
        if child.type == "link_open":
            child.attrSet("href", address(str(child.attrGet("href"))))
        if child.type != "image":
            yield child


def _headings(tokens: list[Token]) -> Iterator[Heading]:
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            yield Heading(int(token.tag[1]), _plain(tokens[place + 1]), str(token.attrGet("id")))


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or ())


def _without_title(tokens: Iterable[Token]) -> Iterator[Token]:
    title = False
    for token in tokens:
        title = title or (token.type == "heading_open" and token.tag == "h1")
        if not title:
            yield token
        title = title and token.type != "heading_close"

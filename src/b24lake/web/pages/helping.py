"""The documentation inside the app: the pages of docs/, that of the connector, and the index for language models."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from b24lake.control import documents
from b24lake.web.asking import Asked
from b24lake.web.markdown import HELP, Rendered, anchor, rendered

router = APIRouter(include_in_schema=False)
MARKDOWN = "text/markdown"
CONCEPTS = ("triggers", "sync-types", "layers", "retention")
"""The pages that the screens refer to."""


@router.get(HELP)
def index(asked: Asked, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """What there is to read; the parts that hold all the words of a search."""
    found = [(each, f"{HELP}/{each.page.name}#{anchor(each.heading)}") for each in documents.found(q)]
    return asked.page(
        "help/index.html",
        section="help",
        q=q,
        found=found,
        pages=[each for each in documents.pages() if each.name not in {*CONCEPTS, *documents.CONNECTOR}],
        of_connector=[each for each in documents.pages() if each.name in documents.CONNECTOR],
    )


@router.get(f"{HELP}/{{name}}.md")
def markdown(name: str) -> Response:
    """A page as it was written."""
    if documents.page(name) is None:
        raise HTTPException(404)
    return PlainTextResponse(documents.text(name), media_type=MARKDOWN)


@router.get(f"{HELP}/{{name}}")
def page(asked: Asked, name: str) -> Response:
    """One page of the documentation."""
    if name == documents.INDEX:
        return RedirectResponse(HELP)
    if documents.page(name) is None:
        raise HTTPException(404)
    return asked.page("help/page.html", section="help", name=name, document=_document(name), pages=documents.pages())


@router.get("/sources/bitrix")
def connector(asked: Asked) -> Response:
    """Bitrix24 as a data source: what it is, every stream, the data model, what to know."""
    first, *others = documents.CONNECTOR
    below = [(name, _document(name, 1)) for name in others]
    return asked.page("help/connector.html", section="sources", document=_document(first), parts_below=below)


@router.get("/llms.txt")
def llms(asked: Asked) -> Response:
    """The index of all pages for language models (llmstxt.org): links, and nothing of this installation."""
    base = str(asked.request.base_url).rstrip("/")
    connector = documents.page(documents.CONNECTOR[0])
    lines = [
        "# b24lake",
        "",
        f"> {connector.title}: {connector.about}" if connector else "",
        "",
        "b24lake reads Bitrix24 portals into Delta Lake tables and answers SQL over them. The documentation is open;",
        "the skills file and the other pages of this installation need a login where people log in.",
        "",
        "## Documentation",
        "",
        *(f"- [{each.title}]({base}{HELP}/{each.name}.md): {each.about}" for each in documents.pages()),
        "",
        "## Skills",
        "",
        f"- [Skills file]({base}/sources/bitrix.md): the connector, and the tables, columns and joins that are here",
        "",
    ]
    return PlainTextResponse("\n".join(lines), media_type="text/plain")


@cache
def _document(name: str, below: int = 0) -> Rendered:
    return rendered(documents.text(name), below=below)

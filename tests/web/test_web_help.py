"""The documentation inside the app is that of docs/: every page, every link, every stream; found by its words."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import people
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page, expect
from web_site import Web, words

from b24lake.control import documents
from b24lake.streams.documentation import catalogue
from b24lake.web.markdown import address, rendered

DOCS = Path(__file__).parents[2] / "docs"
CONCEPTS = ("triggers", "sync-types", "layers", "retention")
LINK = re.compile(r'href="(/[^"]*|#[^"]+)"')


def test_every_page_of_the_documentation_is_listed() -> None:
    assert documents.folder() == DOCS
    assert {page.name for page in documents.pages()} == {path.stem for path in DOCS.glob("*.md")} - {"index"}


def test_every_page_is_shown_with_its_title_once(web: Web) -> None:
    for page in documents.pages():
        text, shown = documents.text(page.name), web.get(f"/help/{page.name}").text
        title = rendered(text).title
        assert text.startswith(f"# {title}\n")
        assert shown.count("<h1") == 1
        assert title in words(shown)
        body = shown.partition('document" lang="en">')[2].partition("</article>")[0]
        assert len(words(body)) > 500
        assert not re.search("<!--|<img|flowchart|style=|<script", body)
        assert web.get(f"/help/{page.name}.md").text == text


def test_every_link_between_the_pages_leads_somewhere(web: Web) -> None:
    known: dict[str, str] = {}

    def anchors(path: str) -> str:
        if path not in known:
            answer = web.get(path, follow_redirects=True)
            known[path] = answer.text if answer.status_code == 200 else ""
        return known[path]

    pages = [f"/help/{page.name}" for page in documents.pages()] + ["/help", "/sources/bitrix"]
    wrong = []
    for path in pages:
        for link in LINK.findall(anchors(path)):
            there = urlsplit(link)
            text = anchors(there.path or path)
            if not text or (there.fragment and f'id="{there.fragment}"' not in text):
                wrong.append(f"{path}: {link}")
    assert wrong == []


def test_the_help_says_what_the_words_mean(web: Web) -> None:
    page = web.get("/help").text
    assert all(f'id="{topic}"' in page and f'href="/help/{topic}"' in page for topic in CONCEPTS)
    assert "INCREMENTAL" in words(page)
    assert "37 in all" in web.text("/help/retention")
    assert "Additional full sync" in web.text("/help/sync-types")
    assert "`raw`" not in web.text("/help/layers")


def test_the_page_of_the_connector_tells_all_streams_the_model_and_what_to_know(web: Web) -> None:
    page = web.get("/sources/bitrix").text
    assert re.search(r"<h1[^>]*>Bitrix24 as a data source</h1>", page)
    for stream in catalogue():
        entry = page.partition(f"<summary><b>{stream.name}</b>")[2].partition("</details>")[0]
        assert stream.key in entry, stream.name
        assert "replication key" in entry
    said = words(page)
    for told in ("offered only when they are switched on", "limits deals to the chosen", "operating time threshold"):
        assert told in said
    assert "Contacts and companies stand alone" in said
    assert 'href="/llms.txt"' in page
    assert web.get("/sources/bitrix24").status_code != 200  # a source of that name is another matter


def test_the_documentation_is_found_by_its_words(web: Web) -> None:
    page = web.get("/help", params={"q": "CLOCKS cron"}).text
    assert 'href="/help/triggers#where-clocks-are-changed"' in page
    assert "Nothing holds all of these words" in web.text("/help?q=unobtainium")
    assert web.get("/help", params={"q": "%"}).status_code == 200
    assert "<b>x" not in web.get("/help", params={"q": "<b>x"}).text
    assert web.get("/help", params={"q": "x" * 10_000}).status_code == 422


def test_anchors_of_what_is_found_are_there(web: Web) -> None:
    for name in ("triggers", "lake", "streams"):
        page = web.get(f"/help/{name}").text
        headings = [each.heading for each in documents.sections() if each.page.name == name][1:]
        anchors = {each.text: each.anchor for each in rendered(documents.text(name)).headings}
        assert headings == list(anchors)
        assert all(f'id="{anchor}"' in page for anchor in anchors.values())


@given(st.text(max_size=60))
def test_any_search_is_answered(text: str) -> None:
    assert len(documents.found(text)) <= 30


@pytest.mark.parametrize("path", ["/help/nothing", "/help/nothing.md", "/help/..%2F..%2Fpyproject", "/help/index.md"])
def test_a_page_that_is_not_there(web: Web, path: str) -> None:
    assert web.get(path).status_code == 404


def test_language_models_find_an_index_of_links(web: Web) -> None:
    answer = web.get("/llms.txt")
    assert answer.headers["content-type"].startswith("text/plain")
    title, _, summary, *_ = answer.text.splitlines()
    assert (title, summary[:2]) == ("# b24lake", "> ")
    links = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): .+$", answer.text, re.MULTILINE)
    assert len(links) == len(documents.pages()) + 1
    assert links[-1] == f"{web.address}/sources/bitrix.md"
    for link in links[:-1]:
        assert httpx.get(link).headers["content-type"].startswith("text/markdown")


def test_where_people_log_in_the_documentation_is_open_to_programs_and_nothing_else(
    start: Callable[..., Web],
) -> None:
    web = start(login=True)
    people.account(web.site, "ann", role="viewer")
    assert web.get("/llms.txt").status_code == 200
    assert web.get("/help/streams.md").status_code == 200
    for path in ("/help", "/help/streams", "/sources/bitrix", "/catalog/model", "/help/a/b.md", "/llms.txt.md"):
        answer = web.get(path)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login"), path


def test_in_another_language_the_pages_say_which_theirs_is(web: Web) -> None:
    page = web.get("/help/triggers", headers={"Accept-Language": "pt-BR"}).text
    assert 'lang="pt-BR"' in page
    assert '<div class="card-body document" lang="en">' in page


def test_a_source_cannot_take_the_address_of_the_documentation(web: Web) -> None:
    assert web.source("Bitrix", "deals") == "bitrix-2"
    assert "What Bitrix24 is" in web.text("/sources/bitrix")


def test_a_link_to_a_stream_opens_its_entry(web: Web, page: Page) -> None:
    page.goto("/sources/bitrix#deals")
    expect(page.locator("#deals")).to_have_attribute("open", "")
    expect(page.locator("#leads")).not_to_have_attribute("open", "")
    page.goto("/help")
    page.get_by_label("Search the help").fill("funnel")
    page.keyboard.press("Enter")
    page.locator(".list-group-item").first.click()
    page.wait_for_url("**/help/*#*")


@pytest.mark.parametrize(
    ("link", "there"),
    [
        ("index.md", "/help"),
        ("index.md#pages", "/help#pages"),
        ("streams.md", "/help/streams"),
        ("../CHANGELOG.md", "https://github.com/b24lake/b24lake/blob/main/CHANGELOG.md"),
        ("mailto:x@example.com", "mailto:x@example.com"),
    ],
)
def test_links_of_a_page_are_made_to_fit_the_app(link: str, there: str) -> None:
    assert address(link) == there

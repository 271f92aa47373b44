"""The list of sources: what it shows, how it is searched, and what can be done to a source from there."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from source_pages import ran, state_of
from sqlalchemy import event, select
from web_site import Web, words

from b24lake.control.models import Run
from b24lake.control.worker import Worker
from b24lake.sandbox import Server

HTMX = {"HX-Request": "true"}


def names(web: Web, query: str = "") -> list[str]:
    """The sources of the list, in its order."""
    page = web.get(f"/sources{query}").text
    return re.findall(r'class="fw-bold[^"]*" href="[^"]+">([^<]+)</a>', page)


def test_without_sources_the_page_says_how_to_begin(web: Web) -> None:
    said = web.text("/sources")
    assert "No sources yet" in said
    assert "1. Connect" in said
    assert web.get("/sources").text.count('href="/sources/new"') == 2


def test_the_list_tells_how_each_source_is(web: Web) -> None:
    good = web.source("good")
    bad = web.source("bad", url="https://b.bitrix24.com/rest/1/SECRETSECRET/")
    web.source("draft", active=False, url="https://c.bitrix24.com/rest/1/SECRETSECRET/")
    ran(web, good, "success", 30, rows_read=4321)
    ran(web, bad, "success", 3)
    ran(web, bad, "failed", 2)
    page = web.get("/sources").text
    said = words(page)
    assert "Healthy 1 day ago by hand 4,321" in said
    assert "Of the last 2 runs, 1 succeeded and 1 failed." in said
    assert "Failing 3 hours ago" in said
    assert 'href="/sources/draft/setup"' in page
    assert "Finish set-up" in said
    assert "SECRETSECRET" not in page


def test_names_and_descriptions_are_text_and_nothing_else(web: Web) -> None:
    about = "<img src=x onerror=alert(1)>"
    web.source("<script>alert(1)</script>", prefix="x_", description=about)
    one = "/sources/script-alert-1-script"
    for path in ("/sources", one, f"{one}/settings", f"{one}/delete", f"{one}/triggers/new"):
        page = web.get(path).text
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Alpha", "beta", "Gamma"]),
        ("?q=ALP", ["Alpha"]),
        ("?q=team+sales", ["beta"]),
        ("?q=nothing", []),
        ("?q=acme2", ["Gamma"]),
        ("?state=failing", ["beta"]),
        ("?state=new", ["Gamma"]),
        ("?state=queued", ["Alpha"]),
        ("?state=bogus&sort=bogus&page=x", ["Alpha", "beta", "Gamma"]),
        ("?sort=health", ["beta", "Gamma", "Alpha"]),
        ("?sort=rows", ["Alpha", "beta", "Gamma"]),
        ("?sort=success", ["beta", "Gamma", "Alpha"]),
        ("?page=99", ["Alpha", "beta", "Gamma"]),
    ],
)
def test_the_list_is_searched_filtered_and_sorted_by_its_address(web: Web, query: str, found: list[str]) -> None:
    for number, name in enumerate(["Alpha", "beta", "Gamma"]):
        said = "Sales of the team" if name == "beta" else ""
        url = f"https://acme{number}.bitrix24.com/rest/1/SECRETSECRET/"
        web.source(name, url=url, description=said)
    ran(web, "alpha", "success", 3, rows_read=100)
    ran(web, "alpha", "queued", 1)
    ran(web, "beta", "failed", 2)
    assert names(web, query) == found
    assert ("No matches" in web.text(f"/sources{query}")) == (not found)


def test_htmx_gets_the_list_alone_and_an_address_for_it(web: Web) -> None:
    web.source("a")
    answer = web.get("/sources?q=a&sort=health", headers=HTMX)
    assert "<html" not in answer.text
    assert answer.headers["hx-replace-url"] == "/sources?q=a&sort=health"
    assert answer.headers["vary"] == "HX-Request"


def test_many_sources_are_shown_page_by_page_with_as_many_queries_as_one(web: Web) -> None:
    asked: list[str] = []
    event.listen(web.site.database.engine, "before_cursor_execute", lambda *what: asked.append(what[2]))
    counts = []
    for number in range(27):
        web.source(f"s{number:02}", url=f"https://p{number}.bitrix24.com/rest/1/SECRETSECRET/")
        if number in {1, 26}:
            asked.clear()
            web.get("/sources")
            counts.append(len(asked))
    assert counts[0] == counts[1]
    assert len(names(web)) == 25
    assert names(web, "?page=2") == ["s25", "s26"]
    assert "27 sources" in web.text("/sources")


# --- what can be done -------------------------------------------------------------------------------------------------


def test_the_arrow_pressed_twice_is_one_run_and_the_second_is_told(web: Web) -> None:
    web.source("a")
    first = web.post("/sources/a/run", headers=HTMX)
    assert "The run is in the queue" in first.text
    assert 'id="list"' in first.text
    second = web.post("/sources/a/run", headers=HTMX)
    assert "A run waits already" in second.text
    with web.site.database.reading() as session:
        [run] = session.scalars(select(Run)).all()
    assert (run.requested_by, run.full) == ("ann", False)
    assert f"/runs/{run.id}" in second.text


def test_a_full_sync_is_another_run(web: Web) -> None:
    web.source("a")
    web.post("/sources/a/run")
    assert "The run is in the queue" in web.post("/sources/a/run", {"full": "on"}, headers=HTMX).text
    with web.site.database.reading() as session:
        assert sorted(session.scalars(select(Run.full))) == [False, True]


def test_without_scripts_the_arrow_leads_back_and_says_it_once(web: Web) -> None:
    web.source("a")
    answer = web.post("/sources/a/run", headers={"Referer": f"{web.address}/sources/a?x=1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sources/a")
    assert "The run is in the queue" in web.text("/sources/a")
    assert "The run is in the queue" not in web.text("/sources/a")
    elsewhere = web.post("/sources/a/run", headers={"Referer": "https://evil.example/login"})
    assert elsewhere.headers["location"] == "/sources"


def test_a_source_is_paused_resumed_and_copied(web: Web) -> None:
    web.source("a")
    assert "a is paused" in web.post("/sources/a/pause", headers=HTMX).text
    assert state_of(web, "a") == "paused"
    assert web.post("/sources/a/pause").status_code == 400
    again = web.post("/sources/a/pause", headers=HTMX)  # the list stays where it is, with the reason beside it
    assert (again.status_code, 'id="list"' in again.text, "cannot be paused" in again.text) == (200, True, True)
    web.post("/sources/a/resume")
    assert state_of(web, "a") == "active"
    assert web.post("/sources/a/duplicate").headers["location"] == "/sources/a-copy/setup"
    assert state_of(web, "a-copy") == "draft"
    assert "draft" in web.post("/sources/a-copy/run", headers=HTMX).text


@pytest.mark.parametrize("path", ["", "/run", "/pause", "/resume", "/duplicate", "/delete"])
def test_a_form_without_its_token_does_nothing(web: Web, path: str) -> None:
    web.source("a")
    if path:
        assert web.client.post(f"/sources/a{path}", data={"tables": "keep"}).status_code == 403
    assert state_of(web, "a") == "active"
    assert web.post(f"/sources/nobody{path}", {"tables": "keep"}).status_code in {400, 404, 405}


def test_a_source_without_tables_is_deleted_at_once(web: Web) -> None:
    web.source("a")
    assert "It has no tables yet" in web.text("/sources/a/delete")
    assert web.post("/sources/a/delete").headers["location"] == "/sources"
    assert state_of(web, "a") is None
    assert "a is deleted" in web.text("/sources")


def test_the_word_new_is_no_id(web: Web) -> None:
    assert web.source("new") == "new-2"


def test_run_and_delete_with_tables_in_the_browser(
    page: Page, web: Web, worker: Worker, serve: Callable[..., Server]
) -> None:
    portal = serve()
    web.source("Sales", "users", "departments", url=portal.url, prefix="sales_")
    page.goto("/sources")
    page.get_by_role("button", name="Run now: Sales").click()
    expect(page.locator("#messages")).to_contain_text("The run is in the queue")
    page.get_by_role("heading", name="Sources").click()  # while something has the focus, the list stands still
    page.evaluate("document.activeElement.blur()")
    expect(page.locator("#list")).to_contain_text("Healthy", timeout=60_000)
    expect(page.locator("#list .strip-success")).to_have_count(1)
    page.get_by_role("button", name="More: Sales").click()
    page.get_by_role("link", name="Delete…").click()
    expect(page.get_by_text("raw.sales_users")).to_be_visible()
    page.get_by_role("button", name="Delete the source").click()
    expect(page).to_have_url(re.compile("/delete$"))  # it has not been said what becomes of the tables
    page.get_by_label("Remove them").check()
    page.get_by_role("button", name="Delete the source").click()
    expect(page.get_by_text("Sales is deleted.")).to_be_visible()
    assert not (web.site.here.lake / "raw" / "sales_users").exists()
    assert worker.most == 2


def test_search_is_live_and_a_phone_needs_no_sideways_scrolling(page: Page, web: Web) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    for number, name in enumerate(["A rather long name of a source that breaks", "Beta"]):
        source = web.source(name, url=f"https://acme{number}.bitrix24.com/rest/1/SECRETSECRET/", prefix=f"x{number}_")
        ran(web, source, "success", 5)
    page.goto("/sources")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("Search").fill("bet")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=bet$"))
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_lost_connection_is_told_and_comes_back(context: BrowserContext, web: Web) -> None:
    ran(web, web.source("a"), "queued")
    tab = context.new_page()  # not `page`: the browser itself reports each request that fails
    tab.goto("/sources")
    context.set_offline(True)
    expect(tab.get_by_text("The connection is lost.")).to_be_visible()
    context.set_offline(False)
    expect(tab.get_by_text("The connection is lost.")).not_to_be_visible()
    expect(tab.get_by_role("link", name="a", exact=True)).to_be_visible()

"""The catalog: layers, folders, tables, the search over them, and what can be changed there; and the help page."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from lake_rows import Deals, rows
from people import PASSWORD, account, csrf, log_in
from playwright.sync_api import Page, expect
from web_site import Web, words

from b24lake.control import audit, runs
from b24lake.control.runs import ENDED
from b24lake.control.worker import Worker
from b24lake.lake import catalog, layers
from b24lake.sandbox import Server

HTMX = {"HX-Request": "true"}
DEALS = "/catalog/raw/bitrix24_deals"


@pytest.fixture
def deals(web: Web) -> Deals:
    """A table in the app's lake."""
    made = Deals(web.site.here.lake)
    made.full(rows([1, 2]))
    return made


def names(page: str) -> list[str]:
    """The tables that a page of the catalog lists, in its order."""
    return re.findall(r'href="/catalog/([\w%.-]+/[\w%.-]+)">', page)


def folder_of(deals: Deals) -> str:
    return next(one.folder for one in catalog.tables(deals.lake) if one.name == "bitrix24_deals")


def test_before_the_first_run_there_are_layers_without_tables(web: Web) -> None:
    said = web.text("/catalog")
    assert said.count("No tables yet") == 4
    assert "only after at least one successful run" in said
    assert web.get("/catalog/raw/nothing").status_code == 404


def test_a_table_is_there_after_its_run(web: Web, worker: Worker, serve: Callable[..., Server], page: Page) -> None:
    server = serve()
    server.portal.change("deals", next(iter(server.portal.tables["deals"].ids)), {"TITLE": "<i>Tilted</i>"})
    source = web.source("crm", "deals", "departments", url=server.url)
    web.get("/catalog")
    run = runs.request(web.site.database, source, web.site.clock())
    web.awaited(lambda: runs.shown(web.site.database, run)["state"] in ENDED)
    said = web.text("/catalog")
    assert "crm_deals Deals deals 260" in said
    assert "crm_departments" in said
    assert "STAGE_ID string Deal Stage" in web.text("/catalog/raw/crm_deals")
    found = web.get("/catalog/raw/crm_deals/rows?whole=on").text
    assert found.count("<tr>") == 51
    assert "<i>Tilted</i>" not in found
    page.goto("/catalog")
    page.get_by_role("searchbox", name="Search").fill("Deal stage")
    page.get_by_role("status").get_by_text("1 table found").wait_for()
    page.get_by_role("link", name="crm_deals").click()
    assert page.locator("h1").inner_text() == "raw.crm_deals"
    page.get_by_role("link", name="Rows").click()
    page.get_by_role("columnheader", name="OPPORTUNITY Amount", exact=True).wait_for()
    page.get_by_role("link", name="Readable", exact=True).click()
    page.get_by_role("columnheader", name="STAGE_ID_LABEL", exact=True).wait_for()


def test_tables_stand_by_layer_and_folder(web: Web, deals: Deals) -> None:
    write_deltalake(str(deals.lake / "gold" / "report"), pa.table({"a": [1]}))
    layers.add(deals.lake, "silver", "Between <b>raw</b> and gold")
    page = web.get("/catalog").text
    assert names(page) == ["raw/bitrix24_deals", "gold/report"]
    headings = re.findall(r"<h[23][^>]*>([^<]+)</h[23]>", page)
    assert headings == ["raw", "bitrix24", "trusted", "service", "silver", "gold"]
    assert "Between &lt;b&gt;raw&lt;/b&gt; and gold" in page


@pytest.mark.parametrize(
    ("query", "found", "said"),
    [
        ("deals", ["raw/bitrix24_deals"], "1 table found"),
        ("TITLE", ["raw/bitrix24_deals"], "TITLE Title"),
        ("кириллица", ["raw/odd"], "order Кириллица <b>bold</b>"),
        ("<b>bold", ["raw/odd"], "1 table found"),
        ("deals title", ["raw/bitrix24_deals"], "1 table found"),
        ("deals nothing", [], "No matches"),
        ("%", [], "No matches"),
        ("x" * 10_000, [], "No matches"),
        ("  ", ["raw/bitrix24_deals", "raw/odd"], "only after at least one"),
    ],
)
def test_the_search_finds_names_and_labels_as_they_are(
    web: Web, deals: Deals, query: str, found: list[str], said: str
) -> None:
    field = pa.field("order", pa.int64(), metadata={"comment": "Кириллица <b>bold</b>"})
    write_deltalake(str(deals.lake / "raw" / "odd"), pa.table([pa.array([1])], schema=pa.schema([field])))
    answer = web.get("/catalog", params={"q": query})
    assert sorted(names(answer.text)) == found
    assert said in words(answer.text)
    assert "<b>bold" not in answer.text
    part = web.get("/catalog", params={"q": query}, headers=HTMX)
    assert sorted(names(part.text)) == found
    assert "<html" not in part.text
    assert part.headers["hx-replace-url"].startswith("/catalog")


def test_a_broken_table_is_told_beside_the_others(web: Web, deals: Deals) -> None:
    broken = deals.lake / "raw" / "broken" / "_delta_log"
    broken.mkdir(parents=True)
    (broken / f"{0:020}.json").write_text("{")
    said = web.text("/catalog")
    assert "broken It cannot be read: The Delta table" in said
    assert "bitrix24_deals" in said
    answer = web.get("/catalog/raw/broken")
    assert answer.status_code == 503
    assert "cannot be read" in answer.text


def test_many_tables_come_in_several_looks(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("b24lake.lake.index.Index.look.__kwdefaults__", {"patience": 0})
    for number in range(20):
        write_deltalake(str(web.site.here.lake / "raw" / f"t{number:02}"), pa.table({"a": [1]}))
    page = web.get("/catalog").text
    assert "more tables are being looked at" in page
    assert 'hx-trigger="load' in page
    for _ in range(10):
        page = web.get("/catalog", headers=HTMX).text
    assert len(names(page)) == 20
    assert 'hx-trigger="load' not in page


# --- layers -----------------------------------------------------------------------------------------------------------


def test_layers_are_added_described_and_deleted(web: Web, deals: Deals) -> None:
    answer = web.post("/catalog/layers", {"name": "gold", "description": "<b>Reports</b>"})
    assert answer.headers["location"] == "/catalog/layers"
    page = web.get("/catalog/layers").text
    assert 'value="&lt;b&gt;Reports&lt;/b&gt;"' in page
    assert "The layer gold is there now." in words(page)
    web.post("/catalog/layer-description", {"name": "raw", "description": "As sent"})
    web.post("/catalog/layer-removal", {"name": "gold"})
    told = {one.name: one.description for one in layers.layers(deals.lake)}
    assert (told["raw"], "gold" in told) == ("As sent", False)
    assert [one.action for one in audit.entries(web.site.database, "layer gold")] == ["deleted", "added"]
    assert 'aria-label="Delete the layer raw"' not in web.get("/catalog/layers").text


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("/catalog/layers", {"name": "raw"}, "has a layer &#39;raw&#39; already"),
        ("/catalog/layers", {"name": "a/b<i>"}, "cannot be the name of a layer"),
        ("/catalog/layers", {"name": ""}, "cannot be the name of a layer"),
        ("/catalog/layer-description", {"name": "none", "description": "x"}, "no layer &#39;none&#39;"),
        ("/catalog/layer-description", {"name": "raw", "description": "x" * 5000}, "at most 4,000 signs"),
        ("/catalog/layer-removal", {"name": "raw"}, "is not empty"),
    ],
)
def test_a_layer_that_cannot_be_is_told_in_the_form(
    web: Web, deals: Deals, path: str, data: dict[str, str], said: str
) -> None:
    before = layers.layers(deals.lake)
    answer = web.post(path, data)
    assert answer.status_code == 400
    assert said in answer.text
    assert layers.layers(deals.lake) == before


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_table_is_put_into_another_folder(web: Web, deals: Deals) -> None:
    assert 'value="bitrix24"' in web.get(DEALS).text
    answer = web.post(f"{DEALS}/folder", {"folder": "Sales & <more>"})
    assert answer.headers["location"] == DEALS
    assert folder_of(deals) == "Sales & <more>"
    page = web.get("/catalog").text
    assert "Sales &amp; &lt;more&gt;</h3>" in page
    web.post(f"{DEALS}/folder", {"folder": ""})
    assert folder_of(deals) == ""
    assert web.post(f"{DEALS}/folder", {"folder": "x" * 500}).status_code == 400
    assert web.post("/catalog/raw/nothing/folder", {"folder": "x"}).status_code == 404


def test_a_folder_is_renamed(web: Web, deals: Deals) -> None:
    web.source("crm", folder="bitrix24")
    page = web.get("/catalog").text
    link = html.unescape(re.findall(r'href="(/catalog/folder[^"]+)"', page)[0])
    assert "1 table bitrix24_deals" in web.text(link)
    answer = web.post("/catalog/folder", {"layer": "raw", "name": "bitrix24", "new": "sales"})
    assert answer.headers["location"] == "/catalog"
    assert folder_of(deals) == "sales"
    assert web.site.database.reading
    wrong = web.post("/catalog/folder", {"layer": "raw", "name": "sales", "new": "x" * 101})
    assert (wrong.status_code, folder_of(deals)) == (400, "sales")
    assert web.get("/catalog/folder?layer=raw&name=bitrix24").status_code == 404
    assert web.get("/catalog/folder").status_code == 404


def test_viewers_look_and_only_managers_delete_layers(start: Callable[..., Web], visit: Callable[[Web], Web]) -> None:
    web = start(login=True)
    Deals(web.site.here.lake).full(rows([1]))
    for role in ("viewer", "editor", "manager"):
        account(web.site, role, role)
    allowed: dict[str, list[Any]] = {}
    for role in ("viewer", "editor", "manager"):
        own = visit(web)
        log_in(own, role, PASSWORD)
        page = own.get("/catalog").text
        token = {"token": csrf(page)}
        posts = [
            ("/catalog/layers", {"name": f"of_{role}"}),
            (f"{DEALS}/folder", {"folder": role}),
            ("/catalog/layer-removal", {"name": "trusted"}),
        ]
        allowed[role] = [own.client.post(path, data={**token, **data}).status_code for path, data in posts]
        assert own.get(f"{DEALS}/export?format=csv").status_code == own.get(f"{DEALS}/rows").status_code == 200
        assert ("Rename this folder" in page) == (role != "viewer")
        assert own.get("/catalog/layers").status_code == (403 if role == "viewer" else 200)
    assert allowed == {"viewer": [403, 403, 403], "editor": [303, 303, 403], "manager": [303, 303, 303]}


def test_folders_open_and_close_and_stay_so(web: Web, deals: Deals, page: Page) -> None:
    page.goto("/catalog")
    link = page.get_by_role("link", name="bitrix24_deals")
    expect(link).to_be_visible()
    page.get_by_role("heading", name="bitrix24", exact=True).click()
    expect(link).to_be_hidden()
    page.reload()
    expect(link).to_be_hidden()
    page.get_by_role("searchbox", name="Search").fill("title")
    expect(link).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("")
    expect(link).to_be_hidden()
    page.locator("summary", has_text="bitrix24").focus()
    page.keyboard.press("Enter")
    expect(link).to_be_visible()


def test_the_help_says_what_the_words_mean(web: Web) -> None:
    page = web.get("/help").text
    assert all(f'id="{topic}"' in page for topic in ("triggers", "sync-types", "retention"))
    assert "INCREMENTAL" in words(page)

"""The data model as a page: the same relations in the diagram, beside it and in the list; joins that can be run."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect
from web_site import Web

from b24lake.lake.index import WHOLE
from b24lake.lake.place import Place
from b24lake.lake.query import query
from b24lake.portal.webhook import parse
from b24lake.sandbox import Portal, Server, Settings
from b24lake.sync import data_model
from b24lake.sync.home import Home
from b24lake.sync.options import Options
from b24lake.sync.run import sync

FEW = {"deals": 80, "contacts": 40, "companies": 20, "leads": 20, "activities": 20, "products": 20, "users": 20}
STREAMS = ("deals", "deal_fields", "contacts", "companies", "users", "departments", "open_lines", "product")
DEALS, CONTACTS = "raw.bitrix24_deals", "raw.bitrix24_contacts"
MODEL = "/catalog/model"


def read(home: Home, lake: Place, url: str, *streams: str, **options: Any) -> None:
    assert sync(parse(url), Options(lake=lake, streams=streams, **options), home).status == "success"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of a portal, to be copied."""
    folder = tmp_path_factory.mktemp("model")
    with Server(Portal(Settings(**FEW, threshold=0))) as server:
        read(Home(folder / "home"), folder / "lake", server.url, *STREAMS, deal_contacts=True)
    return folder / "lake"


@pytest.fixture
def filled(web: Web, lake: Path) -> Web:
    shutil.copytree(lake, Path(str(web.site.here.lake)), dirs_exist_ok=True)
    return web


def told(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="model">(.*?)</script>', page, re.DOTALL)
    assert found
    answer: dict[str, Any] = json.loads(found[1])
    return answer


def test_before_the_first_run_there_is_nothing_to_draw(web: Web) -> None:
    assert "It is here after the first successful run" in web.text(MODEL)


def test_the_list_holds_every_line_of_the_diagram(filled: Web) -> None:
    page = filled.get(MODEL).text
    drawn = told(page)
    names = {table["name"] for table in drawn["tables"]}
    assert {DEALS, CONTACTS, "raw.bitrix24_users"} <= names
    assert "raw.bitrix24_deal_fields" not in names
    lines = {(line["from"], line["to"]) for line in drawn["lines"]}
    assert {(DEALS, CONTACTS), (CONTACTS, "raw.bitrix24_companies")} <= lines
    assert set(re.findall(r'nowrap"><a href="[^"]*" data-from="([^"]+)" data-to="([^"]+)"', page)) == lines
    with_fields = told(filled.get(MODEL, params={"fields": "true"}).text)
    assert {"from": "raw.bitrix24_deal_fields", "to": DEALS, "count": 0, "columns": []} in with_fields["lines"]


def test_a_line_has_joins_that_run_as_they_are(filled: Web) -> None:
    page = filled.get(MODEL, params={"from": DEALS, "to": CONTACTS}).text
    shown = [unescape(sql) for sql in re.findall(r"<pre[^>]*><code[^>]*>(.*?)</code>", page, re.DOTALL)]
    linked = [
        parse_qs(urlsplit(unescape(link)).query)["sql"][0] for link in re.findall(r'href="(/query\?[^"]+)"', page)
    ]
    assert shown == linked
    assert any("unnest(CONTACT_IDS)" in sql for sql in shown)
    for sql in shown:
        assert query(filled.site.here.lake, sql).num_rows > 0


def test_a_part_of_the_page_is_what_the_page_shows(filled: Web) -> None:
    part = filled.get(f"{MODEL}/part", params={"table": DEALS}).text
    assert "<html" not in part
    assert part.strip() in filled.get(MODEL, params={"table": DEALS}).text
    assert "CONTACT_IDS" in part
    assert f"?from={CONTACTS}" in part  # what refers to it


def test_a_table_shows_its_joins_on_its_own_page(filled: Web) -> None:
    page = filled.get("/catalog/raw/bitrix24_deals").text
    assert 'hx-get="/catalog/raw/bitrix24_deals/relations"' in page
    assert f'href="/catalog/model?table={DEALS}"' in page
    part = filled.get("/catalog/raw/bitrix24_deals/relations").text
    assert "<html" not in part
    shown = [unescape(sql) for sql in re.findall(r"<pre[^>]*><code[^>]*>(.*?)</code>", part, re.DOTALL)]
    model = data_model.of_tables(filled.site.index.look(patience=WHOLE).tables)
    edges = [*model.from_table(DEALS), *model.to_table(DEALS)]
    assert sorted(shown) == sorted(edge.sql for edge in edges if edge.join)
    ids = re.findall(r'<code id="([^"]+)"', part)
    assert len(set(ids)) == len(ids) == len(shown)
    assert set(re.findall(r'data-copy="([^"]+)"', part)) == set(ids)
    assert "the definitions of its columns" in part  # of deal_fields
    assert "No table of this lake" in filled.get("/catalog/raw/nothing/relations").text


@pytest.mark.parametrize("asked", [{"table": "raw.nothing"}, {"from": DEALS, "to": "x' OR 1=1"}, {"table": "<b>"}])
def test_a_table_that_is_not_there_is_named(filled: Web, asked: dict[str, str]) -> None:
    answer = filled.get(MODEL, params=asked)
    assert answer.status_code == 400
    assert "in the data model" in answer.text
    assert "<b>" not in answer.text.replace("<b>b24lake", "")
    assert filled.get(MODEL, params={"table": "x" * 10_000}).status_code in {400, 422}


def test_portals_are_shown_side_by_side_or_one_alone(filled: Web) -> None:
    with Server(Portal(Settings(**FEW, threshold=0, seed=7))) as other:
        here = filled.site.here
        read(here.home, here.lake, other.url, "deals", "contacts", prefix="other_")
    drawn = told(filled.get(MODEL).text)
    of = {table["name"]: table["portal"] for table in drawn["tables"]}
    assert len(set(of.values())) == 2
    assert all(of[line["from"]] == of[line["to"]] for line in drawn["lines"])
    alone = told(filled.get(MODEL, params={"portal": of["raw.other_deals"]}).text)
    assert {table["name"] for table in alone["tables"]} == {"raw.other_deals", "raw.other_contacts"}


def test_markup_in_a_description_is_text(filled: Web) -> None:
    from deltalake import DeltaTable

    table = DeltaTable(str(filled.site.here.lake / "raw" / "bitrix24_deals"))
    table.alter.set_table_description("</script><i>All</i>")
    page = filled.get(MODEL, params={"table": DEALS}).text
    assert "<i>All</i>" not in page
    assert any(table["about"] == "</script><i>All</i>" for table in told(page)["tables"])


# --- in a browser -----------------------------------------------------------------------------------------------------


def test_a_relation_is_followed_with_the_mouse(filled: Web, page: Page) -> None:
    page.goto(MODEL)
    page.get_by_role("button", name=re.compile("^deals:")).click()
    part = page.locator("#part")
    expect(part.get_by_role("link", name=DEALS)).to_be_visible()
    expect(page.locator(".box.near")).not_to_have_count(0)
    part.get_by_role("link", name="CONTACT_IDS").click()
    expect(part.get_by_text("FROM raw.bitrix24_deals").first).to_be_visible()
    expect(page.locator(".line.chosen")).to_have_count(1)
    assert parse_qs(urlsplit(page.url).query) == {"from": [DEALS], "to": [CONTACTS]}
    page.reload()
    expect(page.locator(".line.chosen")).to_have_count(1)
    page.locator(".line .hit").first.dispatch_event("click")
    expect(part.get_by_role("button", name="Copy SQL").first).to_be_visible()


def test_the_diagram_is_walked_with_the_keyboard(filled: Web, page: Page) -> None:
    page.goto(MODEL)
    page.locator('.box[tabindex="0"]').focus()
    expect(page.locator('.box[tabindex="0"]')).to_have_count(1)
    seen = set()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
        seen.add(page.evaluate("document.activeElement.dataset.table"))
    assert len(seen) >= 2
    page.keyboard.press("Enter")
    expect(page.locator("#part")).to_be_focused()
    expect(page.locator(".box.chosen")).to_have_count(1)


def test_a_table_is_found_and_the_view_moves(filled: Web, page: Page) -> None:
    page.goto(MODEL)
    stage = page.locator("#diagram > g").first
    before = stage.get_attribute("transform")
    page.get_by_role("button", name="Larger").click()
    assert stage.get_attribute("transform") != before
    page.get_by_role("button", name="Show all").click()
    assert stage.get_attribute("transform") == before
    page.get_by_label("Find a table").fill("depart")
    page.keyboard.press("Enter")
    expect(page.locator("#part").get_by_role("link", name="raw.bitrix24_departments")).to_be_visible()
    box = page.locator("#diagram").bounding_box()
    assert box
    page.mouse.move(box["x"] + 20, box["y"] + box["height"] - 20)
    moved = stage.get_attribute("transform")
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + box["height"] - 60, steps=4)
    page.mouse.up()
    assert stage.get_attribute("transform") != moved


def test_the_switch_shows_tables_of_field_definitions(filled: Web, page: Page) -> None:
    page.goto(MODEL)
    page.get_by_label("Tables of field definitions").check()
    expect(page.get_by_role("button", name=re.compile("^deal_fields:"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^deal_fields:")).click()
    page.locator("#part").get_by_role("link", name="the definitions of its columns").click()
    expect(page.locator("#part").get_by_text("Each row of this table tells")).to_be_visible()


def test_a_join_is_copied_on_the_page_of_its_table(filled: Web, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/catalog/raw/bitrix24_deals")
    card = page.get_by_role("region", name="Relations")
    card.get_by_text("CONTACT_IDS").first.click()
    card.get_by_role("button", name="Copy SQL").first.click()
    card.get_by_role("button", name="Copied").wait_for()
    assert "unnest(CONTACT_IDS)" in page.evaluate("navigator.clipboard.readText()")

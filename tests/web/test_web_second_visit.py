"""The day after: a table is found, read, looked at as it was, compared, restored, queried, exported and joined."""

from __future__ import annotations

import csv
from collections.abc import Callable

from playwright.sync_api import Page, expect
from web_site import Web

from b24lake.control import runs
from b24lake.control.runs import ENDED
from b24lake.control.worker import Worker
from b24lake.sandbox import Server

DEALS = "/catalog/raw/bitrix24_deals"


def ran(web: Web, source: str) -> None:
    run = runs.request(web.site.database, source, web.site.clock())
    web.awaited(lambda: runs.shown(web.site.database, run)["state"] in ENDED)


def test_from_the_catalog_to_the_skills_file(
    web: Web, worker: Worker, serve: Callable[..., Server], page: Page
) -> None:
    server = serve(deals=20)  # they fit on one page
    source = web.source("crm", "deals", "contacts", "users", url=server.url, prefix="bitrix24_")
    ran(web, source)
    deal = next(iter(server.portal.tables["deals"].ids))
    yesterday = server.portal.tables["deals"].row(deal)["TITLE"]
    server.portal.change("deals", deal, {"TITLE": "Sold"})
    ran(web, source)

    page.goto("/catalog")
    page.get_by_role("searchbox", name="Search").fill("deal stage")
    page.get_by_text("1 table found").wait_for()
    page.get_by_role("link", name="bitrix24_deals").click()
    expect(page.locator("tr", has_text="STAGE_ID").first).to_contain_text("Deal stage", ignore_case=True)
    page.get_by_role("link", name="Rows", exact=True).click()
    expect(page.get_by_role("cell", name="Sold", exact=True)).to_be_visible()

    page.get_by_role("link", name="Versions", exact=True).click()
    page.get_by_role("link", name="Look at version 0").click()
    expect(page.get_by_role("cell", name=yesterday, exact=True).first).to_be_visible()
    page.get_by_role("link", name="Changes since").click()
    expect(page.locator("del", has_text=yesterday)).to_be_visible()
    expect(page.locator("ins", has_text="Sold")).to_be_visible()
    page.goto(f"{DEALS}/versions/0/restore")
    page.get_by_role("button", name="Restore version 0").click()
    page.get_by_text("This is version").wait_for()
    page.goto(f"{DEALS}/rows")
    expect(page.get_by_role("cell", name="Sold", exact=True)).to_have_count(0)

    page.goto(f"{DEALS}/use")
    with page.expect_download() as export:
        page.get_by_role("button", name="Download").click()
    with export.value.path().open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(server.portal.tables["deals"].ids)
    page.get_by_role("link", name="Query", exact=True).last.click()
    page.get_by_role("button", name="Run the query").click()
    expect(page.get_by_role("cell", name=yesterday, exact=True).first).to_be_visible()
    page.get_by_label("Name").fill("Deals of the report")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Deals of the report")).to_be_visible()

    page.goto("/catalog/model")
    page.get_by_role("button", name="deals:").first.click()
    page.locator("#part").get_by_role("link", name="CONTACT_ID").first.click()
    page.locator("#part").get_by_role("link", name="Open in Query").first.click()
    page.get_by_role("button", name="Run the query").click()
    expect(page.get_by_role("columnheader", name="TITLE").first).to_be_visible()

    page.goto("/sources/bitrix")
    with page.expect_download() as skills:
        page.get_by_role("link", name="SKILL.md").click()
    told = skills.value.path().read_text(encoding="utf-8")
    assert told.startswith("---\nname:")
    assert "raw.bitrix24_deals" in told

"""The catalog: layers, folders, tables, and one table with its rows."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page
from web_site import Web

from b24lake.control import runs
from b24lake.control.runs import ENDED
from b24lake.control.worker import Worker
from b24lake.sandbox import Server


def read(web: Web, url: str) -> None:
    source = web.source("crm", "deals", "departments", url=url)
    run = runs.request(web.site.database, source, web.site.clock())
    web.awaited(lambda: runs.shown(web.site.database, run)["state"] in ENDED)


def test_before_the_first_run_there_are_layers_without_tables(web: Web) -> None:
    said = web.text("/catalog")
    assert said.count("No tables yet") == 3
    assert web.get("/catalog/raw/nothing").status_code == 400


def test_a_table_is_there_after_its_run(web: Web, worker: Worker, serve: Callable[..., Server], page: Page) -> None:
    server = serve()
    server.portal.change("deals", next(iter(server.portal.tables["deals"].ids)), {"TITLE": "<i>Tilted</i>"})
    read(web, server.url)
    said = web.text("/catalog")
    assert "crm_deals deals 260" in said
    assert "crm_departments departments" in said
    assert "STAGE_ID string" in web.text("/catalog/raw/crm_deals")
    rows = web.get("/catalog/raw/crm_deals/rows").text
    assert rows.count("<tr>") == 51
    assert "<i>Tilted</i>" not in rows
    page.goto("/catalog")
    page.get_by_role("link", name="crm_deals").click()
    page.get_by_role("columnheader", name="OPPORTUNITY", exact=True).wait_for()
    assert page.locator("h1").inner_text() == "raw.crm_deals"

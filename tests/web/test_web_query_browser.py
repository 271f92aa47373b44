"""The SQL explorer as people use it: type, complete, run, look, correct, cancel, save, load, download."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect
from query_lake import ENDLESS, children, filled, wait_for
from web_site import Web

from b24lake.control import runs
from b24lake.control.runs import ENDED
from b24lake.control.worker import Worker
from b24lake.sandbox import Server

expect.set_options(timeout=60_000)


def typed(page: Page, sql: str) -> None:
    """Write this into the editor, in the place of what is there."""
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(sql)
    page.keyboard.press("Escape")


def test_tables_and_columns_are_completed_with_their_labels(
    web: Web, worker: Worker, serve: Callable[..., Server], page: Page
) -> None:
    source = web.source("crm", "deals", "status_list", url=serve().url)
    run = runs.request(web.site.database, source, web.site.clock())
    web.awaited(lambda: runs.shown(web.site.database, run)["state"] in ENDED)
    page.goto("/query")
    page.locator(".cm-content").click()
    offered = page.locator(".cm-tooltip-autocomplete li")
    page.keyboard.insert_text("SELECT  FROM raw.")
    page.keyboard.type("crm_de")
    expect(offered.filter(has_text="crm_deals_readable")).to_have_count(1)
    expect(offered.first).to_contain_text("crm_deals")
    page.wait_for_timeout(200)  # a list that has just come takes no key yet
    page.keyboard.press("Enter")
    page.keyboard.insert_text(" d")
    page.keyboard.press("Home")
    for _ in "SELECT ":
        page.keyboard.press("ArrowRight")
    page.keyboard.type("d.STAGE_I")
    expect(offered.first).to_contain_text("Deal Stage")
    page.wait_for_timeout(200)
    page.keyboard.press("Enter")
    assert page.locator("#sql").input_value() == "SELECT d.STAGE_ID FROM raw.crm_deals d"
    page.keyboard.press("Control+Enter")
    expect(page.locator("#said")).to_contain_text("260 rows")
    page.keyboard.press("Tab")  # the editor keeps nobody
    assert page.evaluate("document.activeElement.id") == "run"


def test_rows_are_shown_sorted_and_opened_and_errors_stand_at_their_place(web: Web, page: Page) -> None:
    filled(web)
    page.goto("/query?table=raw.deals")
    assert children() == []
    page.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#said")).to_contain_text("3 rows")
    expect(page.locator("#grid td")).to_have_count(12)
    assert page.locator("#grid td i").all_inner_texts() == ["null", "null", '""', "null"]
    page.get_by_role("button", name="SUM").click()
    assert page.locator("#grid td:nth-child(3)").all_inner_texts() == ["-2", "10.5", "null"]
    page.locator("#grid td", has_text="Window").click()
    expect(page.locator("#value-text")).to_have_text("Window")
    page.keyboard.press("Escape")
    typed(page, "SELECT ID,\n  TITEL\nFROM raw.deals")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#trouble")).to_contain_text("Line 2, column 3")
    expect(page.locator("#trouble")).to_contain_text("No field named")
    assert page.locator(".cm-lintRange-error").inner_text() == "TITEL"
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")  # only this line
    page.keyboard.insert_text("SELECT 42 AS answer")
    page.keyboard.press("Shift+Home")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#grid td")).to_have_text(["42"])
    expect(page.locator("#past a")).to_have_count(3)


def test_a_query_is_cancelled_by_its_button_and_by_leaving_the_page(web: Web, page: Page) -> None:
    filled(web)
    page.goto("/query")
    typed(page, ENDLESS)
    page.get_by_role("button", name="Run").click()
    wait_for(1)
    expect(page.locator("#elapsed")).to_contain_text("s")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#trouble")).to_contain_text("The query was stopped.")
    wait_for(0)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Run").click()
    wait_for(1)
    page.goto("/help")
    wait_for(0)


def test_a_query_is_saved_loaded_and_downloaded(web: Web, page: Page) -> None:
    filled(web)
    page.goto("/query")
    typed(page, "SELECT ID, TITLE FROM raw.deals ORDER BY ID")
    page.get_by_label("Name").fill("All <b>deals</b>")
    page.get_by_label("Description").fill("for the monthly report")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="The query is saved.")).to_be_visible()
    page.goto("/query")
    page.get_by_role("link", name="All <b>deals</b>").click()
    expect(page.locator(".cm-content")).to_contain_text("SELECT ID, TITLE FROM raw.deals")
    page.get_by_role("button", name="CSV").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all rows").click()
    assert download.value.path().read_text() == 'ID,TITLE\n1,Window\n2,\n3,""\n'
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status").filter(has_text="deleted")).to_be_visible()

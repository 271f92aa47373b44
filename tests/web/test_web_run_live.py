"""Runs while they go on, in a real browser: a real worker reads a sandbox portal that takes its time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from web_site import Web

from b24lake.control import runs
from b24lake.control.worker import Worker
from b24lake.sandbox import Server

expect.set_options(timeout=20_000)  # a worker needs its time
SLOW = {"deals": 6000, "page_ms": 150.0, "count_ms": 0.0}


def begun(web: Web, name: str = "shop") -> str:
    return runs.request(web.site.database, name, web.site.clock(), requested_by="ann")


def test_a_run_is_watched_while_it_rests_and_is_canceled(
    page: Page, web: Web, worker: Worker, serve: Callable[..., Server]
) -> None:
    portal = serve(**SLOW, operating_window=60, operating_limit=8.0)
    web.source("shop", "deals", "deal_fields", url=portal.url, threshold=3)
    page.goto(f"/runs/{begun(web)}")
    row = page.locator("#stream-deals")
    expect(row).to_contain_text("Resting")
    expect(row.locator(".countdown")).to_have_text(re.compile(r"^0:\d\d$"))
    first = row.locator(".countdown").inner_text()
    expect(row.locator(".countdown")).not_to_have_text(first)
    assert 0 < float(row.locator("progress").get_attribute("value") or 0) < 1
    expect(page.locator("#stream-deal_fields")).to_contain_text("Success")
    expect(page.locator("#chart-operating canvas")).to_be_visible()
    course = json.loads(page.locator("#course").text_content() or "")
    assert (course["threshold"], course["burst"], course["drain"]) == (3, 50, 2.0)
    assert course["bytes"] > 100_000
    assert max(point[4] or 0 for point in course["points"]) >= 3
    expect(page.locator(".log")).to_contain_text("rests: operating time")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Canceled", timeout=5_000)
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    expect(page.locator(".log")).to_contain_text("cancelling by=ann")


def test_a_run_ends_before_the_viewers_eyes(page: Page, web: Web, worker: Worker, serve: Callable[..., Server]) -> None:
    web.source("shop", "deals", url=serve(deals=1500, page_ms=50.0, count_ms=0.0).url)
    run_id = begun(web)
    page.goto("/runs")
    row = page.locator(f"#run-{run_id}")
    expect(row).to_contain_text("Success")
    expect(row).to_contain_text("1,500")
    row.get_by_role("link").first.click()
    expect(page.locator("#stream-deals")).to_contain_text("raw.shop_deals")
    expect(page.locator("#run")).to_have_attribute("data-state", "success")
    assert page.locator("#run [hx-trigger]").count() == 0
    course = runs.shown(web.site.database, run_id)["course"]
    assert course["points"][-1][2] == 1500  # it stays when the run has ended
    assert page.locator(".log-next").count() == 0


def test_a_failure_shows_its_cause_without_a_reload(
    page: Page, web: Web, worker: Worker, serve: Callable[..., Server]
) -> None:
    url = serve().url.replace("sandboxcode", "anothercode")
    web.source("shop", "deals", url=url)
    page.goto(f"/runs/{begun(web)}")
    alert = page.locator("#run [role=alert]").first
    expect(alert).to_contain_text("What to do")
    assert alert.bounding_box()["y"] < page.locator("#progress").bounding_box()["y"]  # type: ignore[index]
    expect(page.locator("#run")).to_contain_text("This run is repeated by")
    page.get_by_label("Level").select_option("error")
    expect(page.locator(".log-info")).to_have_count(0)
    expect(page.locator(".log-error").first).to_be_visible()
    page.get_by_label("Search the log").fill("nobody says this")
    expect(page.locator(".log")).to_contain_text("No matching lines.")
    with page.expect_download() as download:
        page.get_by_role("link", name="NDJSON").click()
    assert download.value.suggested_filename.endswith(".ndjson")


def test_the_list_is_filtered_as_soon_as_something_is_chosen(page: Page, web: Web) -> None:
    for name in ("shop", "bank"):
        web.source(name)
    kept, other = begun(web, "shop"), begun(web, "bank")
    page.goto("/runs")
    expect(page.locator(f"#run-{other}")).to_be_visible()
    page.get_by_label("Source").select_option("shop")
    expect(page.locator(f"#run-{other}")).to_have_count(0)
    expect(page.locator(f"#run-{kept}")).to_be_visible()
    expect(page).to_have_url(re.compile(r"source=shop"))
    page.go_back()
    expect(page.locator(f"#run-{other}")).to_be_visible()


@pytest.mark.slow
def test_a_lost_connection_is_told_and_found_again(
    context: BrowserContext, web: Web, worker: Worker, serve: Callable[..., Server]
) -> None:
    page = context.new_page()  # its console tells of every failed request
    web.source("shop", "deals", url=serve(**SLOW).url)
    for path in (f"/runs/{begun(web)}", "/runs"):
        page.goto(path)
        lost: Any = page.get_by_text("The connection to the service is lost")
        expect(lost).to_be_hidden()
        context.set_offline(True)
        expect(lost).to_be_visible()
        context.set_offline(False)
        expect(lost).to_be_hidden()

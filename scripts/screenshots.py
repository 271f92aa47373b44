"""Take the screenshots of the docs: `python scripts/screenshots.py` (needs Chromium; about a minute)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import BrowserContext, sync_playwright

from b24lake.cli.demo_service import DemoService
from b24lake.sandbox import Portal, Server, Settings

TO = Path(__file__).parent.parent / "docs/screenshots"
DEALS = 5_000
PAGES = {
    "sources": "/sources",
    "access": "/sources/new/bitrix24",
    "streams": "/sources/sandbox-crm/setup/streams",
    "source": "/sources/sandbox-crm",
    "run": "/runs/{run}",
    "catalog": "/catalog?q=stage",
    "table": "/catalog/raw/bitrix24_deals",
    "model": "/catalog/model?from=raw.bitrix24_deals&to=raw.bitrix24_contacts",
    "connector": "/sources/bitrix",
    "rows": "/catalog/raw/bitrix24_deals/rows?view=readable",
    "versions": "/catalog/raw/bitrix24_deals/versions",
    "lineage": "/catalog/raw/bitrix24_deals/lineage",
}
DARK, PHONE = "source", "run"  # these are shown so as well


def main() -> None:
    """A demo, and what a visitor sees of it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        tempfile.TemporaryDirectory() as home,
        Server(Portal(Settings(deals=DEALS))) as sandbox,
        DemoService(Path(home), None, 0) as demo,
        sync_playwright() as tools,
    ):
        demo.read(sandbox)
        browser = tools.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        wide = browser.new_context(base_url=demo.address, viewport={"width": 1280, "height": 800})
        run = wide.request.get("/api/v1/runs").json()["runs"][-1]["id"]
        for name, path in PAGES.items():
            _take(wide, path.format(run=run), name)
        _take_query(wide)
        dark = browser.new_context(base_url=demo.address, viewport={"width": 1280, "height": 800}, color_scheme="dark")
        _take(dark, PAGES[DARK], f"{DARK}-dark")
        narrow = browser.new_context(base_url=demo.address, viewport={"width": 390, "height": 800})
        _take(narrow, PAGES[PHONE].format(run=run), f"{PHONE}-phone")
        browser.close()


def _take(context: BrowserContext, path: str, name: str) -> None:
    page = context.new_page()
    page.goto(path, wait_until="networkidle")
    page.wait_for_timeout(1_500)  # rows that come after the page, and charts
    page.screenshot(path=TO / f"{name}.png")
    page.close()


def _take_query(context: BrowserContext) -> None:
    """The explorer with rows, while a column is completed."""
    sql = "SELECT STAGE_ID, count(*) AS deals, sum(OPPORTUNITY) AS total\nFROM raw.bitrix24_deals\nGROUP BY STAGE_ID"
    page = context.new_page()
    page.goto("/query", wait_until="networkidle")
    page.locator(".cm-content").click()
    page.keyboard.insert_text(f"{sql}\nORDER BY 2 DESC")
    page.keyboard.press("Control+Enter")
    page.locator("#grid td").first.wait_for()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(f"{sql}\nHAVING ")
    page.keyboard.type("OPPO")
    page.locator(".cm-tooltip-autocomplete li").first.wait_for()
    page.screenshot(path=TO / "query.png")
    page.close()


if __name__ == "__main__":
    main()

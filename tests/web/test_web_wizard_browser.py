"""The wizard in a browser: from the empty page to a table, with the mouse, with the keyboard alone, and on a phone."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Browser, BrowserContext, Page, expect
from web_site import Web

from b24lake.control.worker import Worker
from b24lake.lake.table import open_table
from b24lake.sandbox import Server

Serve = Callable[..., Server]
LONG = 90_000  # milliseconds that a run may take on a busy machine
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def rows(web: Web, table: str) -> int:
    found = open_table(web.site.here.lake / "raw" / table)
    assert found is not None
    return found.to_pyarrow_table().num_rows


def finish(page: Page) -> None:
    """The last step: run, and wait for the table."""
    expect(page.get_by_text("visible in the Catalog only after at least one successful run")).to_be_visible()
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("link", name="raw.bitrix24_deals", exact=True)).to_be_visible(timeout=LONG)
    expect(page.get_by_role("button", name="Run now")).to_be_visible(timeout=LONG)


def test_from_the_empty_page_to_a_table(page: Page, web: Web, worker: Worker, serve: Serve) -> None:
    page.goto("/sources")
    page.get_by_role("link", name="Add source").first.click()
    page.get_by_label("Find a connector").fill("zzz")
    expect(page.get_by_text("There is no connector of this name.")).to_be_visible()
    page.get_by_label("Find a connector").fill("bitrix")
    page.get_by_role("button", name="Next").click()

    page.get_by_label("Outbound webhook URL").fill(serve().url)
    page.get_by_label("Enable deal comments stream").check()
    expect(page.get_by_role("heading", name="The portal answers")).to_be_visible()  # before Next is pressed
    page.get_by_role("button", name="Next").click()

    page.get_by_label("All of CRM").check()
    expect(page.locator("[data-count]")).to_have_text("9")
    page.locator("#stream-activities").uncheck()
    assert page.get_by_label("All of CRM").evaluate("box => box.indeterminate")
    page.get_by_role("button", name="Select none").click()
    page.get_by_label("Find a stream").fill("deal")
    expect(page.locator("#stream-contacts")).to_be_hidden()
    page.get_by_label("All of CRM").check()  # of those that are seen
    expect(page.locator("[data-count]")).to_have_text("3")
    page.get_by_label("All of CRM").uncheck()
    page.get_by_role("button", name="Select all").click()  # of those that are seen
    expect(page.locator("[data-count]")).to_have_text("4")
    page.get_by_label("Find a stream").fill("")
    page.get_by_label("Only selected").check()
    expect(page.locator("#stream-contacts")).to_be_hidden()
    expect(page.locator("#rows-deals")).to_have_text("260")
    page.get_by_role("button", name="Next").click()

    deals = page.locator("#table-deals")
    page.get_by_label("Prefix").fill("crm_")
    expect(deals).to_have_value("crm_deals")
    deals.fill("crm_deal_fields")
    expect(page.locator("#table-deals-error")).to_contain_text("has a writer already")
    expect(page.locator("#table-deals[aria-invalid=true]")).to_be_visible()
    deals.fill("select")
    expect(page.locator("#table-deals-error")).to_contain_text("it is a word of SQL")
    page.get_by_label("Prefix").fill("bitrix24_")
    deals.fill("bitrix24_deals")
    expect(page.locator("#table-deals-error")).to_be_hidden()
    page.get_by_label("Mark all").check()
    page.get_by_label("Sync type for the marked streams").select_option("FULL_TABLE")
    page.get_by_role("button", name="Set for the marked").click()
    expect(page.locator("#sync-deals")).to_have_value("FULL_TABLE")
    page.locator("[data-stream=deals] summary").click()
    page.get_by_role("button", name="Hash TITLE").click()
    expect(page.locator("#hash-deals")).to_have_value("TITLE")
    page.get_by_role("link", name="Back").click()  # saved on the way

    expect(page.locator("#stream-deals")).to_be_checked()
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#sync-deals")).to_have_value("FULL_TABLE")
    page.get_by_role("button", name="Next").click()

    expect(page.get_by_label("Read everything once in a while as well")).to_be_checked()
    page.get_by_label("Description").fill("The deals of the shop")
    expect(page.get_by_text("119 left")).to_be_visible()
    expect(page.locator("#estimate")).to_contain_text("rows in")
    page.get_by_label("Old states are kept for").fill("10")
    expect(page.locator("#retention")).to_contain_text("no longer be reachable")
    page.get_by_role("button", name="Next").click()

    finish(page)
    assert rows(web, "bitrix24_deals") == 260


def test_by_keyboard_alone(page: Page, web: Web, worker: Worker, serve: Serve) -> None:
    def go_to(selector: str) -> None:
        for _press in range(300):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab does not lead to {selector}")

    page.goto("/sources")
    go_to("a[href='/sources/new']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sources/new")
    go_to("button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/new/bitrix24*")
    go_to("#webhook")
    page.keyboard.type(serve().url)
    page.keyboard.press("Enter")  # at once: the check goes on by itself
    page.wait_for_url("**/setup/streams")
    expect(page.locator("#stream-deals")).to_be_visible()
    go_to("#find")
    page.keyboard.type("deals")
    go_to("#stream-deals")
    page.keyboard.press("Space")
    expect(page.locator("[data-count]")).to_have_text("1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/setup/tables")
    go_to("#table-deals")
    page.keyboard.press("Enter")
    page.wait_for_url("**/setup/source")
    go_to("#description")
    page.keyboard.type("By keyboard")
    go_to("input[name=run_kind]")
    for _press in range(3):
        page.keyboard.press("ArrowRight")  # to the last one: by hand only
    go_to("#log_days")
    page.keyboard.press("Enter")
    page.wait_for_url("**/setup/check")
    expect(page.get_by_text("Only when somebody starts it")).to_be_visible()
    go_to("#run button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="raw.bitrix24_deals", exact=True)).to_be_visible(timeout=LONG)
    assert rows(web, "bitrix24_deals") == 260


def test_on_a_phone(page: Page, web: Web, worker: Worker, serve: Serve) -> None:
    def next_() -> None:
        assert not page.evaluate(WIDER), page.url
        page.get_by_role("button", name="Next").click()

    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/sources/new")
    next_()
    page.get_by_label("Outbound webhook URL").fill(serve(scopes=("crm", "user")).url)
    page.get_by_label("Extract deal contacts").check()
    expect(page.get_by_role("heading", name="The portal answers, with warnings")).to_be_visible()
    next_()
    page.locator("#stream-deals").check()
    page.locator("#stream-users").check()
    expect(page.get_by_text("~ = estimated")).to_be_visible()
    next_()
    page.locator("[data-stream=deals] summary").click()
    expect(page.get_by_role("button", name="Leave out TITLE")).to_be_visible()
    next_()
    expect(page.locator("#estimate")).to_contain_text("rows in")
    next_()
    finish(page)
    assert not page.evaluate(WIDER)
    assert rows(web, "bitrix24_users") == 60


def test_the_first_error_gets_the_focus(context: BrowserContext, web: Web) -> None:
    tab = context.new_page()  # a form that is refused is an error to the browser's console
    tab.goto(f"/sources/{web.source('crm', 'deals', 'users')}/setup/tables")
    tab.locator("#table-users").fill("select")
    tab.get_by_role("button", name="Next").click()
    expect(tab.locator("#table-users-error")).to_contain_text("it is a word of SQL")
    expect(tab.locator("#table-users")).to_be_focused()
    tab.goto("/sources/new/bitrix24")
    tab.get_by_role("button", name="Next").click()
    expect(tab.locator("#webhook")).to_be_focused()
    assert "webhook-error" in str(tab.locator("#webhook").get_attribute("aria-describedby"))


def test_a_lost_connection_is_told_and_got_over(context: BrowserContext, web: Web) -> None:
    tab = context.new_page()
    source_id = web.source("crm", "deals")
    web.post(f"/sources/{source_id}/setup/check/run")  # it stays in the queue: nobody is at work
    tab.goto(f"/sources/{source_id}/setup/check")
    expect(tab.get_by_text("in the queue")).to_be_visible()
    tab.route("**/check/run", lambda route: route.abort())
    expect(tab.get_by_text("The connection to this service is lost.")).to_be_visible()
    expect(tab.get_by_text("in the queue")).to_be_visible()  # what was known stays
    tab.unroute("**/check/run")
    expect(tab.get_by_text("The connection to this service is lost.")).to_be_hidden()


def test_without_scripts_the_steps_can_be_walked(browser: Browser, web: Web, serve: Serve) -> None:
    with browser.new_context(base_url=web.address, java_script_enabled=False) as context:
        context.set_default_timeout(20_000)
        tab = context.new_page()
        tab.goto("/sources/new/bitrix24")
        tab.get_by_label("Outbound webhook URL").fill(serve().url)
        tab.get_by_role("button", name="Next").click()
        for _look in range(100):
            if tab.url.endswith("/streams"):
                break
            tab.wait_for_timeout(200)
            tab.reload()
        tab.locator("#stream-deals").check()
        tab.get_by_role("button", name="Next").click()
        tab.get_by_label("Prefix").fill("plain_")
        tab.get_by_role("button", name="Next").click()
        tab.get_by_role("button", name="Next").click()
        expect(tab.get_by_text("plain_")).to_be_visible()
        tab.get_by_role("button", name="Run now").click()
        expect(tab.get_by_text("in the queue")).to_be_visible()

"""A new user's first visit in Portuguese: from the empty page to a table, and to what changed in the portal since."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect
from web_site import Web

from b24lake.control.worker import Worker
from b24lake.lake.table import open_table
from b24lake.sandbox import Server

LONG = 90_000  # milliseconds that a run may take on a busy machine
ENGLISH = re.compile(r"\b(the|is|are|of|and|your|which|Next|Back|Run|Source|Table)\b")


def titles(web: Web) -> list[str]:
    found = open_table(web.site.here.lake / "raw" / "bitrix24_deals")
    assert found is not None
    return [str(title) for title in found.to_pyarrow_table()["TITLE"].to_pylist()]


def english(page: Page) -> list[str]:
    """Words of the frame and the headings that nobody has translated; smart processes have names of their own."""
    said = page.locator("h1, h2, nav, button, label, th[scope=col]").all_inner_texts()
    return [text for text in said if ENGLISH.search(text) and not text.startswith("spa_")]


def test_from_the_empty_page_to_an_incremental_run_in_portuguese(
    browser: Browser, web: Web, worker: Worker, serve: Callable[..., Server]
) -> None:
    server = serve()
    context = browser.new_context(base_url=web.address, locale="pt-BR", timezone_id="America/Sao_Paulo")
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto("/sources")
    assert page.locator("html").get_attribute("lang") == "pt-BR"
    page.get_by_role("link", name="Adicionar fonte").first.click()
    next_ = page.locator("main button[type=submit]", has_text=re.compile("Avançar|Próxim"))
    next_.click()
    page.locator("#webhook").fill(server.url)
    next_.click()
    page.wait_for_url("**/setup/streams")
    page.locator("#stream-deals").check()
    assert english(page) == []
    next_.click()
    page.wait_for_url("**/setup/tables")
    assert english(page) == []
    next_.click()
    page.wait_for_url("**/setup/source")
    assert english(page) == []
    next_.click()
    page.wait_for_url("**/setup/check")
    page.locator("#run button").click()
    expect(page.get_by_role("link", name="raw.bitrix24_deals", exact=True)).to_be_visible(timeout=LONG)
    assert len(titles(web)) == 260

    deal = next(iter(server.portal.tables["deals"].ids))
    server.portal.change("deals", deal, {"TITLE": "Negócio alterado"})
    page.goto("/sources")
    page.get_by_role("button", name=re.compile("Executar")).first.click()
    web.awaited(lambda: "Negócio alterado" in titles(web))
    page.goto("/runs")
    expect(page.locator("#runs tbody tr")).to_have_count(2)
    page.locator("#runs tbody tr a").first.click()
    expect(page.get_by_text("Sucesso").first).to_be_visible(timeout=LONG)
    assert english(page) == []
    for tab, heading in (("", "Colunas"), ("/use", "Exportar"), ("/versions", "Versões"), ("/lineage", "De onde vem")):
        page.goto(f"/catalog/raw/bitrix24_deals{tab}")
        expect(page.get_by_role("heading", name=heading).first).to_be_visible()
        assert english(page) == []
    context.close()

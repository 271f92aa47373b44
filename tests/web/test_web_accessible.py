"""Every page by axe-core: no serious finding, in light and dark, wide and narrow, and nothing wider than the screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext
from web_site import Web

from b24lake.control import runs, triggers
from b24lake.control.audit import Actor
from b24lake.control.models import Source
from b24lake.control.runs import ENDED
from b24lake.control.worker import Worker
from b24lake.sandbox import Server

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
PAGES = (
    "/sources",
    "/sources/new",
    "/sources/new/bitrix24",
    *(
        f"/sources/crm{tab}"
        for tab in ("", "/streams", "/runs", "/schema", "/state", "/triggers", "/settings", "/alerts")
    ),
    *(f"/sources/crm/setup/{step}" for step in ("access", "streams", "tables", "source", "check")),
    "/runs",
    "/runs/RUN",
    "/catalog",
    "/catalog/model",
    "/catalog/model?from=raw.crm_deals&to=raw.crm_contacts",
    "/catalog/model?table=raw.crm_deals",
    "/catalog?q=stage",
    "/catalog/layers",
    "/catalog/folder?layer=raw&name=bitrix24",
    "/catalog/raw/crm_deals?whole=on",
    "/catalog/raw/crm_deals/rows?whole=on",
    "/catalog/raw/crm_deals/rows?whole=on&view=readable",
    "/catalog/raw/crm_deals/use",
    "/catalog/raw/nothing",
    "/query",
    "/query?table=raw.crm_deals",
    *(
        f"/catalog/raw/crm_deals{tab}"
        for tab in ("/versions", "/versions/0", "/versions/0/restore", "/diff?from=0", "/lineage", "/settings")
    ),
    "/help",
    "/help?q=funnel",
    "/help/triggers",
    "/sources/bitrix",
    "/nothing",
    "/api",
)
FOUND = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter((each) => ["serious", "critical"].includes(each.impact))
    .map((each) => `${each.id}: ${each.nodes.map((node) => node.html).slice(0, 3).join(" | ")}`)"""
LOOKS = {"light": ("light", 1280), "dark": ("dark", 1280), "phone": ("light", 390)}


@pytest.fixture
def filled(web: Web, worker: Worker, serve: Callable[..., Server]) -> str:
    """A source that has been read, with a trigger. Returns the id of its run."""
    source = web.source("crm", "deals", "contacts", url=serve().url, description="What <b>sales</b> works on")
    with web.site.database.writing() as session:
        spec = {"times": ["06:30"], "weekdays": ["mon"], "zone": "Europe/Berlin"}
        triggers.add(session, Actor("ann", web.site.clock()), session.get_one(Source, source), spec)
    run = runs.request(web.site.database, source, web.site.clock())
    web.awaited(lambda: runs.shown(web.site.database, run)["state"] in ENDED)
    return run


@pytest.mark.parametrize("look", ["light", "phone", pytest.param("dark", marks=pytest.mark.slow)])
def test_no_page_has_a_serious_finding(web: Web, filled: str, context: BrowserContext, look: str) -> None:
    page, (scheme, width) = context.new_page(), LOOKS[look]
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    found = {}
    for path in PAGES:
        page.goto(path.replace("RUN", filled), wait_until="load")
        page.evaluate(AXE)
        found[path] = page.evaluate(FOUND)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found[path] += [f"{wide} pixels wider than the screen"] if wide > 0 else []
    assert not {path: said for path, said in found.items() if said}

"""Where a table comes from: its source and stream, its runs, changes of its columns, and how it grew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from deltalake import write_deltalake
from playwright.sync_api import Page
from web_site import Web, words

from b24lake.control import runs
from b24lake.control.runs import ENDED
from b24lake.control.worker import Worker
from b24lake.lake.versions import VersionInfo
from b24lake.sandbox import Server
from b24lake.web.pages.table_lineage import POINTS, growth
from written import SCHEMA, write

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
AT = "/catalog/raw/crm_deals/lineage"


def read(web: Web, source: str) -> str:
    run = runs.request(web.site.database, source, web.site.clock(), full=True)
    web.awaited(lambda: runs.shown(web.site.database, run)["state"] in ENDED)
    return run


def charts(page: str) -> dict[str, list[list[float]]]:
    held = re.search(r'id="charts">(.*?)</script>', page)
    assert held
    found: dict[str, list[list[float]]] = json.loads(held[1])
    return found


def test_a_table_leads_to_its_source_its_runs_and_what_it_refers_to(
    web: Web, worker: Worker, serve: Callable[..., Server], page: Page
) -> None:
    server = serve()
    source = web.source("crm", "deals", "contacts", "status_list", url=server.url)
    first = read(web, source)
    server.portal.set_field("deals", "UF_CRM_NEW", "string", title="New one")
    server.portal.change("deals", next(iter(server.portal.tables["deals"].ids)), {"UF_CRM_NEW": "here"})
    second = read(web, source)
    text = web.get(AT).text
    said = words(text)
    assert f'href="/sources/{source}"' in text
    assert f'href="/sources/{source}/streams">deals</a>' in text
    assert "/rest/1/***/" in said
    assert [f"/runs/{run}" in text for run in (first, second)] == [True, True]
    assert re.search(r"Success 260 260 – 0", said)
    assert "UF_CRM_NEW Added The source has a new field" in said
    assert '<a href="/catalog/raw/crm_contacts">raw.crm_contacts</a>' in text
    assert "companies (not in the lake)" in said
    assert "STAGE_ID_LABEL" in said
    told = charts(text)
    assert told["rows"][1][0] == told["rows"][1][-1] == 260
    assert told["size"][1][-1] > 0
    page.goto(AT)
    page.locator('[data-chart="rows"] canvas').wait_for()
    page.locator('[data-chart="size"] canvas').wait_for()
    assert "now 260" in (page.locator('[data-chart="rows"]').get_attribute("aria-label") or "")


def test_tables_without_a_source_of_this_service_tell_what_their_logs_know(web: Web) -> None:
    lake = web.site.here.lake
    write(lake, {1: "one"}, "run-1", name="crm_deals")
    wider = pa.schema([*SCHEMA, pa.field("CITY", pa.string())])
    write(lake, {1: "one", 2: "two"}, "run-2", name="crm_deals", schema=wider, CITY="Rio")
    said = web.text(AT)
    assert "none of this service" in said
    assert "https://acme.bitrix24.com" in said
    assert "CITY Added" in said
    assert "No run of this service is known." in said
    assert charts(web.get(AT).text)["rows"][1] == [1, 1, 2, 2]


def test_a_table_of_another_program_has_no_lineage(web: Web) -> None:
    path = web.site.here.lake / "raw" / "crm_deals"
    write_deltalake(str(path), pa.table({"id": [1]}))
    said = web.text(AT)
    assert "Another program made this table" in said
    assert "None that b24lake knows of." in said


def version(number: int, rows: int | None, size: int | None) -> VersionInfo:
    return VersionInfo(number, NOON + timedelta(hours=number), "WRITE", "", 0, 0, 0, rows=rows, bytes=size)


def test_growth_goes_up_to_now_and_leaves_out_what_nobody_knows() -> None:
    versions = [version(3, 30, 3_000_000), version(2, None, 2_000_000), version(1, None, None)]
    found = growth(versions, NOON + timedelta(hours=9))
    begin = int(NOON.timestamp())
    assert found["rows"] == [[begin + 2 * 3600, begin + 3 * 3600, begin + 9 * 3600], [None, 30, 30]]
    assert found["size"][1] == [2.0, 3.0, 3.0]
    assert growth([], NOON) == {}
    many = [version(number, number, number) for number in range(2000, 0, -1)]
    assert len(growth(many, NOON)["rows"][0]) == POINTS + 1
    assert growth(many, NOON)["rows"][0][-1] == growth(many, NOON)["rows"][0][-2]  # a clock that is behind

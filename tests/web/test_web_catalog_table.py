"""The page of a table: its columns, its rows, and how it is used elsewhere."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import threading
from html import unescape
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from lake_rows import SCHEMA, Deals, rows
from playwright.sync_api import Page, expect
from web_site import Web, words

from b24lake.web import downloads

HTMX = {"HX-Request": "true"}
DEALS = "/catalog/raw/bitrix24_deals"
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def deals(web: Web) -> Deals:
    """A table in the app's lake."""
    made = Deals(web.site.here.lake)
    made.full(rows(range(1, 61)))
    return made


def odd(web: Web) -> str:
    """A table with names, labels and values that are no harmless words. Returns its address."""
    fields = [
        pa.field("select", pa.string(), metadata={"comment": MARKUP}),
        pa.field(MARKUP, pa.string()),
        pa.field("long", pa.string()),
        pa.field("list", pa.list_(pa.struct([("a", pa.int64())]))),
    ]
    values = [[MARKUP], ['"'], ["line\n" * 100], [[{"a": 1}, {"a": 2}]]]
    arrays = [pa.array(value, each.type) for value, each in zip(values, fields, strict=True)]
    write_deltalake(str(web.site.here.lake / "raw" / "odd"), pa.table(arrays, schema=pa.schema(fields)))
    return "/catalog/raw/odd"


# --- columns ----------------------------------------------------------------------------------------------------------


def test_columns_tell_type_label_share_and_example(web: Web, deals: Deals) -> None:
    some = rows([1, 2, 3, 4])
    deals.full(some.set_column(1, SCHEMA.field("TITLE"), pa.array([None, None, None, "Küche"], pa.string())))
    first = web.get(DEALS).text
    assert 'hx-trigger="load"' in first
    assert "TITLE string Title" in words(first)
    part = web.get(DEALS, headers=HTMX).text
    assert "<html" not in part
    said = words(part)
    assert "TITLE string Title 25 % Küche" in said
    assert "SUM decimal(18,2) 100 % 10" in said
    assert re.search(r"PHONE array<\S+ not counted", said)
    assert words(web.get(f"{DEALS}?whole=on").text).count("Küche") == 1


def test_shares_are_those_of_the_newest_version(web: Web, deals: Deals) -> None:
    assert "TITLE string Title 100 %" in words(web.get(DEALS, headers=HTMX).text)
    deals.merge(rows([61], TITLE=None))
    assert "TITLE string Title 98 %" in words(web.get(DEALS, headers=HTMX).text)


def test_names_labels_and_values_are_text_and_nothing_else(web: Web) -> None:
    address = odd(web)
    for path in ("", "?whole=on", "/rows?whole=on", "/use"):
        page = web.get(f"{address}{path}").text
        assert MARKUP not in page
        assert "&lt;img src=x" in page
    assert MARKUP not in web.get("/catalog?q=onerror").text


def test_a_table_whose_files_are_gone_says_so(web: Web, deals: Deals) -> None:
    for file in deals.path.glob("*.parquet"):
        file.unlink()
    assert "TITLE string Title" in web.text(DEALS)
    part = web.get(DEALS, headers=HTMX)
    assert part.status_code == 200
    assert "if files are missing, move the folder away" in words(part.text)
    answers = [web.get(f"{DEALS}/{path}") for path in ("rows?whole=on", "export?format=csv", "export?format=parquet")]
    assert [each.status_code for each in answers] == [503, 400, 400]
    assert web.get(f"{DEALS}/rows").status_code == web.get(f"{DEALS}/use").status_code == 200
    part = web.get(f"{DEALS}/rows", headers=HTMX)
    assert (part.status_code, "<html" in part.text) == (503, False)
    assert "Cannot read or write" in part.text


# --- rows -------------------------------------------------------------------------------------------------------------


def test_rows_come_after_the_page(web: Web, deals: Deals) -> None:
    first = web.get(f"{DEALS}/rows").text
    assert f'hx-get="{DEALS}/rows"' in first
    assert "deal 1" not in first
    part = web.get(f"{DEALS}/rows", headers=HTMX).text
    assert part.count("<tr>") == 51
    assert "50 rows are shown of 60" in words(part)
    assert "2026-08-21 12:00:00" in part
    assert "Readable" not in first  # nothing is known that labels could be taken from


def test_times_are_in_the_viewers_zone(web: Web, deals: Deals) -> None:
    web.client.cookies.set("zone", "America%2FSao_Paulo")
    part = words(web.get(f"{DEALS}/rows", headers=HTMX).text)
    assert "2026-08-21 09:00:00" in part
    assert "Times are in America/Sao_Paulo" in part


def test_a_click_shows_the_whole_value(web: Web, page: Page) -> None:
    page.goto(f"{odd(web)}/rows")
    page.get_by_role("button", name='[{"a":1},{"a":2}]').click()
    box = page.get_by_role("dialog")
    expect(box.locator("pre")).to_have_text('[\n  {\n    "a": 1\n  },\n  {\n    "a": 2\n  }\n]')
    expect(box.get_by_role("heading")).to_have_text("list")
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    page.get_by_role("button", name="line line").click()
    assert (box.locator("pre").text_content() or "").count("line\n") == 100
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0


# --- use --------------------------------------------------------------------------------------------------------------


def test_snippets_name_the_table_and_quote_what_has_to_be(web: Web, deals: Deals) -> None:
    page = unescape(web.get(f"{DEALS}/use").text)
    assert "SELECT ID, TITLE, SUM, PHONE\nFROM raw.bitrix24_deals\nLIMIT 100" in page
    assert f"delta_scan('{deals.path}')" in page
    assert f"DeltaTable('{deals.path}').to_pandas(columns=['ID', 'TITLE', 'SUM', 'PHONE'])" in page
    assert 'SELECT "select", ' in unescape(web.get(f"{odd(web)}/use").text)


def test_the_python_snippet_runs(web: Web, deals: Deals) -> None:
    page = web.get(f"{DEALS}/use").text
    code = unescape(re.findall(r'(?s)id="snippet-pandas"[^>]*>(.*?)</pre>', page)[0])
    code = code.replace(".to_pandas(", ".to_pyarrow_table(")  # pandas itself need not be here
    found: dict[str, pa.Table] = {}
    exec(code, found)
    assert (found["df"].num_rows, found["df"].column_names) == (60, ["ID", "TITLE", "SUM", "PHONE"])


def test_a_snippet_is_copied(web: Web, deals: Deals, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{DEALS}/use")
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert (
        page.evaluate("navigator.clipboard.readText()")
        == "SELECT ID, TITLE, SUM, PHONE\nFROM raw.bitrix24_deals\nLIMIT 100"
    )
    page.get_by_role("button", name="Copied").wait_for(state="detached")


# --- export -----------------------------------------------------------------------------------------------------------


def test_the_table_is_a_file_of_each_format(web: Web, deals: Deals) -> None:
    answers = {
        kind: web.get(f"{DEALS}/export?format={kind}") for kind in ("csv", "csv.gz", "parquet", "json", "ndjson")
    }
    ends = {kind: each.headers["content-disposition"].rpartition("deals.")[2] for kind, each in answers.items()}
    assert ends == {kind: kind for kind in answers}
    lines = list(csv.DictReader(io.StringIO(answers["csv"].text)))
    assert (len(lines), lines[0]["TITLE"]) == (60, "deal 1")
    assert gzip.decompress(answers["csv.gz"].content) == answers["csv"].content
    stored = pq.read_table(io.BytesIO(answers["parquet"].content))
    assert stored.num_rows == 60
    assert stored.schema.field("TITLE").metadata[b"comment"] == b"Title"
    assert len(json.loads(answers["json"].text)) == len(answers["ndjson"].text.splitlines()) == 60


def test_a_file_has_the_options_of_the_command_line(web: Web, deals: Deals) -> None:
    deals.full(rows([1], title="=HYPERLINK(1)"))
    found = web.get(f"{DEALS}/export?format=csv&bom=on&escape=on&columns=TITLE,+ID").content
    assert found == b"\xef\xbb\xbfTITLE,ID\n'=HYPERLINK(1) 1,1\n"
    assert len(web.get(f"{DEALS}/export?format=csv&as_of=1&columns=ID").text.splitlines()) in {61, 1}


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("format=xls", 400, "not a format"),
        ("columns=NOPE", 400, "NOPE"),
        ("view=readable", 400, "no readable view"),
        ("as_of=77", 400, "There is no version 77"),
        ('columns=ID"%20FROM%20x', 400, "ID"),
    ],
)
def test_what_cannot_be_exported_is_a_page_that_says_why(
    web: Web, deals: Deals, query: str, status: int, said: str
) -> None:
    answer = web.get(f"{DEALS}/export?{query}")
    assert answer.status_code == status
    assert said in words(answer.text)
    assert "content-disposition" not in answer.headers


def test_an_export_ends_when_the_browser_goes_away(web: Web, deals: Deals) -> None:
    deals.full(rows(range(1, 20_001), title="deal " * 600))
    with web.client.stream("GET", f"{DEALS}/export?format=csv") as answer:
        parts = answer.iter_bytes()
        next(parts)
        assert exports() == 1
    web.awaited(lambda: not exports())


def exports() -> int:
    return sum(each.name.startswith("export ") for each in threading.enumerate())


def test_a_download_breaks_off_where_a_file_is_damaged(web: Web, deals: Deals) -> None:
    deals.full(rows(range(1, 40_001), title="deal " * 40))
    deals.merge(rows([40_001]))
    files = sorted(deals.path.glob("*.parquet"), key=lambda each: each.stat().st_size)
    live = {Path(each).name for each in deals.delta().file_uris()}
    damaged = next(each for each in files if each.name in live)
    damaged.write_bytes(damaged.read_bytes()[:-100] + b"\0" * 100)
    try:
        answer = web.get(f"{DEALS}/export?format=csv&columns=TITLE")
    except Exception as error:  # noqa: BLE001  the connection ends in the middle
        assert "peer closed connection" in str(error)
    else:
        assert answer.status_code in {400, 503}


def test_only_a_few_files_are_made_at_once(web: Web, deals: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_turns", threading.BoundedSemaphore(1))
    deals.full(rows(range(1, 20_001), title="deal " * 600))
    with web.client.stream("GET", f"{DEALS}/export?format=csv") as answer:
        parts = answer.iter_bytes()
        next(parts)
        second = web.get(f"{DEALS}/export?format=csv")
        assert second.status_code == 503
        assert "Too many files are being made" in words(second.text)
    web.awaited(lambda: not exports())
    assert web.get(f"{DEALS}/export?format=csv&columns=ID").status_code == 200

"""The list of runs, one run, its log and its downloads: what the pages say."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from web_site import Web, words

from b24lake.control import logs, runs
from b24lake.control.models import Run, RunStream, SchemaChange
from b24lake.control.telling import Line
from b24lake.web.pages.runs import PAGE

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ERROR = {"what": "The portal <i>refused</i>", "why": "its webhook is gone", "fix": "make a new one", "code": ""}
STREAM = {
    "table": "raw.shop_deals",
    "rows_read": 1234,
    "rows_inserted": 1000,
    "rows_updated": 200,
    "rows_deleted": 34,
    "misfits": 5,
    "commands": 25,
    "portal_seconds": 7.25,
    "rests": 2,
    "version": 17,
    "error": None,
}


def run(web: Web, source: str, **columns: Any) -> str:
    """A run as a worker would have left it."""
    made = {"id": runs.new_id(AT), "source_id": source, "portal": source, "cause": "manual", "state": "success"}
    times = {"queued_at": AT, "started_at": AT, "ended_at": AT + timedelta(minutes=3, seconds=7)}
    with web.site.database.writing() as session:
        made_run = Run(**{**made, **times, **columns})
        session.add(made_run)
        return made_run.id


def ids(page: str) -> list[str]:
    return re.findall(r'id="run-([\w-]+)"', page)


# --- the list ---------------------------------------------------------------------------------------------------------


def test_without_runs_the_list_says_what_a_run_is(web: Web) -> None:
    assert "No runs yet" in web.text("/runs")


def test_the_list_is_filtered_by_state_and_source(web: Web) -> None:
    shop, bank = web.source("shop"), web.source("bank")
    failed = run(web, shop, state="failed", error=ERROR)
    ended = run(web, shop)
    other = run(web, bank, requests=1234, rows_read=5678, rests=3, full=True, requested_by="ben")
    page = web.get("/runs").text
    assert set(ids(page)) == {failed, ended, other}
    assert "3:07" in page
    assert "The portal &lt;i&gt;refused" in page
    assert ids(web.get("/runs?state=failed").text) == [failed]
    assert set(ids(web.get("/runs?state=failed&state=success&source=shop").text)) == {failed, ended}
    said = web.text("/runs?source=bank&state=")
    assert "Manual · ben Full" in said
    assert "5,678 1,234 3" in said
    assert "No runs here" in web.text("/runs?source=bank&state=failed")
    for wrong in ("state=broken", "before=yesterday"):
        assert web.get(f"/runs?{wrong}").status_code == 400


def test_older_runs_are_a_link_away(web: Web) -> None:
    source = web.source("shop")
    rows = [
        {"id": f"r{number:03}", "source_id": source, "portal": source, "cause": "schedule", "state": "success"}
        | {"queued_at": AT + timedelta(seconds=number // 2)}
        for number in range(2 * PAGE + 10)
    ]
    with web.site.database.writing() as session:
        session.execute(insert(Run), rows)
    seen, path = list[str](), "/runs?source=shop"
    while path:
        page = web.get(path).text
        seen += ids(page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == [row["id"] for row in reversed(rows)]
    assert "Newest" in words(page)


def test_times_are_in_the_viewers_zone_and_it_is_named(web: Web) -> None:
    run_id = run(web, web.source("shop"))
    web.client.cookies.set("zone", "America%2FSao_Paulo")
    for path in ("/runs", f"/runs/{run_id}"):
        said = web.text(path)
        assert "Nov 22, 2026, 9:00:00" in said
        assert "America/Sao_Paulo" in said


# --- one run ----------------------------------------------------------------------------------------------------------


def test_a_run_tells_each_stream(web: Web) -> None:
    source = web.source("shop", "deals", "contacts", "activities")
    before = run(web, source, state="failed", error=ERROR)
    report = {"notes": ["The portal has moved"], "course": {}}
    run_id = run(
        web, source, state="partial", cause="retry", attempt=2, retry_of=before, report=report, rows_read=1234,
        error={**ERROR, "what": "contacts: it broke"}, worker_id="w-1", claims=2, requests=77, portal_seconds=7.25,
    )  # fmt: skip
    with web.site.database.writing() as session:
        broken = {**STREAM, "error": "<b>it broke</b>", "rows_read": 0}
        session.add(RunStream(run_id=run_id, stream="deals", status="success", result=STREAM))
        session.add(RunStream(run_id=run_id, stream="contacts", status="failed", result=broken))
        session.add(RunStream(run_id=run_id, stream="leads", status="locked", result={**broken, "error": "no scope"}))
        change = {"run_id": run_id, "stream": "deals", "table_name": "raw.shop_deals", "at": AT}
        detail = {"before": "", "after": "string"}
        session.add(SchemaChange(source_id=source, kind="added", column="UF_CRM_1", detail=detail, **change))
    page = web.get(f"/runs/{run_id}").text
    said = words(page)
    assert "deals raw.shop_deals Success 1,234 1,000 200 34 5 25 7.2 2 17" in said
    assert "Failed <b>it broke</b>" in said
    assert "<b>it broke</b>" not in page
    assert "Locked no scope" in said
    assert "Added deals UF_CRM_1 string" in said
    assert "The portal has moved" in said
    assert "Retry · attempt 2" in said
    assert "Times picked up 2×" in said
    assert f'href="/runs/{before}"' in page
    assert f"This run is repeated by {run_id}" in web.text(f"/runs/{before}")


def test_the_cause_of_a_failure_comes_first(web: Web) -> None:
    run_id = run(web, web.source("shop"), state="failed", error=ERROR)
    page = web.get(f"/runs/{run_id}").text
    assert "<i>refused" not in page
    said = words(page)
    parts = ["Failed", "The portal <i>refused</i>", "its webhook is gone", "make a new one", "Rows read", "Log"]
    places = [said.index(part) for part in parts]
    assert places == sorted(places)


def test_a_run_may_be_named_by_its_beginning_and_an_unknown_one_is_not_found(web: Web) -> None:
    run_id = run(web, web.source("shop"))
    assert run_id in web.text(f"/runs/{run_id[:-3]}")
    for path in ("nothing", "nothing/progress", "nothing/log", "nothing/log.txt"):
        assert web.get(f"/runs/{path}").status_code == 404


def test_the_progress_is_a_fragment_that_goes_on_until_the_run_ends(web: Web) -> None:
    source = web.source("shop")
    now = web.site.clock()
    stream = {"name": "deals", "table": "raw.shop_deals", "state": "resting", "error": None, "rows": 200, "share": 0.25}
    stream |= {
        "rests": 1,
        "rests_until": now.timestamp() + 90,
        "commands": 4,
        "portal_seconds": 12.5,
        "rest_seconds": 1,
    }
    points = [[0.0, 0, 0, 0.0, None], [10.0, 5, 200, 12.5, 12.5]]
    course = {"points": points, "step": 1.0, "burst": 50, "drain": 2.0, "threshold": 12.0, "bytes": 2_500_000}
    figures = {"phase": "reading", "requests": 5, "rows": 200, "seconds": 10.0, "seconds_left": 75, "course": course}
    progress = {**figures, "streams": [stream]}
    run_id = run(web, source, state="running", started_at=now, ended_at=None, progress=progress, requests=3)
    page = web.get(f"/runs/{run_id}/progress").text
    assert "<html" not in page
    assert 'hx-trigger="every 2s"' in page
    said = words(page)
    assert "Rows read 200 20 rows a second" in said
    assert "Requests 8 2.5 MB received" in said
    assert "about 1:15 left" in said
    assert re.search(r"Resting goes on in 1:(29|30)", said)
    assert 'value="0.25"' in page
    with web.site.database.writing() as session:
        session.get_one(Run, run_id).state = "success"
    assert "hx-trigger" not in web.get(f"/runs/{run_id}/progress").text


def test_a_run_that_waits_says_for_what(web: Web) -> None:
    web.source("shop")
    run_id = runs.request(web.site.database, "shop", web.site.clock())
    assert "No worker is alive to take it up" in web.text(f"/runs/{run_id}")
    assert "waits" in web.text("/runs")


# --- cancel, retry ----------------------------------------------------------------------------------------------------


def test_a_waiting_run_is_canceled_at_once_and_can_be_repeated(web: Web) -> None:
    web.source("shop")
    run_id = runs.request(web.site.database, "shop", web.site.clock())
    assert web.client.post(f"/runs/{run_id}/cancel").status_code == 403  # no token
    answer = web.post(f"/runs/{run_id}/cancel")
    assert answer.headers["location"] == f"/runs/{run_id}"
    assert "Canceled" in web.text(f"/runs/{run_id}")
    again = web.post(f"/runs/{run_id}/cancel")
    assert again.status_code == 400
    assert "has ended" in again.text
    repeated = web.post(f"/runs/{run_id}/retry").headers["location"]
    assert web.post(f"/runs/{run_id}/retry").headers["location"] == repeated
    assert "Retry · ann" in web.text(repeated)


# --- its log ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(web: Web) -> str:
    """A run that says a lot."""
    run_id = run(web, web.source("shop"))
    lines = [Line("info", f"step {number}", "deals", {"table": "raw.shop_deals"}) for number in range(640)]
    lines += [
        Line("warning", "note", data={"text": "<b>careful</b>"}),
        Line("error", "traceback", data={"text": "a\nb"}),
    ]
    with web.site.database.writing() as session:
        logs.add(session, run_id, AT, lines)
    return run_id


def test_the_log_shows_its_end_and_earlier_lines_on_demand(web: Web, logged: str) -> None:
    page = web.get(f"/runs/{logged}").text
    said = words(page)
    assert "step 342 " in said
    assert "step 341 " not in said
    assert "text= <b>careful</b>" in said
    earlier = re.search(r'hx-get="([^"]+before=\d+)"', page)
    assert earlier
    part = words(web.get(earlier[1].replace("&amp;", "&")).text)
    assert "step 42 " in part
    assert "step 341 " in part
    assert "step 342 " not in part
    assert "Earlier lines" in part


@pytest.mark.parametrize(
    ("query", "there", "gone"),
    [
        ("level=warning", ["careful", "traceback"], ["step"]),
        ("level=error", ["traceback"], ["careful"]),
        ("q=STEP+63", ["step 63 ", "step 630", "step 639"], ["step 62", "traceback"]),
        ("q=careful&level=error", ["No matching lines."], ["careful"]),
    ],
)
def test_the_log_is_filtered(web: Web, logged: str, query: str, there: list[str], gone: list[str]) -> None:
    for path in (f"/runs/{logged}?{query}", f"/runs/{logged}/log?{query}"):
        text = web.get(path).text
        said = words(text[text.index('id="log-lines"') :])
        assert all(word in said for word in there)
        assert not any(word in said for word in gone)


def test_a_level_that_there_is_not_is_told(web: Web, logged: str) -> None:
    for path in ("", "/log", "/log.txt"):
        assert web.get(f"/runs/{logged}{path}?level=loud").status_code == 400
    assert web.get(f"/runs/{logged}/log.pdf").status_code == 400


def test_a_live_log_sends_only_what_is_new(web: Web) -> None:
    web.source("shop")
    run_id = runs.request(web.site.database, "shop", web.site.clock())
    follows = re.search(r'hx-get="(/runs/[^"]+after=\d+)"', web.get(f"/runs/{run_id}").text)
    assert follows
    assert web.get(follows[1]).status_code == 204
    with web.site.database.writing() as session:
        logs.add(session, run_id, AT, [Line("info", "hello")])
    part = web.get(follows[1]).text
    assert "hello" in part
    assert "queued" not in part
    runs.cancel(web.site.database, run_id, web.site.clock())
    last = web.get(follows[1]).text
    assert "canceled" in last
    assert "hx-trigger" not in last


def test_the_log_is_a_file(web: Web, logged: str) -> None:
    web.client.cookies.set("zone", "America%2FSao_Paulo")
    answer = web.get(f"/runs/{logged}/log.ndjson")
    assert answer.headers["content-disposition"] == f'attachment; filename="{logged}.ndjson"'
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == [*logs.read(web.site.database, logged)]
    text = web.get(f"/runs/{logged}/log.txt?level=warning&q=careful")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text == "2026-11-22T09:00:00-03:00  warning  note  text=<b>careful</b>\n"

"""The page of one source: its tabs, its charts, its triggers, its alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from source_pages import ran, state_of
from sqlalchemy import select
from web_site import Web

from b24lake.control.models import Channel, Run, RunStream, SchemaChange, Source, Trigger
from b24lake.control.recent import Recent
from b24lake.web.pages.source import charts, freshness

TABS = ["", "/streams", "/runs", "/schema", "/state", "/triggers", "/triggers/new", "/settings", "/alerts"]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def test_the_data_grows_older_until_a_run_succeeds() -> None:
    successes = [(at(1), at(0.5)), (at(3), at(2))]
    assert freshness(successes, at(4)) == [[at(h).timestamp() for h in (1, 3, 3, 4)], [0.5, 2.5, 1.0, 2.0]]
    assert freshness([], at(4)) == [[], []]


def test_the_charts_hold_every_run_and_the_age_of_whole_successes_only() -> None:
    def run(state: str, hours: float, *, whole: bool = True) -> Recent:
        times = at(hours), at(hours), at(hours) + timedelta(seconds=90)
        return Recent(f"{hours}", "a", state, whole, 1, None, *times, 7)

    found = charts([run("success", 1), run("failed", 2), run("success", 3, whole=False)], {"1": at(1)}, at(4))
    assert (found["rows"], found["seconds"], found["bad"]) == ([7] * 3, [90.0] * 3, [False, True, False])
    assert found["fresh"][1] == [0.025, 3.0]


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("tab", TABS)
def test_every_tab_of_a_source_without_runs_says_what_will_be_there(web: Web, tab: str, active: bool) -> None:
    web.source("a", active=active)
    page = web.get(f"/sources/a{tab}")
    assert page.status_code == 200
    assert page.text.count('aria-current="page"') == 2  # Sources above, and the tab
    assert ("Finish set-up" in page.text) != active
    assert web.get(f"/sources/nobody{tab}").status_code == 404


def test_the_overview_begins_with_what_is_wrong(web: Web) -> None:
    web.source("a")
    ran(web, "a", "success", 5, rows_read=10)
    error = {"what": "The portal refused <the> webhook", "why": "INVALID_CREDENTIALS", "fix": "make a new one"}
    bad = ran(web, "a", "failed", 2, error=error)
    said = web.text("/sources/a")
    assert "The last run failed The portal refused <the> webhook Why: INVALID_CREDENTIALS" in said
    assert "What to do: make a new one" in said
    assert f"/runs/{bad}" in web.get("/sources/a").text
    ran(web, "a", "success", 1)
    assert "The last run failed" not in web.text("/sources/a")


def test_a_stopped_source_says_so_and_resumes(web: Web) -> None:
    web.source("a")
    with web.site.database.writing() as session:
        source = session.get_one(Source, "a")
        source.state, source.failures = "stopped", 3
    assert "stopped after 3 failed runs in a row" in web.text("/sources/a")
    web.post("/sources/a/resume")
    assert state_of(web, "a") == "active"


def test_streams_runs_and_changes_are_told_with_links_to_their_runs(web: Web) -> None:
    web.source("a", "deals", "users")
    old, new = ran(web, "a", "success", 5), ran(web, "a", "partial", 2, rows_read=1234, requests=56)
    change = {"table_name": "raw.a_deals", "at": NOON, "kind": "widened", "column": "UF_X"}
    with web.site.database.writing() as session:
        session.add(RunStream(run_id=old, stream="deals", status="success", result={"rows_read": 9}))
        session.add(
            RunStream(run_id=new, stream="deals", status="failed", result={"rows_read": 1, "error": "no <rows>"})
        )
        session.add(RunStream(run_id=old, stream="users", status="empty", result={"rows_read": 0}))
        detail = {"before": "long", "after": "double"}
        session.add(SchemaChange(source_id="a", run_id=new, stream="deals", detail=detail, **change))
    page = web.get("/sources/a/streams").text
    assert page.index(f"/runs/{new}") < page.index(f"/runs/{old}")  # deals come before users
    said = web.text("/sources/a/streams")
    assert "deals INCREMENTAL DATE_MODIFY raw.a_deals Failed no <rows> 1" in said
    assert "users FULL_TABLE – raw.a_users Empty 0" in said
    assert "Partly failed Manual 1 min 1,234 56" in web.text("/sources/a/runs")
    said = web.text("/sources/a/schema")
    assert "raw.a_deals UF_X Widened" in said
    assert "long double" in said


def test_the_head_is_live_as_long_as_a_run_is_at_work_and_forms_are_left_alone(web: Web) -> None:
    web.source("a")
    assert "/now?" not in web.get("/sources/a").text
    run = ran(web, "a", "queued")
    assert "/sources/a/now?tab=overview" in web.get("/sources/a").text
    waiting = web.get("/sources/a/now?tab=overview")
    assert ("Queued" in waiting.text, "hx-refresh" in waiting.headers) == (True, False)
    with web.site.database.writing() as session:
        session.get_one(Run, run).state = "success"
    assert web.get("/sources/a/now?tab=overview").headers["hx-refresh"] == "true"
    assert "hx-refresh" not in web.get("/sources/a/now?tab=settings").headers


def test_the_charts_are_drawn(page: Page, web: Web) -> None:
    web.source("a")
    for hours in (5, 4, 3):
        ran(web, "a", "success", hours, rows_read=100)
    page.goto("/sources/a")
    expect(page.locator(".chart canvas")).to_have_count(3)
    page.evaluate("localStorage.setItem('theme', 'dark'); dispatchEvent(new Event('theme'))")
    expect(page.locator(".chart canvas")).to_have_count(3)


# --- triggers ---------------------------------------------------------------------------------------------------------


def triggers_of(web: Web) -> list[Trigger]:
    with web.site.database.reading() as session:
        return list(session.scalars(select(Trigger).order_by(Trigger.id)))


def test_a_trigger_is_added_changed_switched_and_deleted(web: Web) -> None:
    web.source("a")
    sent: dict[str, Any] = {
        "kind": "schedule",
        "weekdays": ["fri", "mon"],
        "times": ["06:30", ""],
        "zone": "Asia/Tokyo",
    }
    assert web.post("/sources/a/triggers/new", {**sent, "name": "Morning"}).headers["location"] == "/sources/a/triggers"
    [one] = triggers_of(web)
    assert one.spec == {"weekdays": ["mon", "fri"], "times": ["06:30"], "zone": "Asia/Tokyo"}
    assert "Mon, Fri at 06:30 (Asia/Tokyo)" in web.text("/sources/a/triggers")
    address = f"/sources/a/triggers/{one.id}"
    assert 'value="06:30"' in web.get(address).text
    web.post(address, {"kind": "cron", "cron": "0 3 * * sun", "zone": "UTC", "full": "on"})
    [one] = triggers_of(web)
    assert (one.spec, one.full, one.name) == ({"cron": "0 3 * * sun", "zone": "UTC"}, True, "")
    web.post(f"{address}/switch")
    assert triggers_of(web)[0].enabled is False
    assert "Switched off" in web.text("/sources/a/triggers")
    web.post(f"{address}/switch", {"enabled": "on"})
    assert triggers_of(web)[0].enabled is True
    assert web.post("/sources/b/triggers/a.schedule/delete").status_code == 404
    web.post(f"{address}/delete")
    assert triggers_of(web) == []
    assert "It runs by hand only" in web.text("/sources/a/triggers")


def test_a_wrong_trigger_is_told_and_what_was_typed_stays(web: Web) -> None:
    web.source("a")
    answer = web.post("/sources/a/triggers/new", {"kind": "cron", "cron": "61 * * * *", "zone": "UTC", "name": "Mine"})
    assert answer.status_code == 400
    assert "its minute cannot be" in answer.text
    assert 'value="61 * * * *"' in answer.text
    assert 'value="Mine"' in answer.text
    circle = web.post("/sources/a/triggers/new", {"kind": "event", "sources": ["a"]})
    assert "that is a circle" in circle.text


def test_the_editor_is_live(page: Page, web: Web) -> None:
    web.source("a")
    web.source("Other", prefix="o_", url="https://b.bitrix24.com/rest/1/SECRETSECRET/")
    page.goto("/sources/a/triggers/new")
    preview = page.locator(".trigger-preview")
    expect(preview).to_contain_text("Every day at 06:00 (America/Sao_Paulo)")
    page.get_by_text("Wed", exact=True).click()
    expect(preview).to_contain_text("Wed at 06:00 (America/Sao_Paulo)")
    expect(preview.locator("li")).to_have_count(5)
    page.get_by_role("button", name="Another time").click()
    page.locator("input[type=time]").nth(1).fill("18:15")
    expect(preview).to_contain_text("Wed at 06:00, 18:15")
    page.get_by_text("Cron expression", exact=True).first.click()
    expect(preview).to_contain_text("has 0 fields")
    page.get_by_label("Cron expression").last.fill("0 6 * * mon")
    expect(preview).to_contain_text("By the cron line 0 6 * * mon")
    page.get_by_text("After other sources").click()
    page.get_by_role("checkbox", name="Other").check()
    expect(preview).to_contain_text("After a successful run of Other")
    page.get_by_role("button", name="Add trigger").click()
    expect(page.get_by_role("heading", name="After a successful run of Other")).to_be_visible()
    page.once("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Delete: After").click()
    expect(page.get_by_text("The trigger is deleted.")).to_be_visible()


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_a_channel_is_added_without_showing_its_address_and_deleted(web: Web) -> None:
    web.source("a")
    sent: dict[str, Any] = {"kind": "webhook", "name": "team", "url": "https://hooks.example.com/SECRETPATH"}
    answer = web.post("/sources/a/alerts/channels", {**sent, "events": ["failed", "late"]})
    assert answer.status_code == 303
    page = web.get("/sources/a/alerts").text
    assert "https://hooks.example.com/…" in page
    assert "SECRETPATH" not in page
    with web.site.database.reading() as session:
        assert session.get_one(Channel, "team").events == ["failed", "late"]
    assert web.post("/sources/a/alerts/channels/team/delete").status_code == 303
    assert "No channels yet" in web.text("/sources/a/alerts")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "ftp://x"}, "This is no address to post alerts to"),
        ({"name": "a b"}, "is no name for a channel"),
        ({"events": []}, "The channel would get no alert"),
        ({"kind": "smtp", "server": "mail"}, "The mail server is not named"),
        ({"kind": "smtp", "server": "mail.example.com:25", "sender": "x", "to": "y@z"}, "is no e-mail address"),
    ],
)
def test_a_wrong_channel_is_told_and_nothing_secret_comes_back(web: Web, change: dict[str, Any], said: str) -> None:
    web.source("a")
    usual = {"kind": "webhook", "name": "team", "url": "https://x.example/SECRETPATH", "events": ["failed"]}
    answer = web.post("/sources/a/alerts/channels", {**usual, "password": "SECRETPATH", **change})
    assert answer.status_code == 400
    assert said in answer.text
    assert "SECRETPATH" not in answer.text


def test_a_channel_of_a_private_network_is_refused_unless_allowed(start: Callable[..., Web]) -> None:
    web = start(private=False)
    web.source("a")
    sent = {"kind": "webhook", "name": "team", "url": "http://169.254.169.254/latest", "events": ["failed"]}
    answer = web.post("/sources/a/alerts/channels", sent)
    assert (answer.status_code, "private network" in answer.text) == (400, True)


def test_a_test_that_does_not_arrive_says_why(web: Web) -> None:
    web.source("a")
    sent = {"kind": "webhook", "name": "team", "url": "http://127.0.0.1:9/x", "events": ["failed"]}
    web.post("/sources/a/alerts/channels", sent)
    assert "did not reach http://127.0.0.1/…" in web.post("/sources/a/alerts/channels/team/test").text

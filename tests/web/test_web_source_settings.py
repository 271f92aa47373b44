"""Settings and bookmarks of a source: hints, wrong values, two people at once, the webhook, moving a bookmark."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from source_pages import state_of
from web_site import Web

from b24lake.control import audit, runs, sources
from b24lake.control.audit import Actor
from b24lake.control.models import Source
from b24lake.control.runs import ENDED
from b24lake.control.source_settings import FIELDS, value_of
from b24lake.control.worker import Worker
from b24lake.lake import catalog
from b24lake.sandbox import Server

SETTINGS = "/sources/a/settings"


def form(web: Web) -> dict[str, str]:
    """The fields of the form as a browser would send them."""
    page = web.get(SETTINGS).text.partition("<form")[2]
    found = {}
    for tag in re.findall(r"<input [^>]+>", page):
        name = re.search(r' name="([^"]+)"', tag)
        value = re.search(r' value="([^"]*)"', tag)
        if name and (' type="checkbox"' not in tag or " checked" in tag):
            found[name[1]] = unescape(value[1]) if value else ""
    for name, options in re.findall(r'(?s)<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', page):
        chosen = re.search(r'value="([^"]+)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return {name: value for name, value in found.items() if name in {*FIELDS, "seen", "before"}}


def value(web: Web, name: str) -> Any:
    with web.site.database.reading() as session:
        return value_of(session.get_one(Source, "a"), name)


def changed_by_bob(web: Web, **settings: Any) -> None:
    with web.site.database.writing() as session:
        bob = Actor("bob", datetime.now(UTC) + timedelta(seconds=1))
        sources.edit(session, web.site.here, bob, session.get_one(Source, "a"), settings)


def test_every_setting_can_be_edited_under_its_own_name(web: Web) -> None:
    web.source("a")
    page = web.get(SETTINGS).text
    for name in FIELDS:
        assert f'name="{name}"' in page, name
    for label in (
        "Outbound webhook URL",
        "Extract deal contacts",
        "Enable deal comments stream",
        "Enable deal products stream",
        "Operating time threshold",
        "Filter deal category IDs",
        "Delta Log Retention",
    ):
        assert label in page


def test_a_form_sent_back_as_it_came_changes_nothing(web: Web) -> None:
    web.source("a")
    before = len(audit.entries(web.site.database))
    assert web.post(SETTINGS, form(web)).status_code == 303
    assert "Nothing was changed." in web.text(SETTINGS)
    assert len(audit.entries(web.site.database)) == before


def test_settings_are_saved_together(web: Web) -> None:
    web.source("a")
    sent = {**form(web), "description": "<Sales>", "deal_contacts": "true", "overlap_seconds": "10m", "deleted": "mark"}
    assert web.post(SETTINGS, sent).status_code == 303
    found = [value(web, name) for name in ("description", "deal_contacts", "overlap_seconds", "deleted", "name")]
    assert found == ["<Sales>", True, 600, "mark", "a"]
    off = {name: text for name, text in form(web).items() if name != "deal_contacts"}  # a box without its tick
    web.post(SETTINGS, off)
    assert value(web, "deal_contacts") is False


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("description", "x" * 141, "at most 140 are allowed"),
        ("threshold", "-1", "it is a number of seconds"),
        ("concurrency", "33", "it is a whole number from 1 to 32"),
        ("deal_categories", "a", "it is a list of ids"),
        ("name", "", "not empty"),
        ("layer", "../x", "layer"),
    ],
)
def test_a_wrong_value_is_told_beside_its_field_and_nothing_is_lost(web: Web, name: str, typed: str, said: str) -> None:
    web.source("a")
    answer = web.post(SETTINGS, {**form(web), "folder": "kept", name: typed})
    assert answer.status_code == 400
    assert said in unescape(re.sub("<[^>]+>", " ", answer.text))
    assert re.search(rf'id="{name}-error"', answer.text)
    assert 'value="kept"' in answer.text
    assert value(web, "folder") == "bitrix24"


def test_the_second_of_two_people_is_told_and_loses_nothing(web: Web) -> None:
    web.source("a")
    mine = form(web)
    changed_by_bob(web, description="Bob was here", retries="5")
    answer = web.post(SETTINGS, {**mine, "retries": "7", "folder": "mine"})
    assert answer.status_code == 409
    assert "bob has changed this source meanwhile" in answer.text
    assert [value(web, name) for name in ("description", "retries", "folder")] == ["Bob was here", 5, "bitrix24"]
    page = answer.text
    assert 'value="Bob was here"' in page  # I did not touch it, so his stays
    assert 'value="7"' in page
    assert 'value="mine"' in page
    assert "Saved meanwhile" in page
    again = dict(mine)
    for name in ("seen", "before"):
        found = re.search(rf'name="{name}" value="([^"]*)"', page)
        assert found
        again[name] = unescape(found[1])
    assert (
        web.post(SETTINGS, {**again, "description": "Bob was here", "retries": "7", "folder": "mine"}).status_code
        == 303
    )
    assert [value(web, name) for name in ("description", "retries", "folder")] == ["Bob was here", 7, "mine"]


def test_a_pause_meanwhile_is_no_conflict(web: Web) -> None:
    web.source("a")
    mine = form(web)
    web.post("/sources/a/pause")
    assert web.post(SETTINGS, {**mine, "retries": "4"}).status_code == 303
    assert (value(web, "retries"), state_of(web, "a")) == (4, "paused")


@pytest.mark.parametrize("before", ["", "[]", "{", "null"])
def test_half_a_form_is_refused(web: Web, before: str) -> None:
    web.source("a")
    assert web.post(SETTINGS, {**form(web), "before": before, "retries": "4"}).status_code == 400
    assert value(web, "retries") == 2


def test_the_webhook_is_replaced_and_never_shown(web: Web) -> None:
    web.source("a")
    fresh = "https://acme.bitrix24.com/rest/7/OTHERSECRET12/"
    assert web.post(f"{SETTINGS}/webhook", {"webhook": fresh}).status_code == 303
    page = web.get(SETTINGS).text
    assert "/rest/7/" in page
    assert "OTHERSECRET12" not in page
    assert "SECRETSECRET" not in page
    wrong = web.post(f"{SETTINGS}/webhook", {"webhook": "https://acme.bitrix24.com/handler/OTHERSECRET12"})
    assert (wrong.status_code, "is not an incoming webhook URL" in wrong.text) == (400, True)


def test_a_webhook_of_a_private_network_is_refused_unless_allowed(start: Callable[..., Web]) -> None:
    web = start(private=False)
    web.source("a")
    answer = web.post(f"{SETTINGS}/webhook", {"webhook": "https://10.0.0.1/rest/1/SECRETSECRET/"})
    assert (answer.status_code, "private network" in answer.text) == (400, True)


def test_the_checks_are_made_again(web: Web, serve: Callable[..., Server]) -> None:
    web.source("a", "users", url=serve().url)
    assert "Not checked since" in web.text(SETTINGS)
    assert "the portal answers" in web.post(f"{SETTINGS}/check", headers={"HX-Request": "true"}).text
    assert "the portal answers" in web.text(SETTINGS)


# --- bookmarks --------------------------------------------------------------------------------------------------------


def test_bookmarks_are_shown_moved_and_reset(
    page: Page, web: Web, worker: Worker, serve: Callable[..., Server]
) -> None:
    web.source("a", "deals", "deal_stage_history", "users", url=serve().url)
    assert "there is no table yet" in web.text("/sources/a/state?all")
    web.post("/sources/a/run")
    page.goto("/sources/a/runs")
    for _ in range(120):
        if "Success" in page.inner_text("#content"):
            break
        page.wait_for_timeout(500)
        page.reload()
    page.goto("/sources/a/state")
    expect(page.get_by_role("link", name="Change: deals")).to_be_visible()
    expect(page.locator("tr", has_text="users")).to_contain_text("it is always read in full")
    page.get_by_role("link", name="Change: deals").click()
    page.get_by_label("Begin at (time of America/Sao_Paulo)").fill("2026-01-02T03:04")
    page.get_by_role("button", name="Move the bookmark").click()
    expect(page.get_by_text("reads deals from the new place on")).to_be_visible()
    expect(page.locator("tr", has_text="raw.a_deals")).to_contain_text("Jan 2, 2026")
    page.get_by_role("link", name="Change: deals").click()
    page.get_by_label("Yes, read everything again").check()
    page.get_by_role("button", name="Reset the bookmark").click()
    expect(page.locator("tr", has_text="raw.a_deals")).to_contain_text("the bookmark was reset")
    history = "/sources/a/state/deal_stage_history"
    assert "is not an id" in web.post(history, {"what": "rewind", "where": "2026-01-02"}).text
    assert web.post(history, {"what": "rewind", "where": "7"}).status_code == 303
    assert "id 7" in web.text("/sources/a/state?all")
    later = web.post("/sources/a/state/deals", {"what": "rewind", "where": "2099-01-01T00:00"})
    assert (later.status_code, "has not come yet" in later.text) == (400, True)
    assert web.post("/sources/a/state/deals", {"what": "other"}).status_code == 400
    assert web.post("/sources/a/state/leads", {"what": "reset"}).status_code == 400
    moved = [entry.detail["stream"] for entry in audit.entries(web.site.database) if "bookmark" in entry.action]
    assert moved == ["deal_stage_history", "deals", "deals"]
    assert worker.most == 2


# --- tables that move -------------------------------------------------------------------------------------------------


def test_tables_move_with_their_history_or_stay(web: Web, worker: Worker, serve: Callable[..., Server]) -> None:
    source = web.source("a", "departments", "users", url=serve().url)
    run = runs.request(web.site.database, source, web.site.clock())
    web.awaited(lambda: runs.shown(web.site.database, run)["state"] in ENDED)
    lake = web.site.here.lake
    first = len(catalog.describe(lake, "raw.a_users").versions)
    moved = web.post(SETTINGS, form(web) | {"prefix": "b_", "layer": "trusted", "move_tables": "true"})
    assert moved.status_code == 303
    assert [one.sql_name for one in catalog.tables(lake)] == ["trusted.b_departments", "trusted.b_users"]
    assert len(catalog.describe(lake, "trusted.b_users").versions) == first
    stays = form(web) | {"prefix": "c_"}
    assert web.post(SETTINGS, stays).status_code == 303
    assert [one.sql_name for one in catalog.tables(lake)] == ["trusted.b_departments", "trusted.b_users"]
    step = "/sources/a/setup/tables"
    again = {"layer": "raw", "folder": "bitrix24", "prefix": "b_", "deleted": "remove", "then": "stay"}
    names = {"table.departments": "departments", "table.users": "people"}
    web.post(SETTINGS, form(web) | {"prefix": "b_"})
    assert "Move the tables that are there" in web.get(step).text
    web.client.cookies.set("language", "pt_BR")
    assert web.post(step, again | names | {"move_tables": "true"}).status_code == 303
    assert "agora é" in web.text(step)
    assert [one.sql_name for one in catalog.tables(lake)] == ["raw.departments", "raw.people"]

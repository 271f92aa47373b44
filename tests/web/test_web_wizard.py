"""The wizard without a browser: what each step shows, refuses and keeps."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from html import unescape
from typing import Any

import httpx
import pytest
from web_site import NOBODY, Web, words

from b24lake.control import runs, sources
from b24lake.control.audit import Actor
from b24lake.control.models import Source
from b24lake.control.source_settings import value_of, webhook_of
from b24lake.control.triggers import listed
from b24lake.sandbox import Server

Serve = Callable[..., Server]
RUN = {"run_kind": "manual", "run_zone": "UTC", "name": "crm", "log_days": "30", "file_days": "7"}


def source_of(web: Web, source_id: str = "127-0-0-1") -> Source:
    with web.site.database.reading() as session:
        return sources.found(session, source_id)


def settled(web: Web, path: str, *, until: str) -> str:
    """A page, as soon as it says so."""
    said = ""
    for _look in range(600):
        page = web.get(path).text
        said = words(page)
        if until in said:
            return page
        time.sleep(0.1)
    raise AssertionError(said)


def typed(**more: str) -> dict[str, str]:
    return {"threshold": "200", "deal_categories": "", **more}


def made(web: Web, url: str, **more: str) -> str:
    """A draft whose portal has answered: the address of its setup."""
    answer = web.post("/sources/new/bitrix24", typed(webhook=url, **more))
    assert answer.status_code == 303, words(answer.text)
    setup = answer.headers["location"].rpartition("/")[0]
    settled(web, f"{setup}/access", until="The portal answers")
    assert web.post(f"{setup}/access", typed(seen="", **more)).headers["location"] == f"{setup}/streams"
    return setup


def chosen(web: Web, url: str, *streams: str, **more: str) -> str:
    setup = made(web, url, **more)
    answer = web.post(f"{setup}/streams", {"stream": list(streams)})
    assert answer.headers["location"] == f"{setup}/tables", words(answer.text)
    return setup


def tables(web: Web, setup: str, **more: str) -> httpx.Response:
    typed = {"layer": "raw", "folder": "bitrix24", "prefix": "bitrix24_", "deleted": "remove"}
    return web.post(f"{setup}/tables", {**typed, **{key.replace("__", "."): value for key, value in more.items()}})


def seen(page: str) -> str:
    found = re.search(r'name="seen" value="([^"]*)"', page)
    assert found
    return unescape(found[1])


# --- the way ----------------------------------------------------------------------------------------------------------


def test_the_connector_leads_to_the_first_step(web: Web) -> None:
    page = web.get("/sources/new").text
    assert "Bitrix24 CRM" in words(page)
    assert 'action="/sources/new/bitrix24"' in page
    text = web.text("/sources/new/bitrix24")
    for label in (
        "Outbound webhook URL",
        "Extract deal contacts",
        "Enable deal comments stream",
        "Enable deal products stream",
        "Operating time threshold",
        "Filter deal category IDs",
    ):
        assert label in text
    assert "incoming (inbound) webhook" in text
    assert "Applications › Developer resources › Other › Incoming webhook" in text
    assert "elsewhere called departments" in text
    page = web.get("/sources/new/bitrix24").text
    assert 'name="threshold" type="text" value="200"' in page
    assert page.count("checked") == 0
    assert "training.bitrix24.com/rest_help/" in page


def test_from_a_webhook_to_an_active_source(web: Web, serve: Serve) -> None:
    setup = chosen(web, serve().url, "deals", "users", deal_contacts="on", deal_categories="0, 3", threshold="120")
    source = source_of(web)
    assert [value_of(source, name) for name in ("deal_contacts", "deal_categories", "threshold")] == [True, [0, 3], 120]
    assert web.get("/sources/127-0-0-1/setup").headers["location"] == f"{setup}/tables"
    assert "No such" not in web.text(f"{setup}/tables")
    answer = tables(web, setup, table__deals="crm_deals", sync_type__deals="FULL_TABLE", prefix="crm_")
    assert answer.headers["location"] == f"{setup}/source", words(answer.text)
    assert source_of(web).state == "draft"
    answer = web.post(f"{setup}/source", {**RUN, "name": "Sales", "description": "The shop's deals"})
    assert answer.headers["location"] == f"{setup}/check", words(answer.text)
    source = source_of(web)
    assert (source.state, source.name, source.description) == ("active", "Sales", "The shop's deals")
    rows = {one.stream: (one.sync_type, one.table_name) for one in source.streams}
    assert rows == {"deals": ("FULL_TABLE", "crm_deals"), "users": ("FULL_TABLE", "crm_users")}
    text = web.text(f"{setup}/check")
    assert "only after at least one successful run" in text
    assert "Only when somebody starts it" in text


def test_no_step_can_be_skipped(web: Web, serve: Serve) -> None:
    setup = made(web, serve().url)
    for step in ("tables", "source", "check"):
        assert web.get(f"{setup}/{step}").headers["location"] == f"{setup}/streams"
    assert web.get(f"{setup}/access").status_code == 200
    assert web.get("/sources/nobody/setup/access").status_code == 404
    assert web.get("/sources/nobody/setup").status_code == 404


# --- access -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("webhook", "says"),
    [
        ("", "No webhook URL was given"),
        ("abc123tokentoken", "application token of an outgoing (outbound) webhook"),
        ("https://acme.com/handler.php", "handler URL of an outgoing (outbound) webhook"),
    ],
)
def test_what_is_no_webhook_is_refused_beside_the_field(web: Web, webhook: str, says: str) -> None:
    answer = web.post("/sources/new/bitrix24", typed(webhook=webhook, threshold="-5", deal_comments="on"))
    text = words(answer.text)
    assert answer.status_code == 400
    assert says in text
    assert "incoming (inbound) webhook" in text
    assert "threshold cannot be '-5'" in text
    assert answer.text.count('aria-invalid="true"') == 2
    assert 'id="deal_comments" name="deal_comments" checked' in answer.text
    assert not webhook or webhook not in answer.text
    with web.site.database.reading() as session:
        assert sources.listed(session) == []


@pytest.mark.parametrize("webhook", ["https://10.0.0.1/rest/1/SECRETSECRET/", "https://[fd00::1]/rest/1/SECRETSECRET/"])
def test_private_networks_are_refused_unless_allowed(start: Callable[..., Web], webhook: str) -> None:
    web = start(private=False)
    answer = web.post("/sources/new/bitrix24", typed(webhook=webhook))
    assert answer.status_code == 400
    assert "private network" in words(answer.text)
    assert "plain http" in words(web.post("/sources/new/bitrix24", typed(webhook="http://a.com/rest/1/S/")).text)
    assert "SECRETSECRET" not in answer.text


def test_the_webhook_never_comes_back_and_an_empty_field_keeps_it(web: Web, serve: Serve) -> None:
    url = serve().url
    setup = made(web, url)
    code = url.rstrip("/").rpartition("/")[2]
    page = web.get(f"{setup}/access").text
    assert code not in page
    assert "/rest/1/***/ is kept as long as this field stays empty" in words(page)
    assert web.post(f"{setup}/access", typed(threshold="300")).status_code == 303
    source = source_of(web)
    assert webhook_of(source, web.site.keyring).code == code
    assert value_of(source, "threshold") == 300


def test_a_portal_that_does_not_answer_keeps_the_draft_at_its_first_step(web: Web, serve: Serve) -> None:
    gone = serve()
    url = gone.url
    gone.close()
    answer = web.post("/sources/new/bitrix24", typed(webhook=url))
    assert answer.headers["location"] == "/sources/127-0-0-1/setup/access?then=1"
    assert "Asking the portal" in web.text(answer.headers["location"])
    assert web.get("/sources/127-0-0-1/setup/streams").headers["location"].endswith("/access")


def test_a_webhook_that_the_portal_refuses_is_told_with_cause_and_cure(web: Web, serve: Serve) -> None:
    url = serve().url.replace("/rest/1/", "/rest/1/x")
    setup = web.post("/sources/new/bitrix24", typed(webhook=url)).headers["location"].partition("?")[0]
    page = settled(web, setup, until="This webhook cannot be used yet")
    assert "What to do" in words(page)
    assert "connection" in words(page)
    again = web.post(setup, typed())  # something may have been put right on the portal: it is asked once more
    assert again.headers["location"] == f"{setup}?then=1"
    assert source_of(web).state == "draft"


def test_next_goes_on_by_itself_unless_there_is_something_to_read_first(web: Web, serve: Serve) -> None:
    fine = web.post("/sources/new/bitrix24", typed(webhook=serve().url)).headers["location"]
    settled(web, fine.partition("?")[0], until="The portal answers")
    assert web.get(fine).headers["location"] == "/sources/127-0-0-1/setup/streams"
    known = web.post("/sources/new/bitrix24", typed(webhook=serve(admin=False).url)).headers["location"]
    page = settled(web, known, until="The portal answers, with warnings")
    assert "records that the owner may not see are missing from every list" in words(page)
    assert web.post(known.partition("?")[0], typed()).headers["location"] == "/sources/127-0-0-1-2/setup/streams"


def test_a_check_begins_before_anything_is_saved(web: Web, serve: Serve) -> None:
    page = web.post("/sources/new/bitrix24/check", {"webhook": serve().url}).text
    found = re.search(r'hx-get="([^"]+)"', page)
    assert found
    page = settled(web, unescape(found[1]), until="The portal answers")
    for name in ("connection", "owner", "rights", "scopes", "clock", "streams"):
        assert f"<strong>{name}</strong>" in page
    with web.site.database.reading() as session:
        assert sources.listed(session) == []
    assert "handler URL" in words(web.post("/sources/new/bitrix24/check", {"webhook": "https://acme.com/x"}).text)


def test_another_portals_webhook_is_refused_where_there_are_tables(web: Web, serve: Serve, b24lake: Any) -> None:
    setup = chosen(web, serve().url, "users")
    tables(web, setup)
    web.post(f"{setup}/source", RUN)
    env = {"B24LAKE_HOME": str(web.site.here.home.path), "B24LAKE_LAKE": str(web.site.here.lake)}
    here = webhook_of(source_of(web), web.site.keyring)
    assert b24lake("sync", here.url("").removesuffix(".json"), "-s", "users", env=env).code == 0
    answer = web.post(f"{setup}/access", typed(webhook=NOBODY))
    assert answer.status_code == 400
    assert "cannot read acme.bitrix24.com" in words(answer.text)
    assert source_of(web).portal_address == here.address


# --- streams ----------------------------------------------------------------------------------------------------------


def test_streams_are_listed_with_keys_rows_locks_and_costs(web: Web, serve: Serve) -> None:
    setup = made(web, serve(scopes=("crm", "user")).url, deal_comments="on")
    page = settled(web, f"{setup}/streams", until="~ = estimated")
    text = words(page)
    for group in ("CRM", "Field definitions", "Smart processes", "Users and structure", "Telephony", "Open lines"):
        assert f"All of {group}" in page
    assert "The scope telephony is missing" in text
    assert "What to do: open the incoming webhook" in text
    assert 'value="calls"  disabled' in re.sub(r"\s{2,}", "  ", page)
    assert 'id="rows-deals">260</span>' in page
    assert "one call per deal" in text
    assert "about 6 requests for all deals" in text
    assert 'value="deal_products"' not in page  # it is not offered until it is enabled
    assert "github.com/b24lake/b24lake/issues" in page


def test_no_stream_is_no_choice(web: Web, serve: Serve) -> None:
    setup = made(web, serve().url)
    answer = web.post(f"{setup}/streams", {})
    assert (answer.status_code, "No stream is chosen" in words(answer.text)) == (400, True)


def test_a_locked_stream_cannot_be_chosen(web: Web, serve: Serve) -> None:
    setup = made(web, serve(scopes=("crm",)).url)
    settled(web, f"{setup}/streams", until="selected")
    answer = web.post(f"{setup}/streams", {"stream": ["deals", "users"]})
    assert "The stream users cannot be read" in words(answer.text)
    assert 'value="deals" checked' in answer.text  # what was ticked stays so


# --- tables -----------------------------------------------------------------------------------------------------------


def test_all_wrong_names_are_told_at_once_and_what_was_typed_stays(web: Web, serve: Serve) -> None:
    setup = chosen(web, serve().url, "deals", "leads", "users", "contacts")
    answer = tables(web, setup, table__deals="select", table__leads="same", table__users="SAME", table__contacts="ok")
    text = words(answer.text)
    assert answer.status_code == 400
    assert "'select' cannot be the name of a table: it is a word of SQL" in text
    assert "has a writer already" in text
    assert 'value="ok"' in answer.text
    assert {one.table_name for one in source_of(web).streams} >= {"bitrix24_deals", "bitrix24_leads"}
    typed = {"layer": "raw", "folder": "f", "prefix": "p p", "deleted": "remove", "table.deals": "x y"}
    page = web.post(f"{setup}/tables/check", typed).text
    assert "5 names cannot be used" in words(page)
    assert "prefix cannot be 'p p'" in words(page)
    page = web.post(f"{setup}/tables/check", {**typed, "prefix": "p_"}).text
    assert "1 name cannot be used" in words(page)
    assert 'id="table-leads-error" hx-swap-oob="true" hidden' in page


def test_without_scripts_a_new_prefix_renames_the_tables(web: Web, serve: Serve) -> None:
    setup = chosen(web, serve().url, "deals", "users")
    tables(web, setup, prefix="crm_", table__deals="bitrix24_deals", table__users="people", folder="Sales")
    source = source_of(web)
    assert {one.stream: one.table_name for one in source.streams} == {"deals": "crm_deals", "users": "people"}
    assert (source.folder, source.prefix) == ("Sales", "crm_")


def test_a_second_source_gets_a_prefix_of_its_own(web: Web, serve: Serve) -> None:
    first, second = serve(), serve()
    made(web, first.url)
    made(web, second.url)
    assert [source_of(web, one).prefix for one in ("127-0-0-1", "127-0-0-1-2")] == ["bitrix24_", "portal_127_0_0_1_2_"]


def test_columns_are_left_out_and_hashed(web: Web, serve: Serve) -> None:
    setup = chosen(web, serve().url, "contacts", "activities")
    page = settled(web, f"{setup}/tables/columns/contacts", until="PHONE")
    assert 'data-column="ID"' not in page  # keys are needed
    answer = tables(web, setup, exclude__contacts="NO_SUCH", hash__contacts="ID")
    assert "has no column 'NO_SUCH'" in words(answer.text)
    assert "cannot do without ID" in words(answer.text)
    answer = tables(
        web, setup, exclude__contacts="UF_*", hash__contacts="PHONE, EMAIL", replication_key__activities="LAST_UPDATED"
    )
    assert answer.status_code == 303, words(answer.text)
    rows = {one.stream: one for one in source_of(web).streams}
    assert (rows["contacts"].excluded, rows["contacts"].hashed) == (["UF_*"], ["PHONE", "EMAIL"])
    assert rows["activities"].replication_key == "LAST_UPDATED"


# --- source -----------------------------------------------------------------------------------------------------------


def test_a_description_of_141_signs_and_a_wrong_cron_line_are_refused(web: Web, serve: Serve) -> None:
    setup = chosen(web, serve().url, "users")
    tables(web, setup)
    wrong = {**RUN, "description": "x" * 141, "run_kind": "cron", "run_cron": "61 * * * *", "log_days": "-1"}
    answer = web.post(f"{setup}/source", wrong)
    text = words(answer.text)
    assert answer.status_code == 400
    assert "it has 141 signs, and at most 140 are allowed" in text
    assert "The cron line '61 * * * *' is wrong" in text
    assert "log_days cannot be '-1'" in text
    assert source_of(web).state == "draft"
    assert "no longer be reachable" in words(web.get(f"{setup}/source/retention?log_days=10&file_days=7").text)


def test_triggers_are_made_changed_and_taken_away(web: Web, serve: Serve) -> None:
    setup = chosen(web, serve().url, "deals", "deal_comments", deal_comments="on")
    tables(web, setup)
    assert 'id="with_full" name="with_full" checked' in web.get(f"{setup}/source").text  # edits may not move a deal
    daily = {"run_kind": "schedule", "run_times": "06:30", "run_zone": "Europe/Berlin"}
    weekly = {"with_full": "on", "full_kind": "schedule", "full_weekdays": "sun", "full_times": "03:00"}
    web.post(f"{setup}/source", {**RUN, **daily, **weekly, "full_zone": "Europe/Berlin"})

    def kept() -> list[tuple[bool, Any]]:
        with web.site.database.reading() as session:
            return sorted((one.full, one.spec.get("times")) for one in listed(session, "127-0-0-1"))

    assert kept() == [(False, ["06:30"]), (True, ["03:00"])]
    assert source_of(web).state == "active"
    web.post(f"{setup}/source", {**RUN, **daily, "run_times": "07:30"})
    assert kept() == [(False, ["07:30"])]
    web.post(f"{setup}/source", RUN)
    assert kept() == []


def test_the_estimate_comes_from_the_plan(web: Web, serve: Serve) -> None:
    setup = chosen(web, serve().url, "deals")
    tables(web, setup)
    page = settled(web, f"{setup}/source/estimate", until="rows in")
    assert "260 rows in" in words(page)


# --- two at once, and other troubles ----------------------------------------------------------------------------------


def test_the_second_of_two_who_change_a_source_is_told(web: Web, serve: Serve) -> None:
    setup = chosen(web, serve().url, "deals", "users")
    before = seen(web.get(f"{setup}/tables").text)
    assert tables(web, setup, seen=before, table__deals="first").status_code == 303
    answer = tables(web, setup, seen=before, table__deals="second")
    assert answer.status_code == 400
    assert "changed elsewhere in the meantime" in words(answer.text)
    assert 'value="second"' in answer.text
    assert tables(web, setup, seen=seen(answer.text), table__deals="second").status_code == 303


def test_leaving_a_step_for_one_before_saves_it(web: Web, serve: Serve) -> None:
    setup = chosen(web, serve().url, "deals")
    answer = tables(web, setup, table__deals="kept", go="access")
    assert answer.headers["location"] == f"{setup}/access"
    assert source_of(web).streams[0].table_name == "kept"
    assert web.get(f"{setup}/source").headers["location"] == f"{setup}/tables"  # it was left, not finished


def test_an_active_source_is_changed_on_the_same_screens(web: Web, serve: Serve, b24lake: Any) -> None:
    setup = chosen(web, serve().url, "users")
    tables(web, setup)
    web.post(f"{setup}/source", RUN)
    env = {"B24LAKE_HOME": str(web.site.here.home.path), "B24LAKE_LAKE": str(web.site.here.lake)}
    url = webhook_of(source_of(web), web.site.keyring).url("").removesuffix(".json")
    assert b24lake("sync", url, "-s", "users", env=env).code == 0
    assert web.post(f"{setup}/streams", {"stream": ["users", "departments"]}).status_code == 303
    answer = tables(web, setup, table__users="people")
    assert answer.headers["location"] == f"{setup}/source"
    assert "raw.bitrix24_users stays as it is; the next run reads users in full, into raw.people." in web.text(
        answer.headers["location"]
    )
    source = source_of(web)
    assert source.state == "active"
    assert {one.stream: one.table_name for one in source.streams if one.selected} == {
        "departments": "bitrix24_departments",
        "users": "people",
    }


def test_a_copy_is_switched_on_at_the_last_step(web: Web) -> None:
    source_id = web.source("crm", "deals")
    with web.site.database.writing() as session:
        source = sources.found(session, source_id)
        source.setup = ["access", "tables", "source"]
        copy = sources.duplicate(session, web.site.here, Actor("ann", web.site.clock()), source).id
    assert web.get(f"/sources/{copy}/setup").headers["location"] == f"/sources/{copy}/setup/check"
    assert "Switch it on" in web.text(f"/sources/{copy}/setup/check")
    assert web.post(f"/sources/{copy}/setup/check").status_code == 303
    assert source_of(web, copy).state == "active"


def test_pressed_twice_there_is_one_run(web: Web) -> None:
    source_id = web.source("crm", "deals")
    path = f"/sources/{source_id}/setup/check/run"
    assert [web.post(path).status_code for _ in range(2)] == [303, 303]
    text = words(web.get(path).text)
    assert "in the queue" in text
    assert len(runs.listed(web.site.database)) == 1


def test_html_in_names_is_text(web: Web) -> None:
    source_id = web.source("crm", "deals", description="<script>alert(1)</script>", folder="<b>bold</b>")
    for step in ("tables", "source", "check"):
        page = web.get(f"/sources/{source_id}/setup/{step}").text
        assert "<script>alert" not in page
        assert "<b>bold" not in page
    assert "<script>alert(1)</script>" in web.text(f"/sources/{source_id}/setup/check")


def test_a_form_without_its_token_changes_nothing(web: Web) -> None:
    source_id = web.source("crm", "deals", active=False)
    for step in ("access", "streams", "tables", "source", "check", "check/run"):
        assert web.client.post(f"/sources/{source_id}/setup/{step}", data={"stream": "users"}).status_code == 403
    assert [one.stream for one in source_of(web, source_id).streams] == ["deals"]

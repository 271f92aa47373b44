"""The JSON API: the same rules as the command line, tokens with scopes, and errors that say what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import yaml
from people import PASSWORD, account, actor, bearer, log_in, token
from sqlalchemy import select
from web_site import NOBODY, Web

from b24lake.control import accounts, runs, tokens
from b24lake.control.logs import add as add_lines
from b24lake.control.models import Run, SchemaChange, Token
from b24lake.control.moments import now
from b24lake.control.telling import INFO, WARNING, Line
from b24lake.control.worker import Worker
from b24lake.sandbox import Server

API, JSON = "/api/v1", "application/json"
Start = Callable[..., Web]
Serve = Callable[..., Server]


def call(web: Web, method: str, path: str, body: Any = None, *, status: int = 200, **more: Any) -> Any:
    answer = web.client.request(method, API + path, json=body, **more) if body is not None else web.client.request(
        method, API + path, **more
    )  # fmt: skip
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert set(answer.json()["error"]) == {"what", "why", "fix", "code"}
        assert answer.json()["error"]["code"]
    return answer.json()


def test_a_source_from_its_birth_to_its_end(web: Web, worker: Worker, serve: Serve) -> None:
    url = serve(deals=40, users=6).url
    made = call(web, "POST", "/sources", {"name": "Sales", "webhook": url, "streams": ["users"]}, status=201)
    assert (made["id"], made["state"]) == ("sales", "active")
    assert "sandboxcode" not in json.dumps(made)
    assert {one["status"] for one in call(web, "GET", "/sources/sales/streams")["streams"]} >= {"available", "hidden"}
    assert call(web, "POST", "/sources/sales/check")["status"] == "ok"
    run = call(web, "POST", "/sources/sales/runs", {"streams": ["us*"]}, status=202)
    while run["ended_at"] is None:
        run = call(web, "GET", f"/runs/{run['id']}")
    assert (run["state"], run["rows_read"], run["streams"][0]["status"]) == ("success", 6, "success")
    assert run["requested_by"] == "ann"
    lines = [json.loads(line) for line in web.get(f"{API}/runs/{run['id']}/log/download").text.splitlines()]
    assert lines == call(web, "GET", f"/runs/{run['id']}/log")["lines"]
    call(web, "POST", f"/runs/{run['id']}/cancel", status=400)
    assert call(web, "GET", "/sources")["sources"][0]["streams"] == 1
    copy = call(web, "POST", "/sources/sales/duplicate", status=201)
    call(web, "DELETE", f"/sources/{copy['id']}", status=422)  # it has to be said what becomes of the tables
    call(web, "DELETE", f"/sources/{copy['id']}?tables=keep")
    assert call(web, "DELETE", "/sources/sales?tables=remove")["removed"] == ["raw.bitrix24_users"]
    call(web, "GET", "/sources/sales", status=404)


def test_a_webhook_that_fails_its_checks_makes_no_source(web: Web, serve: Serve) -> None:
    url = serve().url.replace("sandboxcode1234ab", "SECRETSECRET")
    failed = call(web, "POST", "/sources", {"name": "Sales", "webhook": url}, status=400)
    assert failed["error"]["code"] == "check_failed"
    assert "SECRETSECRET" not in json.dumps(failed)
    handler = {"name": "x", "webhook": "https://acme.bitrix24.com/rest/handler.php?SECRETSECRET"}
    assert "SECRETSECRET" not in json.dumps(call(web, "POST", "/sources", handler, status=400))
    assert call(web, "GET", "/sources")["sources"] == []


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "192.168.1.1:8443", "[fd00::1]", "[::ffff:10.0.0.1]"])
def test_nobody_has_the_service_ask_private_networks(start: Start, host: str) -> None:
    web = start(private=False)
    web.source("inside", url=f"https://{host}/rest/1/SECRETSECRET/")
    body = {"name": "x", "webhook": f"https://{host}/rest/1/SECRETSECRET/"}
    assert "private network" in call(web, "POST", "/sources", body, status=400)["error"]["what"]
    call(web, "POST", "/sources", {**body, "draft": True}, status=400)
    call(web, "PATCH", "/sources/inside", {"webhook": body["webhook"]}, status=400)
    call(web, "POST", "/sources/inside/check", status=400)
    call(web, "GET", "/sources/inside/streams", status=400)


def test_the_second_of_two_editors_is_told(web: Web) -> None:
    web.source("crm")
    shown = web.get(f"{API}/sources/crm")
    etag, seen = shown.headers["etag"], shown.json()["updated_at"]
    change = {"settings": {"retries": 5}}
    changed = web.client.patch(f"{API}/sources/crm", json=change, headers={"If-Match": etag})
    assert changed.json()["source"]["settings"]["retries"] == 5
    late = call(web, "PATCH", "/sources/crm", {**change, "updated_at": seen}, status=409)
    assert late["error"]["code"] == "changed_meanwhile"
    call(web, "PATCH", "/sources/crm", change, status=409, headers={"If-Match": etag})
    fresh = changed.headers["etag"]
    call(web, "PATCH", "/sources/crm", {**change, "updated_at": changed.json()["source"]["updated_at"]})
    assert fresh != etag
    call(web, "PATCH", "/sources/crm", change, headers={"If-Match": "*"})


def test_states_turn_as_on_the_command_line(web: Web) -> None:
    web.source("crm", active=False)
    call(web, "POST", "/sources/crm/pause", status=400)
    call(web, "POST", "/sources/crm/runs", status=400)
    assert call(web, "POST", "/sources/crm/activate")["state"] == "active"
    assert call(web, "POST", "/sources/crm/pause")["state"] == "paused"
    assert call(web, "POST", "/sources/crm/resume")["state"] == "active"


def test_triggers(web: Web) -> None:
    web.source("crm")
    spec = {"weekdays": ["mon", "fri"], "times": ["06:30"], "zone": "Europe/Berlin"}
    made = call(web, "POST", "/sources/crm/triggers", {"spec": spec, "name": "Early"}, status=201)
    assert (made["id"], len(made["next"])) == ("crm.early", 5)
    assert made["next"][0].endswith("Z")
    off = web.client.patch(f"{API}/triggers/crm.early", json={"enabled": False})
    assert off.json()["next"] == []
    stale = {"If-Match": '"x"'}
    call(web, "PATCH", "/triggers/crm.early", {"enabled": True}, status=409, headers=stale)
    call(web, "PATCH", "/triggers/crm.early", {"enabled": True}, headers={"If-Match": off.headers["etag"]})
    call(web, "PATCH", "/triggers/crm.early", {"spec": {"cron": "61 * * * *"}}, status=400)
    call(web, "POST", "/sources/crm/triggers", {"spec": {"sources": ["nobody"]}}, status=400)
    assert [one["id"] for one in call(web, "GET", "/triggers")["triggers"]] == ["crm.early"]
    assert call(web, "DELETE", "/triggers/crm.early") == {"deleted": "crm.early"}
    assert call(web, "GET", "/sources/crm/triggers")["triggers"] == []


def test_the_same_key_starts_the_same_run(web: Web) -> None:
    web.source("crm")
    key = {"Idempotency-Key": "monday"}
    first = call(web, "POST", "/sources/crm/runs", status=202, headers=key)
    assert call(web, "POST", "/sources/crm/runs", {}, status=202, headers=key)["id"] == first["id"]
    other = call(web, "POST", "/sources/crm/runs", {"full": True}, status=409, headers=key)
    assert other["error"]["code"] == "key_used_before"
    assert (
        call(web, "POST", "/sources/crm/runs", status=202, headers={"Idempotency-Key": "tuesday"})["id"] != first["id"]
    )
    assert len(call(web, "GET", "/runs")["runs"]) == 2
    day = now() + timedelta(days=1, minutes=1)
    assert runs.request(web.site.database, "crm", day, requested_by="ann", key="monday") != first["id"]


def test_lists_come_in_pages(web: Web) -> None:
    web.source("crm")
    web.source("hr")
    at = now()
    with web.site.database.writing() as session:
        for number in range(7):
            moment = at + timedelta(seconds=number // 2)  # some in the same moment
            state, source = ("failed", "hr") if number % 3 == 0 else ("success", "crm")
            session.add(
                Run(id=f"r{number}", source_id=source, portal="p", cause="manual", state=state, queued_at=moment)
            )
            session.add(
                SchemaChange(
                    source_id="crm",
                    run_id="r",
                    stream="deals",
                    table_name="t",
                    at=at,
                    kind="added",
                    column=f"C{number}",
                )
            )
        session.flush()
        add_lines(session, "r1", at, [Line(INFO, f"line {number}") for number in range(5)])
        add_lines(session, "r1", at, [Line(WARNING, "rests")])

    def pages(path: str, field: str, **query: Any) -> list[list[Any]]:
        found, cursor = [], {}
        while True:
            page = call(web, "GET", path, params={**query, **cursor})
            found.append([one.get("column") or one.get("event") or one["id"] for one in page[field]])
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    assert pages("/runs", "runs", limit=3) == [["r6", "r5", "r4"], ["r3", "r2", "r1"], ["r0"]]
    assert pages("/runs", "runs", limit=10, source="hr", state="failed") == [["r6", "r3", "r0"]]
    assert pages("/runs", "runs", state=["failed", "success"])[0][0] == "r6"
    assert pages("/sources/crm/schema-changes", "schema_changes", limit=4) == [
        ["C6", "C5", "C4", "C3"],
        ["C2", "C1", "C0"],
    ]
    assert pages("/runs/r1/log", "lines", limit=4)[1] == ["line 4", "rests"]
    assert pages("/runs/r1/log", "lines", level="warning") == [["rests"]]
    call(web, "GET", "/runs?cursor=nothing", status=400)
    call(web, "GET", "/audit?cursor=nothing", status=400)
    call(web, "GET", "/runs?limit=501", status=422)
    call(web, "GET", "/runs?state=odd", status=422)


def test_layers_channels_and_the_rest(web: Web) -> None:
    assert [one["name"] for one in call(web, "GET", "/layers")["layers"]] == ["raw", "trusted", "service"]
    call(web, "POST", "/layers", {"name": "mart", "description": "For reports"}, status=201)
    call(web, "POST", "/layers", {"name": "Mart"}, status=409)
    assert call(web, "PATCH", "/layers/mart", {"description": "Reports"})["description"] == "Reports"
    call(web, "DELETE", "/layers/mart")
    call(web, "DELETE", "/layers/mart", status=404)
    hook = {"name": "team", "kind": "webhook", "url": "https://chat.example/hooks/SECRETSECRET"}
    assert call(web, "POST", "/channels", hook, status=201)["shown"] == "https://chat.example/…"
    call(web, "POST", "/channels", hook, status=409)
    assert call(web, "POST", "/channels/team/test", status=202)["event"] == "test"
    assert len(call(web, "GET", "/alerts")["alerts"]) == 1
    web.source("crm")
    assert call(web, "GET", "/config")["channels"]["team"]["url"].startswith("${")
    exported = web.get(f"{API}/config.yaml")
    assert yaml.safe_load(exported.text)["sources"]["crm"]["webhook"] == "${B24LAKE_WEBHOOK_CRM}"
    trail = call(web, "GET", "/audit")
    assert {one["object"] for one in trail["entries"]} >= {"layer mart", "channel team", "source crm"}
    assert "SECRETSECRET" not in json.dumps(trail) + exported.text + json.dumps(call(web, "GET", "/channels"))
    call(web, "DELETE", "/channels/team")
    assert call(web, "GET", "/workers")["workers"] == []


# --- what comes in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"name=x&webhook=y", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b"{}", None, 415),
        (b"", "multipart/form-data; boundary=x", 415),
        (b"{", "application/json", 400),
        (b"\xff\xfe{}", "application/json", 400),
        (b'{"name": "\\ud800", "webhook": "x"}', "application/json", 400),
        (b'{"name": "a\\u0000b", "webhook": "x"}', "application/json", 400),
        (b'{"name": "x", "webhook": "x", "settings": {"a\\u0000": 1}}', "application/json", 400),
        (b'{"name": NaN, "webhook": "x"}', "application/json", 400),
        (b'{"name": "x", "webhook": "x", "settings": {"retries": 1' + b"0" * 400 + b"}}", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"name":' + b"[" * 30 + b"]" * 30 + b"}", "application/json", 400),
        (b'{"name": "x", "webhook": "https://a.example/rest/1/code/", "settings": {"portal_plan": []}}', JSON, 400),
        (b'{"name": "x", "webhook": "https://a.example/rest/1/code/", "settings": {"portal_plan": "odd"}}', JSON, 400),
        (b"[]", "application/json", 422),
        (b'{"name": "x", "webhook": "x", "unknown": 1}', "application/json; charset=utf-8", 422),
        (b'{"name": "x", "webhook": "x"}', "application/json", 400),
        (b'{"name": "' + b"x" * 2_000_000 + b'"}', "application/json", 413),
    ],
)
def test_a_bad_body_is_a_clear_error(web: Web, body: bytes, kind: str | None, status: int) -> None:
    headers = {"Content-Type": kind} if kind else {}
    call(web, "POST", "/sources", status=status, content=body, headers=headers)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/sources/nothing", 404),
        ("GET", "/sources/%FF%FE", 404),
        ("GET", "/runs/r/log?level=odd", 422),
        ("PUT", "/sources/nothing", 405),
        ("DELETE", "/triggers/nothing", 404),
        ("POST", "/runs/nothing/cancel", 404),
        ("GET", "/sources/" + "x" * 5_000, 404),
    ],
)
def test_what_is_not_there_is_a_clear_error(web: Web, method: str, path: str, status: int) -> None:
    call(web, method, path, status=status)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_pages_of_others_cannot_call(web: Web, method: str, headers: dict[str, str]) -> None:
    web.source("crm")
    answer = web.client.request(method, f"{API}/sources/crm/runs", headers=headers)
    assert answer.status_code == 403
    assert call(web, "GET", "/runs")["runs"] == []


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def closed(start: Start) -> Web:
    web = start(login=True)
    account(web.site, "ann", "manager")
    account(web.site, "ed", "editor")
    web.source("crm")
    web.source("hr")
    return web


CALLS = [
    ("GET", "/sources", "read"),
    ("GET", "/sources/crm", "read"),
    ("GET", "/runs", "read"),
    ("GET", "/triggers", "read"),
    ("GET", "/layers", "read"),
    ("GET", "/tables", "read"),
    ("GET", "/tables/raw/deals", "read"),
    ("POST", "/query", "read"),
    ("GET", "/workers", "read"),
    ("POST", "/sources/crm/runs", "run"),
    ("POST", "/sources/crm/pause", "write"),
    ("DELETE", "/layers/nothing", "write"),
    ("GET", "/channels", "admin"),
    ("GET", "/audit", "admin"),
    ("GET", "/config", "admin"),
    ("GET", "/config.yaml", "admin"),
]


def test_each_call_needs_its_scope(closed: Web) -> None:
    shown = {scope: bearer(token(closed.site, scope)) for scope in tokens.SCOPES}
    for method, path, needed in CALLS:
        for scope, headers in shown.items():
            status = closed.client.request(method, API + path, headers=headers).status_code
            assert (status == 403) is (scope != needed), (method, path, scope, status)
        assert closed.client.request(method, API + path).status_code == 401


def test_a_token_that_is_worth_nothing_is_refused_even_where_none_is_needed(web: Web, closed: Web) -> None:
    soon = now() + timedelta(hours=1)
    with closed.site.database.writing() as session:
        text = tokens.add(session, actor(), "short", ["read"], expires_at=soon)[1]
    assert tokens.bearer(closed.site.database, text, soon) is None
    assert tokens.bearer(closed.site.database, text, soon - timedelta(seconds=1)) is not None
    for wrong in ("Bearer b24l_wrong", "Bearer", "Basic YTpi", f"Bearer {text}x", f"Bearer x{text}", "b24l_"):
        for site in (web, closed):
            answer = site.get(f"{API}/sources", headers={"Authorization": wrong})
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), wrong


def test_a_token_limited_to_a_source_sees_no_other(closed: Web) -> None:
    headers = bearer(token(closed.site, *tokens.SCOPES, sources=["crm"]))
    run = runs.request(closed.site.database, "hr", now())
    assert [one["id"] for one in call(closed, "GET", "/sources", headers=headers)["sources"]] == ["crm"]
    assert call(closed, "GET", "/runs", headers=headers)["runs"] == []
    for path in (
        "/sources/hr",
        "/sources/hr/triggers",
        f"/runs/{run}",
        f"/runs/{run}/log",
        "/sources/hr/schema-changes",
    ):
        call(closed, "GET", path, status=404, headers=headers)
    call(closed, "POST", "/sources/hr/runs", status=404, headers=headers)
    call(closed, "POST", "/sources/hr/pause", status=404, headers=headers)
    call(closed, "DELETE", "/sources/hr?tables=keep", status=404, headers=headers)
    for path in ("/audit", "/config", "/channels"):
        call(closed, "GET", path, status=403, headers=headers)
    call(closed, "POST", "/sources", {"name": "new", "webhook": NOBODY, "draft": True}, status=403, headers=headers)
    call(closed, "POST", "/sources/crm/duplicate", status=403, headers=headers)
    call(closed, "POST", "/sources/crm/pause", headers=headers)


def test_a_token_does_no_more_than_its_account(closed: Web) -> None:
    headers = bearer(token(closed.site, "read", "write", account="ed", name="deploy"))
    call(closed, "POST", "/sources/crm/pause", headers=headers)
    with closed.site.database.writing() as session:
        accounts.change_role(session, actor(), accounts.found(session, "ed"), "viewer")
    call(closed, "POST", "/sources/crm/resume", status=403, headers=headers)
    call(closed, "GET", "/sources/crm", headers=headers)
    assert "ed (token deploy)" in {
        one["who"] for one in call(closed, "GET", "/audit", headers=bearer(token(closed.site, "admin")))["entries"]
    }
    with closed.site.database.writing() as session:
        accounts.remove(session, actor(), accounts.found(session, "ed"))
    call(closed, "GET", "/sources/crm", status=401, headers=headers)


def test_the_database_knows_no_token_and_notes_its_last_use(closed: Web) -> None:
    text, moment = token(closed.site, "read"), now()
    closed.get(f"{API}/sources", headers=bearer(text))
    with closed.site.database.reading() as session:
        kept = session.scalars(select(Token)).one()
        assert text not in repr(vars(kept))
        assert kept.used_at is not None
        assert kept.used_at >= moment


def test_a_session_may_call_what_its_role_allows(closed: Web) -> None:
    log_in(closed, "ed", PASSWORD)
    call(closed, "GET", "/sources")
    call(closed, "POST", "/sources/crm/pause")
    call(closed, "GET", "/audit", status=403)
    call(closed, "PATCH", "/sources/crm", {"settings": {"lake": "/data"}}, status=403)  # a folder of the server


# --- the document -----------------------------------------------------------------------------------------------------


def document(web: Web) -> dict[str, Any]:
    return call(web, "GET", "/openapi.json")


def test_the_document_is_complete(web: Web) -> None:
    told = document(web)
    assert told["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, methods in told["paths"].items():
        for method, one in methods.items():
            where = f"{method} {path}"
            assert one["description"], where
            assert one["security"][0]["token"][0] in tokens.SCOPES, where
            assert {"400", "401", "403", "404", "422", "503"} <= set(one["responses"]), where
            good = next(answer for status, answer in one["responses"].items() if status.startswith("2"))
            assert all(content["schema"] for content in good["content"].values()), where
    names = [one["operationId"] for methods in told["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))


def test_the_page_about_it_shows_every_call(web: Web) -> None:
    shown = web.text("/api")
    for path in document(web)["paths"]:
        assert f"/api/v1{path}" in shown
    assert "Idempotency-Key" in shown


def test_times_are_utc(web: Web) -> None:
    web.source("crm")
    at = call(web, "GET", "/sources/crm")["created_at"]
    assert at.endswith("Z")
    assert datetime.fromisoformat(at).tzinfo is not None


def test_an_answer_is_json_of_its_own_kind(web: Web) -> None:
    answer: httpx.Response = web.get(f"{API}/sources")
    assert answer.headers["content-type"] == "application/json"
    assert "set-cookie" not in answer.headers

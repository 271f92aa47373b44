"""Who gets in, and who does not: logins, sessions, roles, forged requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from fastapi.routing import APIRoute
from people import PASSWORD, account, actor, bearer, csrf, log_in, token
from sqlalchemy import select
from web_site import Web

from b24lake.control import accounts, logins
from b24lake.control.models import Audit, LoginAttempt
from b24lake.control.moments import now
from b24lake.web import monitoring, sessions
from b24lake.web.app import PAGES
from b24lake.web.reach import reach
from b24lake.web.security import host_allowed, local_path, origin_allowed

PAGE_ROUTES = [route for group in (*PAGES, monitoring) for route in group.router.routes]
Start = Callable[..., Web]
Visit = Callable[[Web], Web]


@pytest.fixture
def closed(start: Start) -> Web:
    """An app where people log in: ann manages, ed edits, vic looks."""
    web = start(login=True)
    for name, role in (("ann", "manager"), ("ed", "editor"), ("vic", "viewer")):
        account(web.site, name, role)
    return web


# --- decisions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8025", True),
        ("localhost.", True),
        ("127.0.0.1:8025", True),
        ("127.8.8.8", True),
        ("[::1]:8025", True),
        ("lake.example", True),
        ("lake.example.", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("evil.localhost", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example@localhost", False),
        ("localhost/evil.example", False),
        ("localhost:8025:80", False),
        ("[::1", False),
        ("[::2]", False),
        ("0.0.0.0", False),
        ("[::]", False),
        ("", False),
        ("localhost\r\nX: y", False),
    ],
)
def test_only_names_of_this_app_are_answered(host: str, *, allowed: bool) -> None:
    assert host_allowed(host, {"lake.example"}) is allowed


@pytest.mark.parametrize(
    ("origin", "site", "scheme", "allowed"),
    [
        (None, None, "http", True),
        ("http://lake:8025", "same-origin", "http", True),
        ("https://lake:8025", None, "https", True),
        ("https://lake:8025", None, "http", True),  # a proxy that is not trusted to tell
        ("http://lake:8025", None, "https", False),  # anybody may answer for a page without TLS
        ("http://lake", None, "http", False),
        ("http://lake:8026", None, "http", False),
        ("null", None, "http", False),
        ("http://[::1", None, "http", False),
        ("lake:8025", None, "http", False),
        ("", None, "http", False),
        (None, "cross-site", "http", False),
        (None, "same-site", "http", False),
        (None, "none", "http", True),
    ],
)
def test_only_our_own_pages_ask_for_changes(origin: str, site: str, scheme: str, *, allowed: bool) -> None:
    assert origin_allowed(origin, site, "lake:8025", scheme) is allowed


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("/runs?state=failed&q=a%20b", "/runs?state=failed&q=a%20b"),
        ("/", "/"),
        ("/sources/ümlaut", "/sources/%C3%BCmlaut"),
        ("//evil.example", "/sources"),
        ("/\\evil.example", "/sources"),
        ("/\t/evil.example", "/sources"),
        ("/a\r\nSet-Cookie: x=y", "/sources"),
        ("https://evil.example", "/sources"),
        ("javascript:alert(1)", "/sources"),
        ("evil", "/sources"),
        ("/login?next=/login", "/sources"),
        ("", "/sources"),
    ],
)
def test_a_login_leads_to_a_page_of_this_app_alone(address: str, leads_to: str) -> None:
    assert local_path(address) == leads_to


@pytest.mark.parametrize(
    ("host", "how", "login", "hosts"),
    [
        ("127.0.0.1", {}, False, set()),
        ("::1", {}, False, set()),
        ("localhost", {"login": True}, True, set()),
        ("0.0.0.0", {}, True, {"*"}),
        ("::", {}, True, {"*"}),
        ("192.168.1.5", {"names": ["Lake.Example."]}, True, {"lake.example"}),
        ("127.0.0.1", {"names": ["lake.example"]}, True, {"lake.example"}),
        ("127.0.0.1", {"proxies": ["127.0.0.1"]}, True, set()),
    ],
)
def test_whatever_others_can_reach_asks_for_a_login(host: str, how: dict, login: bool, hosts: set[str]) -> None:  # type: ignore[type-arg]
    found = reach(host, **{"login": False, **how})
    assert (found.login, set(found.hosts)) == (login, hosts)


# --- logging in -------------------------------------------------------------------------------------------------------


def test_without_a_login_every_page_leads_to_it_and_back(closed: Web) -> None:
    answer = closed.get("/runs?state=failed")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/runs%3Fstate%3Dfailed")
    assert closed.get("/sources", headers={"HX-Request": "true"}).headers["hx-redirect"] == "/login"
    assert closed.get("/static/app.css").status_code == 200
    page = closed.get("/login?next=/runs%3Fstate%3Dfailed")
    assert 'value="/runs?state=failed"' in page.text
    assert 'href="/runs"' not in page.text  # no menu before the login
    done = log_in(closed, "Ann", following="/runs?state=failed")
    assert (done.status_code, done.headers["location"]) == (303, "/runs?state=failed")
    assert closed.get("/sources").status_code == 200
    assert closed.get("/login").headers["location"] == "/sources"


@pytest.mark.parametrize("name", ["ann", "nobody", "", "a\x01b", "x" * 5000, "\ud7ff", "' OR 1=1 --"])
def test_a_wrong_login_never_says_what_was_wrong(closed: Web, name: str) -> None:
    answer = log_in(closed, name, "wrong password")
    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.text
    assert "wrong password" not in answer.text
    assert closed.get("/sources").status_code == 303


def test_a_login_without_its_forms_token_is_refused(closed: Web) -> None:
    answer = closed.client.post("/login", data={"name": "ann", "password": PASSWORD})
    assert answer.status_code == 403
    assert closed.get("/sources").status_code == 303


def test_a_login_begins_a_session_that_nobody_had_before(closed: Web, visit: Visit) -> None:
    closed.get("/login")
    before = closed.client.cookies["b24lake_session"]
    answer = log_in(closed, "ann")
    cookie = answer.headers["set-cookie"]
    assert closed.client.cookies["b24lake_session"] != before
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    other = visit(closed)
    other.client.cookies.set("b24lake_session", before)
    assert other.get("/sources").status_code == 303


def test_after_a_logout_the_cookie_is_worth_nothing(closed: Web, visit: Visit) -> None:
    log_in(closed, "ann")
    stolen = closed.client.cookies["b24lake_session"]
    assert closed.post("/logout").headers["location"] == "/login"
    thief = visit(closed)
    thief.client.cookies.set("b24lake_session", stolen)
    assert thief.get("/sources").status_code == 303


@pytest.mark.parametrize("change", ["password", "role", "remove", "sessions"])
def test_a_change_of_an_account_ends_its_sessions(closed: Web, change: str) -> None:
    log_in(closed, "ed")
    assert closed.get("/sources").status_code == 200
    with closed.site.database.writing() as session:
        found = accounts.found(session, "ed")
        {
            "password": lambda: accounts.change_password(session, actor(), found, "another long one"),
            "role": lambda: accounts.change_role(session, actor(), found, "viewer"),
            "remove": lambda: accounts.remove(session, actor(), found),
            "sessions": lambda: accounts.end_sessions(session, actor(), found),
        }[change]()
    assert closed.get("/sources").status_code == 303


def test_a_cookie_of_another_installation_or_by_hand_is_nobodys(closed: Web, visit: Visit) -> None:
    for forged in ("", "x", "eyJpZCI6ICIxIiwgImFjY291bnQiOiAiYW5uIn0.aaa.bbb", "a; b24lake_session=b"):
        other = visit(closed)
        assert other.client.get("/sources", headers={"Cookie": f"b24lake_session={forged}"}).status_code == 303


# --- guessing ---------------------------------------------------------------------------------------------------------


def test_an_account_can_be_tried_a_few_times_only(closed: Web, visit: Visit) -> None:
    for _ in range(logins.OF_ACCOUNT):
        assert log_in(closed, "vic", "wrong password").status_code == 401
    answer = log_in(closed, "vic")  # the right one
    assert answer.status_code == 429
    assert "Too many attempts" in answer.text
    assert "try again in 15 min" in answer.text
    assert log_in(closed, "ann").status_code == 303  # others may
    with closed.site.database.writing() as session:
        accounts.change_password(session, actor(), accounts.found(session, "vic"), PASSWORD)
    assert log_in(visit(closed), "vic").status_code == 303  # a new password forgives


def test_attempts_count_for_each_address_are_shared_and_run_out(closed: Web) -> None:
    database, begun = closed.site.database, now()

    def attempt(number: int, at: datetime, password: str = "wrong", address: str = "10.0.0.1") -> object:
        return logins.log_in(database, f"name{number}" if password == "wrong" else "ann", password, address, at)

    for number in range(logins.OF_ADDRESS - 1):
        assert attempt(number, begun) is None
    assert attempt(0, begun, PASSWORD) is not None  # a right one does not count, and does not forgive the others
    assert attempt(99, begun) is None
    with pytest.raises(accounts.UsageError, match="Too many attempts"):
        attempt(0, begun, PASSWORD)
    assert attempt(0, begun, PASSWORD, "10.0.0.2") is not None
    assert attempt(0, begun + logins.WINDOW, PASSWORD) is not None
    with database.reading() as session:
        left = session.scalars(select(LoginAttempt.subject)).all()
    assert left == []  # what is over is forgotten


def test_the_audit_trail_knows_logins_and_failures_but_no_password(closed: Web) -> None:
    log_in(closed, "vic", "wrong password")
    log_in(closed, "nobody", "wrong password")
    log_in(closed, "vic")
    closed.post("/logout")
    with closed.site.database.reading() as session:
        found = [(one.who, one.action, one.object) for one in session.scalars(select(Audit).order_by(Audit.id))]
        kept = repr([one.detail for one in session.scalars(select(Audit))])
    assert [one for one in found if one[0] == "vic"] == [
        ("vic", "failed to log in", "account vic"),
        ("vic", "logged in", "account vic"),
        ("vic", "logged out", "account vic"),
    ]
    assert "password" not in kept.replace("'password': 'another one'", "")
    assert ("unknown", "failed to log in", "account unknown") in found
    assert "127.0.0.1" in kept


# --- roles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "status"), [("vic", 403), ("ed", 403), ("ann", 200)])
def test_accounts_are_for_managers(closed: Web, name: str, status: int) -> None:
    log_in(closed, name)
    assert closed.get("/accounts").status_code == status
    answer = closed.post("/accounts", {"name": "new", "role": "manager", "password": PASSWORD})
    assert answer.status_code == (303 if status == 200 else 403)


def test_every_page_that_changes_something_says_who_may(closed: Web) -> None:
    open_to_all = {"/login", "/logout", "/settings/language"}
    bare = []
    for route in PAGE_ROUTES:
        if isinstance(route, APIRoute) and route.methods - {"GET", "HEAD"} and route.path not in open_to_all:
            names = [each.call.__qualname__ for each in route.dependant.dependencies if each.call]
            if "may.<locals>.check" not in names or "sent" not in names:
                bare.append(route.path)
    assert bare == []


def test_every_page_is_closed_to_whoever_has_not_logged_in(closed: Web, visit: Visit) -> None:
    reached = []
    for route in PAGE_ROUTES:
        if isinstance(route, APIRoute) and "GET" in route.methods:
            path = route.path.replace("{name:path}", "nothing").replace("{", "").replace("}", "")
            answer = visit(closed).client.get(path)
            if answer.status_code != 303 or not answer.headers["location"].startswith("/login"):
                reached.append(path)
    # /metrics and /sources/bitrix.md ask for a token themselves, as their own tests say.
    assert sorted(reached) == [
        *("/healthz", "/help/name.md", "/llms.txt", "/login", "/metrics", "/sources/bitrix.md", "/static/nothing")
    ]
    assert closed.get("/metrics").status_code == 401
    assert closed.get("/healthz").json() == {"status": "ok"}


def test_metrics_are_told_to_a_token_that_may_look_at_everything(closed: Web) -> None:
    source = closed.source("crm")
    assert closed.get("/metrics", headers=bearer(token(closed.site, "read"))).status_code == 200
    assert closed.get("/metrics", headers=bearer(token(closed.site, "run"))).status_code == 401
    assert closed.get("/metrics", headers=bearer(token(closed.site, "read", sources=[source]))).status_code == 401


# --- one's own account, and people ------------------------------------------------------------------------------------


def test_people_change_their_own_password(closed: Web, visit: Visit) -> None:
    log_in(closed, "vic")
    elsewhere = visit(closed)
    log_in(elsewhere, "vic")
    new = {"new": "another long password", "again": "another long password"}
    assert "old password is wrong" in closed.post("/account/password", {"old": "wrong", **new}).text
    assert "differ" in closed.post("/account/password", {"old": PASSWORD, **new, "again": "x"}).text
    assert "cannot be used" in closed.post("/account/password", {"old": PASSWORD, "new": "x", "again": "x"}).text
    assert closed.post("/account/password", {"old": PASSWORD, **new}).status_code == 303
    assert closed.get("/account?done=password").status_code == 200
    assert elsewhere.get("/account").status_code == 303
    assert log_in(elsewhere, "vic").status_code == 401
    assert log_in(elsewhere, "vic", "another long password").status_code == 303
    assert closed.post("/account/sessions").status_code == 303
    assert (closed.get("/account").status_code, elsewhere.get("/account").status_code) == (200, 303)


def test_people_make_tokens_that_are_shown_once(closed: Web, visit: Visit) -> None:
    log_in(closed, "vic")
    shown = closed.post("/account/tokens", {"name": "<b>reports", "scope": "read", "days": "30"})
    text = shown.text.partition('value="b24l_')[2].partition('"')[0]
    assert len(text) > 40
    page = closed.get("/account")
    assert text not in page.text
    assert "&lt;b&gt;reports" in page.text
    assert closed.get("/api/v1/sources", headers=bearer(f"b24l_{text}")).status_code == 200
    assert closed.post("/account/tokens", {"name": "x", "scope": "write"}).status_code == 400  # more than vic may
    mine = page.text.partition('action="/account/tokens/')[2].partition("/")[0]
    other = visit(closed)
    log_in(other, "ed")
    assert other.post(f"/account/tokens/{mine}/revoke").status_code == 404
    assert closed.post(f"/account/tokens/{mine}/revoke").status_code == 303
    assert closed.get("/api/v1/sources", headers=bearer(f"b24l_{text}")).status_code == 401


def test_a_manager_looks_after_people(closed: Web, visit: Visit) -> None:
    log_in(closed, "ann")
    assert closed.post("/accounts", {"name": "Zoe@Example.com", "role": "viewer", "password": PASSWORD}).is_redirect
    assert "zoe@example.com" in closed.text("/accounts")
    assert closed.post("/accounts/zoe@example.com/role", {"role": "editor"}).is_redirect
    assert closed.post("/accounts/zoe@example.com/password", {"password": "quite another one"}).is_redirect
    zoe = visit(closed)
    assert log_in(zoe, "zoe@example.com", "quite another one").status_code == 303
    assert closed.post("/accounts/zoe@example.com/remove").is_redirect
    assert zoe.get("/sources").status_code == 303
    for wrong in ("/accounts/ann/role", "/accounts/ann/remove"):
        answer = closed.post(wrong, {"role": "viewer"})
        assert (answer.status_code, "last manager" in answer.text) == (400, True)
    assert closed.post("/accounts/nobody/remove").status_code == 404
    assert closed.post("/accounts/ann/password", {"password": "quite another one"}).status_code == 400


def test_without_a_login_no_account_can_be_made_on_a_page(web: Web) -> None:
    assert "Nobody logs in here" in web.text("/accounts")
    assert "Nobody logs in here" in web.text("/account")
    assert web.post("/accounts", {"name": "new", "role": "manager", "password": PASSWORD}).status_code == 404
    assert web.post("/account/tokens", {"name": "new", "scope": "read"}).status_code == 404


# --- what an answer carries -------------------------------------------------------------------------------------------


def test_what_holds_data_is_not_kept_by_the_browser(web: Web) -> None:
    for path in ("/sources", "/nothing", "/api/v1/sources", "/metrics"):
        assert web.get(path).headers["cache-control"] == "no-store", path
    named = re.search(r"/static/app.css[?]v=[0-9a-f]+", web.get("/sources").text)
    assert named
    assert "immutable" in web.get(named[0]).headers["cache-control"]


def test_headers_of_a_proxy_count_where_it_is_trusted(start: Start) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    for proxies, cookie, address in (((), "b24lake_session=", "127.0.0.1"), (("127.0.0.1/32",), "__Host-", "203")):
        web = start(login=True, proxies=proxies)
        sent = web.client.get("/login", headers=forwarded)
        assert sent.headers["set-cookie"].startswith(cookie)
        assert ("Secure" in sent.headers["set-cookie"]) is bool(proxies)
        data = {"token": csrf(sent.text), "name": "nobody", "password": "wrong password"}
        kept = {"Cookie": sent.headers["set-cookie"].partition(";")[0]}
        assert web.client.post("/login", data=data, headers={**forwarded, **kept}).status_code == 401
        with web.site.database.reading() as session:
            assert any(address in one for one in session.scalars(select(LoginAttempt.subject)))


@pytest.mark.parametrize("path", ["/sources?q=%00", "/sources/%00", "/static/%2e%2e/app.py", "/static/..%2fapp.py"])
def test_odd_addresses_are_refused(web: Web, path: str) -> None:
    assert web.get(path).status_code in {400, 404}


def test_going_back_after_a_change_of_language_never_leads_away(web: Web) -> None:
    for referer in ("http://localhost//evil.example", "http://localhost/\\evil.example", "http://[", "x"):
        answer = web.post("/settings/language", {"language": "en"}, headers={"Referer": referer})
        assert answer.headers["location"] == "/sources"


def test_a_body_that_is_too_long_is_refused(web: Web) -> None:
    def chunks():  # type: ignore[no-untyped-def]
        for _ in range(12):
            yield b"x=" + b"y" * 500_000 + b"&"

    answer = web.client.post(
        "/settings/language", content=chunks(), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 413


def test_a_session_ends_by_itself(closed: Web) -> None:
    log_in(closed, "ann")
    assert timedelta(seconds=sessions.SECONDS) == logins.KEPT

"""What people paste, and what never leaves a Webhook."""

from __future__ import annotations

import copy
import pickle

import pytest

from b24lake.errors import UsageError
from b24lake.portal.webhook import Webhook, is_loopback, mask, parse

SECRET = "abc123def456ghi7"
GOOD = f"https://acme.bitrix24.com/rest/17/{SECRET}/"
CLOUD = "https://acme.bitrix24.com"


@pytest.mark.parametrize(
    ("pasted", "origin"),
    [
        (GOOD, CLOUD),
        (GOOD.rstrip("/"), CLOUD),
        (f"{GOOD}/", CLOUD),
        (f"{GOOD}profile.json", CLOUD),
        (f"{GOOD}crm.deal.list", CLOUD),
        (f"{GOOD}profile.json/", CLOUD),
        (f"{GOOD}profile?x=1&y=2", CLOUD),
        (f"{GOOD}#there", CLOUD),
        (f'  "{GOOD}"\n', CLOUD),
        (f"'{GOOD}'", CLOUD),
        (f"<{GOOD}>", CLOUD),
        (f"«{GOOD}»", CLOUD),
        (f"“{GOOD}”", CLOUD),
        (GOOD.removeprefix("https://"), CLOUD),
        (GOOD.replace("https://acme", "HTTPS://Acme"), CLOUD),
        (GOOD.replace("/rest/", "/rest/api/"), CLOUD),
        (f"https://crm.example.org:8443/rest/17/{SECRET}/", "https://crm.example.org:8443"),
        (f"https://example.org/sub/path/rest/17/{SECRET}/", "https://example.org/sub/path"),
        (f"https://[2001:db8::7]:8443/rest/17/{SECRET}/", "https://[2001:db8::7]:8443"),
        (f"https://xn--e1afmkfd.xn--p1ai/rest/17/{SECRET}/", "https://xn--e1afmkfd.xn--p1ai"),
        (f"http://127.0.0.1:8080/rest/17/{SECRET}/", "http://127.0.0.1:8080"),
        (f"http://localhost/rest/17/{SECRET}/", "http://localhost"),
        (f"http://[::1]:80/rest/17/{SECRET}", "http://[::1]:80"),
    ],
)
def test_every_usual_form_of_a_webhook_url_is_understood(pasted: str, origin: str) -> None:
    webhook = parse(pasted)
    assert (webhook.origin, webhook.user, webhook.code) == (origin, "17", SECRET)
    assert webhook.url("crm.deal.list") == f"{origin}/rest/17/{SECRET}/crm.deal.list.json"


REFUSED = {
    "empty": "",
    "blank": "  \n",
    "only quotes": '""',
    "handler of an outgoing webhook": "https://example.org/bitrix/handler.php",
    "bare application token": SECRET,
    "bare token with a slash": f"{SECRET}/",
    "bare token with a method": f"{SECRET}/profile.json",
    "bare host": "acme.bitrix24.com",
    "portal without a path": f"{CLOUD}/",
    "OAuth form": f"{CLOUD}/rest/crm.deal.list?auth={SECRET}",
    "OAuth form with a number": f"{CLOUD}/rest/17/crm.deal.list.json?auth={SECRET}",
    "user but no code": f"{CLOUD}/rest/17/",
    "code but no user": f"{CLOUD}/rest/{SECRET}/",
    "user that is no number": f"{CLOUD}/rest/me/{SECRET}/",
    "masked by us": f"{CLOUD}/rest/17/***/",
    "place holder": f"{CLOUD}/rest/17/<code>/",
    "too deep": f"{GOOD}a/b/c",
    "space within": f"{CLOUD}/rest/17/{SECRET} {SECRET}/",
    "plain http to a stranger": GOOD.replace("https", "http"),
    "user and password": GOOD.replace("https://", "https://me:hunter2@"),
    "only a user": GOOD.replace("https://", "https://hunter2@"),
    "another scheme": GOOD.replace("https", "ftp"),
    "two schemes": f"https://{GOOD}",
    "port that is no number": GOOD.replace(".com/", ".com:hunter2/"),
    "broken address": f"https://[::1/rest/17/{SECRET}/",
    "garbage": "%%%://///",
    "Cyrillic host": f"https://пример.рф/rest/17/{SECRET}/",
    "Cyrillic letter in the code": f"{CLOUD}/rest/17/{SECRET}с/",
    "digits of another script": f"{CLOUD}/rest/१७/{SECRET}/",
}


@pytest.mark.parametrize("pasted", REFUSED.values(), ids=REFUSED.keys())
def test_anything_else_is_refused_without_repeating_a_secret(pasted: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(pasted)
    assert SECRET not in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert refused.value.fix


@pytest.mark.parametrize("case", ["handler of an outgoing webhook", "bare application token"])
def test_a_mix_up_of_the_two_kinds_is_explained_with_both_names(case: str) -> None:
    with pytest.raises(UsageError, match=r"outgoing \(outbound\) webhook.*incoming \(inbound\) webhook"):
        parse(REFUSED[case])


def test_plain_http_is_possible_where_the_user_says_so() -> None:
    assert parse("http://bitrix.lan/rest/1/abc/", allow_http=True).origin == "http://bitrix.lan"


def test_the_secret_is_in_no_text_of_a_webhook() -> None:
    webhook = parse(GOOD)
    assert SECRET not in f"{webhook} {webhook!r} {[webhook]} {webhook.address}"
    assert str(webhook) == "https://acme.bitrix24.com/rest/17/***/"


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_webhook_is_never_pickled_nor_copied(way: object) -> None:
    with pytest.raises(TypeError, match="secret"):
        way(parse(GOOD))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"GET {GOOD}profile.json failed", "GET https://acme.bitrix24.com/rest/17/***/profile.json failed"),
        (f"{GOOD} and {GOOD}", "https://acme.bitrix24.com/rest/17/***/ and https://acme.bitrix24.com/rest/17/***/"),
        (f"/rest/17/{SECRET}", "/rest/17/***"),
        (f'"/rest/api/17/{SECRET}"', '"/rest/api/17/***"'),
        (f"/rest/17/{SECRET}?a=/x", "/rest/17/***?a=/x"),
        ("https://acme.bitrix24.com/rest/profile.json", "https://acme.bitrix24.com/rest/profile.json"),
        ("nothing secret", "nothing secret"),
    ],
)
def test_the_secret_part_of_every_url_in_a_text_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_scrub_finds_the_code_outside_of_urls_too() -> None:
    assert parse(GOOD).scrub(f"code={SECRET}, {GOOD}") == "code=***, https://acme.bitrix24.com/rest/17/***/"


NEW = f"https://new.bitrix24.com/rest/17/{SECRET}/profile.json"


@pytest.mark.parametrize(
    ("old", "location", "origin"),
    [
        (GOOD, NEW, "https://new.bitrix24.com"),
        (GOOD, "https://New.Bitrix24.com:8443/a/rest/17/x/profile", "https://new.bitrix24.com:8443/a"),
        (GOOD, "//new.bitrix24.com/rest/17/x/profile.json", "https://new.bitrix24.com"),
        (GOOD, "https://new.bitrix24.com/", "https://new.bitrix24.com"),
        (GOOD, "/rest/17/x/profile.json", CLOUD),
        ("http://127.0.0.1:8001/rest/17/x/", "http://127.0.0.1:8002/rest/17/x/", "http://127.0.0.1:8002"),
        ("http://127.0.0.1:8001/rest/17/x/", "https://new.bitrix24.com/rest/17/x/", "https://new.bitrix24.com"),
    ],
)
def test_a_moved_portal_keeps_user_and_code(old: str, location: str, origin: str) -> None:
    before = parse(old)
    after = before.moved_to(location)
    assert (after.origin, after.user, after.code) == (origin, before.user, before.code)


@pytest.mark.parametrize(
    ("old", "location"),
    [
        (GOOD, "/login/?back=1"),
        (GOOD, "https://login.example.com/sso?back=1"),
        (GOOD, NEW.replace("https", "http")),
        (GOOD, "http://127.0.0.1:8002/rest/17/x/"),
        ("http://127.0.0.1:8001/rest/17/x/", NEW.replace("https", "http")),
        (GOOD, NEW.replace("https", "ftp")),
        (GOOD, NEW.replace("https://", "https://me:hunter2@")),
        (GOOD, "https://new.bitrix24.com:port/"),
        (GOOD, "javascript:alert(1)"),
    ],
)
def test_the_secret_does_not_follow_to_an_unsafe_address(old: str, location: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(old).moved_to(location)
    assert SECRET not in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.evil.com", False),
        ("127.0.0.1.nip.io", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_look_alikes(host: str, *, ours: bool) -> None:
    assert is_loopback(host) is ours


def test_the_address_of_a_portal_does_not_depend_on_case() -> None:
    assert parse(GOOD.replace("acme", "ACME")).address == Webhook(CLOUD, "1", "x").address == "acme.bitrix24.com"

"""Which addresses the service asks: those of the internet, unless private ones are allowed."""

from __future__ import annotations

import pytest

from b24lake.errors import UsageError
from b24lake.portal.webhook import parse
from b24lake.web.targets import addresses, is_public, refuse_private, written_address


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),  # where clouds tell their machines' secrets
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::a00:1", False),  # 10.0.0.1 by NAT64
        ("64:ff9b::808:808", True),
        ("2002:a00:1::", False),  # 10.0.0.1 by 6to4
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("url", "found", "refused"),
    [
        ("https://acme.bitrix24.com/rest/1/SECRET/", ["8.8.8.8"], False),
        ("https://acme.bitrix24.com/rest/1/SECRET/", [], False),  # the request itself tells that nobody knows it
        ("https://acme.bitrix24.com/rest/1/SECRET/", ["8.8.8.8", "10.0.0.1"], True),
        ("https://crm.acme.com/rest/1/SECRET/", ["::1"], True),
        ("https://10.0.0.1/rest/1/SECRET/", [], True),
        ("https://[::1]/rest/1/SECRET/", [], True),
        ("http://localhost:8080/rest/1/SECRET/", [], True),
    ],
)
def test_a_name_is_looked_up_before_its_portal_is_asked(url: str, found: list[str], refused: bool) -> None:
    webhook = parse(url)
    refuse_private(webhook, private=True, resolve=lambda _host: found)
    if not refused:
        refuse_private(webhook, private=False, resolve=lambda _host: found)
        return
    with pytest.raises(UsageError, match="private network") as raised:
        refuse_private(webhook, private=False, resolve=lambda _host: found)
    assert "SECRET" not in str(raised.value)


def test_an_address_is_known_without_a_look_up_where_it_is_written_out() -> None:
    assert written_address(parse("https://10.0.0.1:8443/rest/1/SECRET/")) == ["10.0.0.1"]
    assert written_address(parse("https://acme.bitrix24.com/rest/1/SECRET/")) == []


def test_names_are_looked_up() -> None:
    assert not any(map(is_public, addresses("localhost")))
    assert addresses("localhost")
    assert addresses("no-such-host.invalid") == []
    assert addresses("x" * 300) == []


@pytest.mark.parametrize(
    ("host", "refused"), [("127.0.0.1", False), ("[::1]", False), ("localhost", False), ("10.0.0.1", True)]
)
def test_without_login_this_machine_itself_may_be_asked(host: str, refused: bool) -> None:
    webhook = parse(f"https://{host}/rest/1/SECRET/")
    if not refused:
        refuse_private(webhook, private=False, own=True)
    with pytest.raises(UsageError, match="private network"):
        refuse_private(webhook, private=False, own=refused)

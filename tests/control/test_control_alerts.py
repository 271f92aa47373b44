"""Alerts: one message for each event, through real channels, tried again where they do not arrive."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from receivers import hook, mail_server

from b24lake.control import channels, delivery, runs, scheduler
from b24lake.control.channels import Address, smtp_address, webhook_address
from b24lake.errors import UsageError
from service import Service, failing

HOURLY = {"cron": "0 * * * *", "zone": "UTC"}


def listen(service: Service, address: Address | None = None, name: str = "team", *events: str) -> None:
    address = address or webhook_address("https://chat.example.com/SECRETHOOK")
    channels.add(service.database, service.keyring, name, address, events=events)


def told(service: Service, channel: str = "team") -> list[str]:
    """The events of a channel, oldest first."""
    return [one["event"] for one in channels.sent(service.database)[::-1] if one["channel"] == channel]


def ends(service: Service, *endings: str) -> None:
    for ending in endings:
        service.request("a")
        service.perform(ending, **(failing() if ending in {"failed", "partial"} else {}))


@pytest.mark.parametrize(
    ("endings", "expected"),
    [
        (["success", "success"], []),
        (["failed"], ["failed"]),
        (["failed", "failed"], ["failed"]),
        (["failed", "success"], ["failed", "recovered"]),
        (["partial", "partial", "success", "success"], ["failed", "recovered"]),
        (["failed", "success", "failed"], ["failed", "recovered", "failed"]),
        (["failed", "failed", "failed"], ["failed", "stopped"]),
        (["failed", "canceled", "success"], ["failed", "recovered"]),
    ],
)
def test_trouble_is_told_once_and_its_end_as_well(service: Service, endings: list[str], expected: list[str]) -> None:
    service.source("a", max_failures=3)
    listen(service)
    ends(service, *endings)
    assert told(service) == expected


def test_a_retry_is_not_an_event_of_its_own(service: Service) -> None:
    service.source("a", retries=2, retry_delay_seconds=0)
    listen(service)
    service.request("a")
    service.perform("failed", **failing())
    service.perform("failed", **failing())
    assert told(service) == []
    service.perform("failed", **failing())
    assert told(service) == ["failed"]
    service.request("a")
    service.perform("failed", **failing())
    service.perform("success")
    assert told(service) == ["failed", "recovered"]


def test_streams_that_fail_in_every_retry_are_told_at_the_end(service: Service) -> None:
    service.source("a", retries=1, retry_delay_seconds=0)
    listen(service)
    service.request("a")
    service.perform("partial", **failing())
    assert told(service) == []
    service.perform("failed", **failing())
    assert (told(service), service.get("a").failures) == (["failed"], 0)


def test_a_source_that_stops_a_second_time_says_so_again(service: Service) -> None:
    service.source("a", max_failures=1)
    listen(service)
    ends(service, "failed")
    with service.database.writing() as session:
        source = session.get_one(runs.Source, "a")
        source.state, source.failures = "active", 0
    ends(service, "failed")
    assert told(service) == ["stopped", "stopped"]


def test_late_is_told_once_until_the_source_succeeds(service: Service) -> None:
    service.source("a")
    listen(service)
    clock = service.clock
    service.trigger("t", "a", HOURLY, next_at=clock() + timedelta(hours=1))
    assert scheduler.look_for_late(service.database, clock()) == []
    clock.turn(hours=1, minutes=31)  # no scheduler has noticed that the time has passed
    for _ in range(3):
        assert scheduler.look_for_late(service.database, clock.turn(minutes=1)) == ["a"]
    scheduler.tick(service.database, clock())
    service.perform("success")
    assert scheduler.look_for_late(service.database, clock()) == []
    clock.turn(hours=1)
    assert scheduler.look_for_late(service.database, clock()) == ["a"]
    assert told(service) == ["late", "recovered", "late"]


def test_a_channel_gets_what_it_chose(service: Service) -> None:
    service.source("a", max_failures=2)
    listen(service)
    listen(service, None, "boss", "stopped")
    ends(service, "failed", "failed")
    assert (told(service), told(service, "boss")) == (["failed", "stopped"], ["stopped"])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: webhook_address("ftp://x"), "no address"),
        (lambda: webhook_address("https://"), "no address"),
        (lambda: smtp_address(host="", port=25, sender="a@b.de", to=["c@d.de"]), "not named"),
        (lambda: smtp_address(host="h", port=0, sender="a@b.de", to=["c@d.de"]), "not named"),
        (lambda: smtp_address(host="h", port=25, sender="a@b.de", to=[]), "Nobody"),
        (lambda: smtp_address(host="h", port=25, sender="a", to=["c@d.de"]), "no e-mail address"),
        (lambda: smtp_address(host="h", port=25, sender="a@b.de\nBcc: x@y.de", to=["c@d.de"]), "no e-mail address"),
        (lambda: smtp_address(host="h", port=25, sender="a@b.de", to=["c@d.de"], tls="maybe"), "no way 'maybe'"),
    ],
)
def test_addresses_that_are_none_are_refused(make: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


def test_channels_with_bad_names_or_events_are_refused(small: Service) -> None:
    listen(small)
    for name, events, says in [("team", (), "There is a channel"), ("a b", (), "no name"), ("x", ("no",), "no event")]:
        with pytest.raises(UsageError, match=says):
            listen(small, None, name, *events)
    with pytest.raises(UsageError, match="no channel 'x'"):
        channels.delete(small.database, "x")


# --- on the way -------------------------------------------------------------------------------------------------------


def deliver(service: Service) -> int:
    return delivery.deliver(service.database, service.keyring, service.clock())


def test_a_webhook_gets_json_with_the_cause_and_the_cure(small: Service) -> None:
    small.source("a", max_failures=1)
    with hook() as posted:
        listen(small, webhook_address(posted.url))
        ends(small, "failed")
        assert (deliver(small), deliver(small)) == (1, 0)
    [message] = posted.got
    assert (message["event"], message["source"], message["state"]) == ("stopped", "a", "failed")
    assert message["run"] == small.runs()[0]["id"]
    assert message["text"] == (
        "A is stopped after 1 failures in a row. The portal failed. it is broken. mend it. "
        "Resume it with `b24lake source resume a`."
    )
    assert message["error"]["fix"] == "mend it"


def test_mail_goes_to_everybody_named_after_logging_in(small: Service) -> None:
    small.source("a")
    with mail_server() as mails:
        address = smtp_address(
            host="127.0.0.1", port=mails.port, sender="lake@a.de", to=["ann@a.de", "bob@a.de"], user="lake",
            password="SECRETPASS", tls="none",
        )  # fmt: skip
        listen(small, address)
        ends(small, "failed")
        assert deliver(small) == 1
    [mail] = mails.got
    assert {"Subject: [b24lake] A: failed", "From: lake@a.de", "To: ann@a.de, bob@a.de"} <= set(mail)
    assert any("The portal failed" in line for line in mail)
    assert base64.b64decode(mails.logins[0].split()[-1]) == b"\0lake\0SECRETPASS"


def test_what_does_not_arrive_is_tried_again_with_growing_pauses_and_says_why(small: Service) -> None:
    small.source("a")
    with hook() as posted:
        posted.status = 503
        listen(small, webhook_address(posted.url))
        ends(small, "failed")
        tries = []
        for minute in range(700):
            before = channels.sent(small.database)[0]["tries"]
            deliver(small)
            if channels.sent(small.database)[0]["tries"] > before:
                tries.append(minute)
            small.clock.turn(minutes=1)
        assert tries == [0, 1, 5, 30, 120, 600]
        [alert] = channels.sent(small.database)
        assert (alert["sent_at"], alert["tries"]) == (None, 6)
        assert "answered 503" in alert["error"]
        assert "SECRETHOOK" not in alert["error"]


def test_a_channel_that_comes_back_gets_the_message_after_all(small: Service) -> None:
    small.source("a")
    with hook() as posted:
        listen(small, webhook_address(posted.url))
        ends(small, "failed")
        posted.status = 500
        assert deliver(small) == 0
        posted.status = 200
        small.clock.turn(minutes=2)
        assert deliver(small) == 1
    assert len(posted.got) == 1
    assert channels.sent(small.database)[0]["error"] is None


@pytest.mark.parametrize(
    "address",
    [
        webhook_address("http://127.0.0.1:9/SECRETHOOK"),
        smtp_address(host="127.0.0.1", port=9, sender="a@b.de", to=["c@d.de"], user="u", password="SECRETHOOK"),
    ],
)
def test_a_channel_that_is_not_there_fails_its_test_without_telling_its_secret(
    small: Service, address: Address
) -> None:
    listen(small, address)
    number = channels.ask_for_test(small.database, "team", small.clock())
    assert delivery.deliver(small.database, small.keyring, small.clock(), only=number) == 0
    [alert] = channels.sent(small.database)
    assert "did not reach" in alert["error"]
    assert "SECRETHOOK" not in str(channels.listed(small.database)) + alert["error"]
    small.database.engine.dispose()
    assert [file.name for file in small.home.path.iterdir() if b"SECRETHOOK" in _bytes(file)] == []


def _bytes(file: Any) -> bytes:
    return file.read_bytes() if file.is_file() else b""

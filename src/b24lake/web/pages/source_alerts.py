"""Alerts: what was sent about a source, and the installation's channels: listed, added, tested, deleted."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Response

from b24lake.control import channels, delivery
from b24lake.control.alerts import KINDS
from b24lake.control.channels import Address
from b24lake.errors import B24LakeError, UsageError
from b24lake.web import targets
from b24lake.web.asking import Asked, Asking, Form, Sent, may, seen_after
from b24lake.web.pages.one_source import frame

router = APIRouter(prefix="/sources/{source_id}/alerts", include_in_schema=False)
SENT = 25  # alerts that are listed
_FIELDS = ("kind", "name", "server", "sender", "to", "user", "tls")  # what is shown again after an error: no secret


@router.get("")
def alerts(source_id: str, asked: Asked) -> Response:
    """What was sent about this source, and through which channels."""
    return _page(asked, source_id)


def _page(asked: Asking, source_id: str, *, form: Form | None = None, error: B24LakeError | None = None) -> Response:
    told = frame(asked, source_id, "alerts")
    database = asked.site.database
    typed: dict[str, Any] = {name: form.text(name) if form else "" for name in _FIELDS}
    typed["events"] = form.texts("events") if form else [*KINDS]
    return asked.page(
        "source/alerts.html",
        status=400 if error else 200,
        **told,
        channels=channels.listed(database),
        sent=channels.sent(database, limit=SENT, among=[source_id]),
        typed=typed,
        kinds=KINDS,
        error=error,
    )


@router.post("/channels", dependencies=[may("manager")])
def add(source_id: str, asked: Asked, form: Sent) -> Response:
    """One more channel, for all sources."""
    site = asked.site
    try:
        address, events = _address(form, private=site.private), _events(asked, form)
        channels.add(site.database, site.keyring, form.text("name"), address, events=events)
    except UsageError as error:
        return _page(asked, source_id, form=form, error=error)
    said = asked.say("The channel {name} is added. Send a test to see that it works.").format(name=form.text("name"))
    return seen_after(asked, f"/sources/{source_id}/alerts", said)


def _events(asked: Asking, form: Form) -> list[str]:
    """The events that are wanted; [] = all. Raises UsageError where it is none at all."""
    events = [kind for kind in form.texts("events") if kind in KINDS]
    if not events:
        raise UsageError(asked.say("The channel would get no alert"), fix=asked.say("choose at least one event"))
    return [] if len(events) == len(KINDS) else events


def _address(form: Form, *, private: bool) -> Address:
    if form.text("kind") == channels.SMTP:
        host, _, port = form.text("server").rpartition(":")
        return channels.smtp_address(
            host=host,
            port=int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0,
            sender=form.text("sender"),
            to=form.text("to").replace(",", " ").split(),
            user=form.text("user"),
            password=form.text("password"),
            tls=form.text("tls", "starttls"),
        )
    address = channels.webhook_address(form.text("url"))
    host = urlsplit(form.text("url")).hostname or ""
    if not private and not all(targets.is_public(each) for each in targets.addresses(host)):
        raise UsageError(
            f"{host} is in a private network",
            why="this service sends alerts to the internet only, so that nobody can reach machines behind it",
            fix="use a public address, or start the service with --allow-private",
        )
    return address


@router.post("/channels/{name}/test", dependencies=[may("manager")])
def test(source_id: str, name: str, asked: Asked, form: Sent) -> Response:  # noqa: ARG001  Sent checks the token
    """Send a message through a channel now."""
    site = asked.site
    now = site.clock()
    number = channels.ask_for_test(site.database, name, now)
    arrived = delivery.deliver(site.database, site.keyring, now, only=number)
    error = next((one["error"] for one in channels.sent(site.database) if one["id"] == number), None)
    if not arrived:
        raise UsageError(error or asked.say("The test did not arrive"))
    said = asked.say("The test has arrived at {name}.").format(name=name)
    return seen_after(asked, f"/sources/{source_id}/alerts", said)


@router.post("/channels/{name}/delete", dependencies=[may("manager")])
def delete(source_id: str, name: str, asked: Asked, form: Sent) -> Response:  # noqa: ARG001  Sent checks the token
    """Remove a channel."""
    channels.delete(asked.site.database, name)
    said = asked.say("The channel {name} is deleted.").format(name=name)
    return seen_after(asked, f"/sources/{source_id}/alerts", said)

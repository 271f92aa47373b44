"""/alerts and /channels: what was told, and to whom."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from b24lake.control import channels
from b24lake.errors import NotFoundError
from b24lake.web.api import house_shapes as shapes
from b24lake.web.api.callers import Admin, Caller, Reader
from b24lake.web.api.paging import Cursor, Most, after_last, number_of
from b24lake.web.api.strict import StrictRoute

router = APIRouter(tags=["alerts"], route_class=StrictRoute)


@router.get("/alerts", response_model=shapes.Alerts)
def list_alerts(caller: Reader, limit: Most = 50, cursor: Cursor = None) -> Any:
    """What was sent, or is to be; the newest first."""
    found = channels.sent(caller.site.database, limit=limit, before=number_of(cursor), among=caller.limited)
    return {"alerts": found, "next_cursor": after_last(found, limit)}


@router.get("/channels", response_model=shapes.Channels)
def list_channels(caller: Admin) -> Any:
    """Where alerts go, without secrets."""
    caller.unlimited()
    return {"channels": channels.listed(caller.site.database)}


@router.post("/channels", status_code=201, response_model=shapes.Channel)
def add_channel(caller: Admin, body: shapes.NewChannel) -> Any:
    """Add a channel; its address and password are sealed."""
    caller.unlimited()
    if body.kind == channels.WEBHOOK:
        address = channels.webhook_address(body.url)
    else:
        address = channels.smtp_address(
            host=body.host,
            port=body.port,
            sender=body.sender,
            to=body.to,
            user=body.user,
            password=body.password,
            tls=body.tls,
        )
    site = caller.site
    channels.add(site.database, site.keyring, body.name, address, events=body.events)
    with site.database.writing() as session:
        caller.actor.did(session, "created", f"channel {body.name}", {"to": address.config["shown"]})
    return _found(caller, body.name)


@router.delete("/channels/{channel}", response_model=shapes.Done)
def delete_channel(caller: Admin, channel: str) -> Any:
    """Remove a channel and what it was sent."""
    caller.unlimited()
    channels.delete(caller.site.database, channel)
    with caller.site.database.writing() as session:
        caller.actor.did(session, "deleted", f"channel {channel}")
    return {"deleted": channel}


@router.post("/channels/{channel}/test", status_code=202, response_model=shapes.Alert)
def test_channel(caller: Admin, channel: str) -> Any:
    """Have a message that tests a channel sent; the service does so within seconds, and /alerts tells."""
    caller.unlimited()
    number = channels.ask_for_test(caller.site.database, channel, caller.now)
    return next(one for one in channels.sent(caller.site.database) if one["id"] == number)


def _found(caller: Caller, name: str) -> dict[str, Any]:
    one = next((each for each in channels.listed(caller.site.database) if each["name"] == name), None)
    if one is None:
        raise NotFoundError(f"There is no channel {name!r}", fix="GET /api/v1/channels lists them")
    return one

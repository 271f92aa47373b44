"""Where alerts go: a JSON webhook or e-mail. Addresses that hold a secret, and passwords, are sealed."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control.alerts import KINDS, TEST
from b24lake.control.database import Database
from b24lake.control.models import Alert, Channel
from b24lake.control.secrets import Keyring, is_sealed
from b24lake.errors import ConflictError, NotFoundError, UsageError

WEBHOOK, SMTP = "webhook", "smtp"
TLS = ("starttls", "ssl", "none")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,62}", re.ASCII)


class Address(NamedTuple):
    """Where a channel goes: its kind, what everybody may know, and its secrets."""

    kind: str
    config: dict[str, Any]
    secrets: dict[str, str]


def webhook_address(url: str) -> Address:
    """An address that gets each alert as JSON by POST. Raises UsageError where it is none."""
    target = urlsplit(url.strip())
    if target.scheme not in {"http", "https"} or not target.hostname:
        raise UsageError("This is no address to post alerts to", fix="give one that begins with https://")
    return Address(WEBHOOK, {"shown": f"{target.scheme}://{target.hostname}/…"}, {"url": url.strip()})


def smtp_address(
    *, host: str, port: int, sender: str, to: Sequence[str], user: str = "", password: str = "", tls: str = "starttls"
) -> Address:
    """People who get each alert as e-mail. Raises UsageError for a bad server or address."""
    _require(bool(host) and 0 < port < 65536, "The mail server is not named", "give HOST:PORT, as mail.example.com:587")
    _require(tls in TLS, f"There is no way {tls!r} to a mail server", f"choose {', '.join(TLS)}")
    _require(bool(to), "Nobody is named to get the mail", "give at least one address")
    for address in (sender, *to):
        found = re.fullmatch(r"[^@\s,]+@[^@\s,]+", address)
        _require(found is not None, f"{address!r} is no e-mail address", "write NAME@EXAMPLE.COM")
    config = {"host": host, "port": port, "from": sender, "to": [*to], "user": user, "tls": tls}
    return Address(SMTP, {**config, "shown": ", ".join(to)}, {"password": password} if password else {})


def add(database: Database, keyring: Keyring, name: str, address: Address, *, events: Sequence[str] = ()) -> None:
    """A new channel; events () = all. Raises UsageError for a bad name or event, and where there is one already."""
    with database.writing() as session:
        if session.get(Channel, name) is not None:
            raise ConflictError(f"There is a channel {name!r}", fix="choose another name")
        put(session, keyring, name, address, events=events)


def put(
    session: Session, keyring: Keyring, name: str, address: Address, *, events: Sequence[str], enabled: bool = True
) -> None:
    """Have a channel of this name go there from now on. Raises UsageError for a bad name or event."""
    _require(_NAME.fullmatch(name) is not None, f"{name!r} is no name for a channel", "use letters, digits, - and _")
    for event in events:
        _require(event in KINDS, f"There is no event {event!r}", f"choose of {', '.join(KINDS)}")
    sealed = {key: keyring.seal_json(text, session) for key, text in address.secrets.items()}
    config = {**address.config, **sealed}
    session.merge(Channel(id=name, kind=address.kind, name=name, config=config, events=[*events], enabled=enabled))


def delete(database: Database, name: str) -> None:
    """Remove a channel and what it was sent. Raises UsageError where there is none."""
    with database.writing() as session:
        session.delete(_found(session, name))


def ask_for_test(database: Database, name: str, now: datetime) -> int:
    """Put a message that tests a channel among those to be sent. Returns its number."""
    with database.writing() as session:
        channel = _found(session, name)
        alert = Alert(kind=TEST, event_key=f"{TEST}:{now.isoformat()}", channel_id=channel.id, created_at=now)
        session.add(alert)
        session.flush()
        return alert.id


def _found(session: Session, name: str) -> Channel:
    channel = session.get(Channel, name)
    if channel is None:
        raise NotFoundError(f"There is no channel {name!r}", fix="see `b24lake alert channel list`")
    return channel


def listed(database: Database) -> list[dict[str, Any]]:
    """All channels as JSON, without their secrets."""
    with database.reading() as session:
        channels = session.scalars(select(Channel).order_by(Channel.id)).all()
    return [
        {
            "name": channel.id,
            "kind": channel.kind,
            "events": channel.events or [*KINDS],
            "enabled": channel.enabled,
            **{key: value for key, value in channel.config.items() if not is_sealed(value)},
        }
        for channel in channels
    ]


def sent(
    database: Database, *, limit: int = 50, before: int | None = None, among: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """The newest alerts first, and what became of each.

    before   older than the one of this id
    among    ids of the only sources that count; None = all
    """
    query = select(Alert).order_by(Alert.id.desc()).limit(limit)
    query = query.where(Alert.id < before) if before is not None else query
    query = query.where(Alert.source_id.in_(among)) if among is not None else query
    with database.reading() as session:
        alerts = session.scalars(query).all()
    return [
        {
            "id": alert.id,
            "event": alert.kind,
            "source": alert.source_id,
            "run": alert.run_id,
            "channel": alert.channel_id,
            "created_at": alert.created_at.isoformat(),
            "sent_at": alert.sent_at.isoformat() if alert.sent_at else None,
            "tries": alert.tries,
            "error": alert.error,
        }
        for alert in alerts
    ]


def _require(holds: bool, what: str, fix: str) -> None:
    if not holds:
        raise UsageError(what, fix=fix)

"""The way of alerts out of the house: JSON by POST, or e-mail; tried again with growing pauses."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import orjson
import urllib3
from sqlalchemy import select, update

from b24lake import __version__
from b24lake.control import alerts
from b24lake.control.channels import SMTP
from b24lake.control.database import Database
from b24lake.control.models import Alert, Channel, Run, Source
from b24lake.control.secrets import Keyring, is_sealed
from b24lake.errors import B24LakeError, StopError

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 5, 30, 120, 600))
"""How long after the event each try is due; then nobody tries again."""
TIMEOUT = 20.0  # seconds


def deliver(database: Database, keyring: Keyring, now: datetime, *, only: int | None = None) -> int:
    """Send what is due, each alert by one process alone. Returns how many arrived.

    only   the number of the one alert to send
    """
    with database.reading() as session:
        waiting = select(Alert).where(Alert.sent_at.is_(None), Alert.tries < len(PAUSES)).order_by(Alert.id)
        due = [one for one in session.scalars(waiting) if one.created_at + PAUSES[one.tries] <= now]
    return sum(_try(database, keyring, one, now) for one in due if only in (None, one.id))


def _try(database: Database, keyring: Keyring, alert: Alert, now: datetime) -> bool:
    with database.writing() as session:
        mine = Alert.id == alert.id, Alert.tries == alert.tries, Alert.sent_at.is_(None)
        if session.scalar(update(Alert).where(*mine).values(tries=alert.tries + 1).returning(Alert.id)) is None:
            return False
        channel = session.get_one(Channel, alert.channel_id)
        source = session.get(Source, alert.source_id) if alert.source_id else None
        run = session.get(Run, alert.run_id) if alert.run_id else None
        told = alerts.message(alert.kind, source, run, alert.created_at)
    try:
        send(channel.kind, opened(channel.config, keyring), told)
    except B24LakeError as error:
        outcome: dict[str, Any] = {"error": str(error)}
    else:
        outcome = {"sent_at": now, "error": None}
    with database.writing() as session:
        session.execute(update(Alert).where(Alert.id == alert.id).values(**outcome))
    return "sent_at" in outcome


def opened(config: Mapping[str, Any], keyring: Keyring) -> dict[str, Any]:
    """The settings of a channel with its secrets."""
    return {name: keyring.unseal_json(value) if is_sealed(value) else value for name, value in config.items()}


def send(kind: str, config: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """One message through one channel. Raises StopError that says why it did not arrive, without a secret."""
    try:
        if kind == SMTP:
            _mail(config, told)
        else:
            _post(config, told)
    except (OSError, smtplib.SMTPException, urllib3.exceptions.HTTPError) as error:
        # Their texts may name the address, in which there may be a secret.
        code = getattr(error, "smtp_code", None)
        why = f"{type(error).__name__}{f' {code}' if code else ''}"
        raise StopError(f"The alert did not reach {config['shown']}", why=why, fix="correct the channel") from None


def _post(config: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": f"b24lake/{__version__}"}
    with urllib3.PoolManager() as pool:
        answer = pool.request(
            "POST", config["url"], body=orjson.dumps(told), headers=headers, timeout=TIMEOUT, retries=False
        )
    if answer.status >= 300:
        raise StopError(
            f"The alert did not reach {config['shown']}", why=f"it answered {answer.status}", fix="correct the channel"
        )


def _mail(config: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    mail = EmailMessage()
    mail["Subject"] = f"[b24lake] {told['source_name'] or 'test'}: {told['event']}"
    mail["From"], mail["To"] = config["from"], ", ".join(config["to"])
    mail.set_content(f"{told['text']}\n\n" + "".join(f"{name}: {told[name]}\n" for name in ("source", "run", "at")))
    trusted = ssl.create_default_context()
    make = smtplib.SMTP_SSL if config["tls"] == "ssl" else smtplib.SMTP
    context: dict[str, Any] = {"context": trusted} if config["tls"] == "ssl" else {}
    with make(config["host"], config["port"], timeout=TIMEOUT, **context) as server:
        if config["tls"] == "starttls":
            server.starttls(context=trusted)
        if config["user"]:
            server.login(config["user"], config.get("password", ""))
        server.send_message(mail)

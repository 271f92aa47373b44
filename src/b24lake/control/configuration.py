"""Configuration as a document: the state of the database as one, and the file of a person as another.

Both have the same form, with every setting filled in, so that they can be compared:

    {"layers": {name: description}, "sources": {id: {…, "streams": {…}, "triggers": {…}}}, "channels": {name: {…}}}

Secrets are never in it: a webhook is `${NAME}`, the name of an environment variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control import choices, triggers
from b24lake.control.channels import SMTP, WEBHOOK
from b24lake.control.claims import Installation
from b24lake.control.config_file import Entry
from b24lake.control.models import Channel, Source, SourceStream
from b24lake.control.schedules import schedule
from b24lake.control.slugs import checked_slug
from b24lake.control.source_settings import FIELDS, read, switched_on, value_of
from b24lake.control.sources import ACTIVE, DRAFT, PAUSED, STOPPED
from b24lake.control.triggers import kind_of
from b24lake.errors import UsageError
from b24lake.lake import layers
from b24lake.portal.webhook import is_loopback
from b24lake.streams.selection import is_hidden

Document = dict[str, Any]

VERSION = "1"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
SOURCE_KEYS = (
    "name",
    "webhook",
    "allow_http",
    "state",
    *(key for key in FIELDS if key != "name"),
    "streams",
    "triggers",
)
SCHEDULE_KEYS = ("cron", "weekdays", "times", "zone")
TRIGGER_KEYS = ("name", *SCHEDULE_KEYS, "after", "mode", "full", "enabled")
CHANNEL_KEYS: Mapping[str, tuple[str, ...]] = {
    WEBHOOK: ("kind", "url", "events", "enabled"),
    SMTP: ("kind", "host", "port", "from", "to", "user", "password", "tls", "events", "enabled"),
}
SECRETS = {WEBHOOK: "url", SMTP: "password"}
_STATES = (ACTIVE, PAUSED, DRAFT)


# --- the state of the database ----------------------------------------------------------------------------------------


def current(session: Session, here: Installation) -> Document:
    """What there is."""
    sources = session.scalars(select(Source).order_by(Source.id)).all()
    channels = session.scalars(select(Channel).order_by(Channel.id)).all()
    return {
        "layers": {each.name: each.description for each in layers.layers(here.lake)},
        "sources": {source.id: source_document(session, source) for source in sources},
        "channels": {channel.id: _channel(channel) for channel in channels},
    }


def source_document(session: Session, source: Source) -> Document:
    """A source as it is."""
    plain_http = source.webhook_shown.startswith("http://")
    return {
        "name": source.name,
        "webhook": reference("WEBHOOK", source.id),
        "allow_http": plain_http and not is_loopback(source.webhook_shown.split("/")[2].rpartition(":")[0]),
        "state": ACTIVE if source.state == STOPPED else source.state,
        **{key: value_of(source, key) for key in FIELDS if key != "name"},
        "streams": {one.stream: stream_document(one) for one in source.streams if one.selected},
        "triggers": {
            one.id.removeprefix(f"{source.id}."): {
                "name": one.name,
                "spec": one.spec,
                "full": one.full,
                "enabled": one.enabled,
            }
            for one in triggers.listed(session, source.id)
        },
    }


def stream_document(one: SourceStream) -> Document:
    """How a stream is read."""
    return {
        "sync_type": one.sync_type,
        "replication_key": one.replication_key,
        "table": one.table_name,
        **{field: list(getattr(one, column)) for field, column in choices.HIDING.items()},
    }


def _channel(channel: Channel) -> Document:
    secret = SECRETS[channel.kind]
    config = {key: value for key, value in channel.config.items() if key not in {"shown", secret}}
    hidden = {secret: reference("CHANNEL", channel.id)} if secret in channel.config else {}
    return {"kind": channel.kind, **config, **hidden, "events": sorted(channel.events), "enabled": channel.enabled}


def reference(kind: str, name: str) -> str:
    """What stands in a file for a secret.

    >>> reference("WEBHOOK", "sales-crm")
    '${B24LAKE_WEBHOOK_SALES_CRM}'
    """
    return f"${{B24LAKE_{kind}_{re.sub(r'[^A-Z0-9]', '_', name.upper())}}}"


def variable(text: str) -> str:
    """The environment variable that a reference names. Raises UsageError where it is none."""
    match = _REFERENCE.fullmatch(text)
    if not match:
        raise UsageError(
            "A secret must not be in the file",
            why="it is written in clear",
            fix="write ${NAME}, and set the variable NAME",
        )
    return match[1]


# --- the file of a person ---------------------------------------------------------------------------------------------


def wanted(file: Entry, before: Document) -> Document:
    """What a file asks for, with every setting filled in. Raises UsageError that names the line.

    before   what there is: sections that the file leaves out stay as they are
    """
    told = file.mapping("the file", ("version", "layers", "sources", "channels"))
    if "version" in told and told["version"].text("version") != VERSION:
        raise told["version"].error("this version of the file is not known", f"write version: {VERSION}")
    found: Document = {}
    for section, read_one in (("sources", _read_source), ("channels", _read_channel)):
        if section not in told:
            found[section] = before[section]
            continue
        found[section] = {}
        for name, entry in told[section].mapping(section).items():
            with entry.named():
                found[section][name] = read_one(name, entry)
    found["layers"] = _read_layers(told["layers"], before["layers"]) if "layers" in told else before["layers"]
    return found


def _read_layers(entry: Entry, before: Document) -> Document:
    if isinstance(entry.value, list):
        return {name: before.get(name, "") for name in entry.texts("layers")}
    told = entry.mapping("layers")
    return {name: each.text(name) if each.value is not None else "" for name, each in told.items()}


def _read_source(name: str, entry: Entry) -> Document:
    checked_slug(name)
    told = entry.mapping(f"the source {name}", SOURCE_KEYS)
    if "webhook" not in told:
        raise entry.error(f"the source {name} has no webhook", f"write webhook: {reference('WEBHOOK', name)}")
    found: Document = {"name": name, "allow_http": False, "state": ACTIVE}
    for key in ("name", *(key for key in FIELDS if key != "name")):
        if key in told:
            with told[key].named():
                found[key] = _setting(key, told[key])
        elif key != "name":
            found[key] = FIELDS[key].default
    with told["webhook"].named():
        found["webhook"] = told["webhook"].text("webhook")
        variable(found["webhook"])
    if "allow_http" in told:
        found["allow_http"] = _flag(told["allow_http"])
    if "state" in told:
        found["state"] = _one_of(told["state"], "state", _STATES)
    found["streams"] = _read_streams(found, told["streams"]) if "streams" in told else {}
    if not found["streams"] and found["state"] != DRAFT:
        raise entry.error(f"the source {name} reads no stream", "name its streams, or write state: draft")
    parts = told["triggers"].mapping("triggers") if "triggers" in told else {}
    found["triggers"] = {key: _read_trigger(key, each) for key, each in parts.items()}
    return found


def _setting(key: str, entry: Entry) -> Any:
    value = entry.plain()
    return FIELDS[key].default if value is None and key != "name" else read(key, value or "")


def _read_streams(source: Document, entry: Entry) -> Document:
    if isinstance(entry.value, list):
        chosen = {each.text("streams"): each for each in entry.value}
        return {name: _read_stream(source, name, each, {}) for name, each in chosen.items()}
    told = entry.mapping("streams")
    return {
        name: _read_stream(source, name, each, each.mapping(f"the stream {name}", choices.STREAM_FIELDS))
        for name, each in told.items()
    }


def _read_stream(source: Document, name: str, entry: Entry, told: Mapping[str, Entry]) -> Document:
    with entry.named():
        stream = choices.definition(name)
        if is_hidden(stream, switched_on(source)):
            raise UsageError(f"the stream {name} is switched off", fix=f"write {stream.option}: true in its source")
        usual = choices.preset(source["prefix"], stream)
        given = {key: each for key, each in told.items() if each.value is not None}
        changes = {key: each.texts(key) if key in choices.HIDING else each.text(key) for key, each in given.items()}
        choices.put(usual, stream, changes, source["prefix"])
    return stream_document(usual)


def _read_trigger(key: str, entry: Entry) -> Document:
    with entry.named():
        checked_slug(key)
        told = entry.mapping(f"the trigger {key}", TRIGGER_KEYS)
        spec: dict[str, Any] = {name: told[name].plain() for name in SCHEDULE_KEYS if name in told}
        if "after" in told or "mode" in told:
            awaited = told["after"].texts("after") if "after" in told else []
            spec |= {"sources": awaited, "mode": told["mode"].text("mode") if "mode" in told else "any"}
        spec = schedule(spec).spec() if kind_of(spec) == triggers.SCHEDULE else triggers.event(spec)
    return {
        "name": told["name"].text("name") if "name" in told else "",
        "spec": spec,
        "full": _flag(told["full"]) if "full" in told else False,
        "enabled": _flag(told["enabled"]) if "enabled" in told else True,
    }


def _read_channel(name: str, entry: Entry) -> Document:
    kinds = {key: each for key, each in entry.mapping(f"the channel {name}").items() if key == "kind"}
    if "kind" not in kinds:
        raise entry.error(f"the channel {name} has no kind", f"write kind: {' or '.join(CHANNEL_KEYS)}")
    kind = _one_of(kinds["kind"], "kind", tuple(CHANNEL_KEYS))
    told = entry.mapping(f"the channel {name}", CHANNEL_KEYS[kind])
    found: Document = {"kind": kind, "events": [], "enabled": True}
    if kind == SMTP:
        found |= {"host": "", "port": 587, "from": "", "to": [], "user": "", "tls": "starttls"}
    for key, each in told.items():
        with each.named():
            found[key] = _channel_value(key, each)
    found["events"] = sorted(found["events"])
    return found


def _channel_value(key: str, entry: Entry) -> Any:
    if key in {"to", "events"}:
        return entry.texts(key)
    if key == "enabled":
        return _flag(entry)
    text = entry.text(key)
    if key in SECRETS.values():
        variable(text)
    if key == "port" and not (text.isascii() and text.isdigit()):
        raise UsageError("port needs a number", fix="as 587")
    return int(text) if key == "port" else text


def _flag(entry: Entry) -> bool:
    return _one_of(entry, "this", ("true", "false")) == "true"


def _one_of(entry: Entry, what: str, offered: tuple[str, ...]) -> str:
    text = entry.text(what)
    if text not in offered:
        raise entry.error(f"{what} cannot be {text!r}", f"write {' or '.join(offered)}")
    return text

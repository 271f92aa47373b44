"""Configuration as code: what there is, compared with a file, and brought to what the file says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from b24lake.control import channels, sources, triggers
from b24lake.control.audit import Actor
from b24lake.control.claims import Installation
from b24lake.control.config_file import Entry
from b24lake.control.configuration import SECRETS, Document, current, source_document, variable, wanted
from b24lake.control.database import take_turns
from b24lake.control.models import Channel, Source
from b24lake.control.relocation import Move
from b24lake.control.secrets import Keyring
from b24lake.control.source_settings import FIELDS, value_of, webhook_of
from b24lake.control.sources import ACTIVE, DRAFT, PAUSED, Wanted
from b24lake.errors import UsageError
from b24lake.lake import layers
from b24lake.portal.webhook import Webhook, parse

_SETTINGS = tuple(key for key in FIELDS if key != "name")
_SECRET = "(secret)"  # noqa: S105  what is shown instead of one


@dataclass(frozen=True)
class Change:
    """One difference: `+` added, `-` removed, `~` another value; values are for people, never secrets."""

    sign: str
    path: tuple[str, ...]
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        said = f"{self.sign} {'.'.join(self.path)}"
        if self.sign == "~":
            return f"{said}: {self.before or '(nothing)'} -> {self.after or '(nothing)'}"
        return f"{said}: {self.after or self.before}" if self.after or self.before else said

    def as_json(self) -> dict[str, str]:
        """For scripts."""
        return {"sign": self.sign, "path": ".".join(self.path), "before": self.before, "after": self.after}


@dataclass(frozen=True)
class Plan:
    """What a file means.

    changes   what differs, or differed
    kept      what is there and not in the file: it is deleted only where pruning is asked for
    effects   what the changes mean for tables, in words
    """

    changes: list[Change]
    kept: list[str]
    effects: list[str]


# --- the difference ---------------------------------------------------------------------------------------------------


def compare(
    session: Session,
    keyring: Keyring,
    here: Installation,
    file: Entry,
    *,
    prune: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> tuple[Document, Plan]:
    """What the file asks for, and how that differs from what there is. Writes nothing.

    Raises UsageError that names the line of what is wrong, and the variable that a new source lacks.
    """
    before = current(session, here)
    after = wanted(file, before)
    kept = [path for path in _missing(before, after) if not prune]
    for path in kept:
        _keep(before, after, path)
    changes = list(_differences(before, after))
    changes += _secret_changes(session, keyring, before, after, environ)
    return after, Plan(sorted(changes, key=lambda one: one.path), [".".join(path) for path in kept], [])


def _missing(before: Document, after: Document) -> Iterator[tuple[str, ...]]:
    """What is deleted by pruning alone: layers, sources, channels, and triggers of sources."""
    for section in ("layers", "sources", "channels"):
        yield from ((section, name) for name in before[section] if name not in after[section])
    for name in set(before["sources"]) & set(after["sources"]):
        known, told = before["sources"][name]["triggers"], after["sources"][name]["triggers"]
        yield from (("sources", name, "triggers", key) for key in known if key not in told)


def _keep(before: Document, after: Document, path: tuple[str, ...]) -> None:
    for step in path[:-1]:
        before, after = before[step], after[step]
    after[path[-1]] = before[path[-1]]


def _differences(before: Document, after: Document, path: tuple[str, ...] = ()) -> Iterator[Change]:
    for key in dict.fromkeys([*before, *after]):
        here = (*path, key)
        if key in _HIDDEN:
            continue
        if key not in after:
            yield Change("-", here)
        elif key not in before:
            yield from _added(here, after[key])
        elif isinstance(after[key], dict) and key != "spec":
            yield from _differences(before[key], after[key], here)
        elif before[key] != after[key]:
            yield Change("~", here, _said(key, before[key]), _said(key, after[key]))


def _added(path: tuple[str, ...], value: Any) -> Iterator[Change]:
    yield Change("+", path, after=_said(path[-1], value))
    for part in ("streams", "triggers"):
        for name, one in value.get(part, {}).items() if isinstance(value, dict) else ():
            yield Change("+", (*path, part, name), after=_said(name, one))


_HIDDEN = {"webhook", "allow_http", *SECRETS.values()}
"""Compared by what they stand for, elsewhere."""


def _said(key: str, value: Any) -> str:
    if key == "spec":
        return triggers.in_words(value)
    if isinstance(value, dict):
        told = {name: each for name, each in value.items() if not isinstance(each, dict) or name == "spec"}
        return ", ".join(f"{name} {_said(name, each)}" for name, each in told.items() if _worth_saying(name, each))
    if key in FIELDS:
        return FIELDS[key].in_words(value)
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value if value is not None else "")


def _worth_saying(name: str, value: Any) -> bool:
    usual = {
        "allow_http": False,
        "full": False,
        "enabled": True,
        "events": [],
        **{key: FIELDS[key].default for key in _SETTINGS},
    }
    return value not in ("", None, []) and (name not in usual or usual[name] != value)


# --- secrets ----------------------------------------------------------------------------------------------------------


def _secret_changes(
    session: Session, keyring: Keyring, before: Document, after: Document, environ: Mapping[str, str]
) -> Iterator[Change]:
    for name, source in after["sources"].items():
        if source is before["sources"].get(name):
            continue
        given, known = _webhook(source, environ), session.get(Source, name)
        if known is None:
            _require(given is not None, f"The source {name} has no webhook yet", source["webhook"])
        elif given is not None and not _same(given, webhook_of(known, keyring)):
            yield Change("~", ("sources", name, "webhook"), known.webhook_shown, str(given))
    for name, channel in after["channels"].items():
        key = SECRETS[channel["kind"]]
        if key not in channel or channel is before["channels"].get(name):
            continue
        given_text, row = environ.get(variable(channel[key])), session.get(Channel, name)
        sealed = row.config.get(key) if row is not None else None
        if sealed is None:
            _require(given_text is not None, f"The channel {name} has no {key} yet", channel[key])
        if sealed is not None and given_text is not None and keyring.unseal_json(sealed) != given_text:
            yield Change("~", ("channels", name, key), _SECRET, _SECRET)


def _webhook(source: Document, environ: Mapping[str, str]) -> Webhook | None:
    given = environ.get(variable(source["webhook"]))
    return None if given is None else parse(given, allow_http=source["allow_http"])


def _same(one: Webhook, other: Webhook) -> bool:
    return (one.origin, one.user, one.code) == (other.origin, other.user, other.code)


def _require(holds: bool, what: str, reference: str) -> None:
    if not holds:
        name = variable(reference)
        raise UsageError(what, why=f"the environment variable {name} is not set", fix=f"set {name}, then apply again")


# --- applying ---------------------------------------------------------------------------------------------------------


def apply(
    session: Session,
    keyring: Keyring,
    here: Installation,
    actor: Actor,
    file: Entry,
    *,
    prune: bool = False,
    move: Move | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Plan:
    """Bring everything to what the file says, in the caller's transaction; doing it again changes nothing.

    prune   delete what is not in the file: sources (their tables stay), triggers, channels, empty layers
    move    as in `sources.edit`

    Raises UsageError as `compare`, and for whatever the services refuse; nothing is changed then.
    """
    take_turns(session)
    after, plan = compare(session, keyring, here, file, prune=prune, environ=environ)
    touched = {one.path[:2] for one in plan.changes}
    gone = [one.path for one in plan.changes if one.sign == "-"]
    _delete(session, here, actor, gone)
    _put_layers(here, plan.changes, after)
    effects = []
    changed = {name: source for name, source in after["sources"].items() if ("sources", name) in touched}
    for name, source in changed.items():
        effects += _put_source(session, keyring, here, actor, name, source, environ, move)
    for name, source in changed.items():
        _put_triggers(session, actor, session.get_one(Source, name), source["triggers"])
    for name, source in changed.items():
        _put_state(session, actor, session.get_one(Source, name), source["state"])
    for name, channel in after["channels"].items():
        if ("channels", name) in touched:
            _put_channel(session, keyring, actor, name, channel, environ)
    return Plan(plan.changes, plan.kept, effects)


def _delete(session: Session, here: Installation, actor: Actor, gone: list[tuple[str, ...]]) -> None:
    for path in gone:
        if path[2:3] == ("triggers",):
            triggers.delete(session, actor, triggers.found(session, f"{path[1]}.{path[3]}"))
    session.flush()
    for path in gone:
        if path[0] == "sources" and len(path) == 2:
            sources.delete(session, here, actor, session.get_one(Source, path[1]), tables="keep")
        elif path[0] == "channels" and len(path) == 2:
            session.delete(session.get_one(Channel, path[1]))
            actor.did(session, "deleted", f"channel {path[1]}")
    session.flush()


def _put_layers(here: Installation, changes: list[Change], after: Document) -> None:
    """Layers of the lake; whatever becomes of the transaction, one more is no harm."""
    for change in changes:
        if change.path[0] != "layers":
            continue
        name = change.path[1]
        if change.sign == "-":
            layers.delete(here.lake, name)
        elif change.sign == "+":
            layers.add(here.lake, name, after["layers"][name])
        else:
            layers.describe(here.lake, name, after["layers"][name])


def _put_source(
    session: Session,
    keyring: Keyring,
    here: Installation,
    actor: Actor,
    name: str,
    wanted_: Document,
    environ: Mapping[str, str],
    move: Move | None,
) -> list[str]:
    webhook = _webhook(wanted_, environ)
    settings = {key: wanted_[key] for key in FIELDS}
    source = session.get(Source, name)
    if source is None:
        assert webhook is not None  # `compare` has seen to it
        made = Wanted(wanted_["name"], webhook, name, tuple(wanted_["streams"]), settings, wanted_["streams"])
        sources.create(session, keyring, here, actor, made)
        return []
    before = source_document(session, source)
    if webhook is not None and not _same(webhook, webhook_of(source, keyring)):
        sources.change_webhook(session, keyring, here, actor, source, webhook)
    different = {key: value for key, value in settings.items() if value != value_of(source, key)}
    told, known = wanted_["streams"], before["streams"]
    changes = {name: one for name, one in told.items() if one != known.get(name)}
    if not (different or told != known):
        return []
    only = set(told) if set(told) != set(known) else None
    return sources.edit(session, here, actor, source, different, streams=changes, only=only, move=move)


def _put_triggers(session: Session, actor: Actor, source: Source, wanted_: Document) -> None:
    for key, one in wanted_.items():
        trigger_id = f"{source.id}.{key}"
        known = {each.id: each for each in triggers.listed(session, source.id)}.get(trigger_id)
        columns = {name: one[name] for name in ("name", "full", "enabled")}
        if known is None:
            triggers.add(session, actor, source, one["spec"], key=key, **columns)
        elif {"spec": known.spec, **{name: getattr(known, name) for name in columns}} != one:
            triggers.change(session, actor, known, spec=one["spec"], **columns)


def _put_state(session: Session, actor: Actor, source: Source, state: str) -> None:
    if state == DRAFT and source.state != DRAFT:
        raise UsageError(f"The source {source.id} cannot be a draft again", fix="write state: paused")
    if source.state == DRAFT and state != DRAFT:
        sources.activate(session, actor, source)
    if source.state == ACTIVE and state == PAUSED:
        sources.pause(session, actor, source)
    elif source.state == PAUSED and state == ACTIVE:
        sources.resume(session, actor, source)


def _put_channel(
    session: Session, keyring: Keyring, actor: Actor, name: str, told: Document, environ: Mapping[str, str]
) -> None:
    key = SECRETS[told["kind"]]
    row = session.get(Channel, name)
    secret = environ.get(variable(told[key])) if key in told else ""
    if secret is None and row is not None:
        secret = keyring.unseal_json(row.config[key])
    if told["kind"] == channels.WEBHOOK:
        address = channels.webhook_address(secret or "")
    else:
        words = {part: told[part] for part in ("host", "port", "to", "user", "tls")}
        address = channels.smtp_address(**words, sender=told["from"], password=secret or "")
    channels.put(session, keyring, name, address, events=told["events"], enabled=told["enabled"])
    actor.did(session, "created" if row is None else "changed", f"channel {name}", {"goes": address.config["shown"]})

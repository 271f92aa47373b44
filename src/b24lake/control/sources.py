"""Sources: made as drafts, checked, given streams and tables, switched on and off, changed, copied, deleted.

Every function works inside the caller's transaction, so that several changes are one. The states:

    draft -> active <-> paused
               |  ^
               v  |  resumed by hand
             stopped     by the service, after too many failures in a row
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control import choices, claims, relocation
from b24lake.control.audit import Actor
from b24lake.control.claims import Installation
from b24lake.control.database import Database, take_turns
from b24lake.control.models import Source, SourceStream, Trigger
from b24lake.control.relocation import Move
from b24lake.control.secrets import Keyring
from b24lake.control.slugs import checked_slug, free_slug
from b24lake.control.source_settings import FIELDS, lake_of, put, read, switched_on, value_of, webhook_of
from b24lake.errors import B24LakeError, ConflictError, NotFoundError, UsageError
from b24lake.lake import layers
from b24lake.lake.place import Place
from b24lake.lake.table import check_writable
from b24lake.portal.probe import Check
from b24lake.portal.webhook import Webhook
from b24lake.streams.discovery import Discovery
from b24lake.streams.selection import Selected
from b24lake.sync import checking, privacy
from b24lake.sync.checking import Checked

DRAFT, ACTIVE, PAUSED, STOPPED = "draft", "active", "paused", "stopped"
_OF_SETTINGS = {"lake", "tables", "columns"}
"""Checks of what has been set: another setting makes them old."""
STATES = (DRAFT, ACTIVE, PAUSED, STOPPED)


@dataclass(frozen=True)
class Wanted:
    """A source that is to be made.

    source_id   "" = made from the name
    streams     names and globs; () = all that can be read
    settings    of `source_settings.FIELDS`
    changes     stream -> what is not to be as suggested, as in `choices.change`
    """

    name: str
    webhook: Webhook
    source_id: str = ""
    streams: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


# --- looking ----------------------------------------------------------------------------------------------------------


def found(session: Session, name: str, *, lock: bool = False) -> Source:
    """The source with this id or name. Raises NotFoundError, with the nearest ones, where there is none.

    lock   it is going to be changed: nobody else changes it before the end of the transaction
    """
    if lock:
        take_turns(session)
    sources = list(session.scalars(select(Source).order_by(Source.id)))
    exact = [one for one in sources if one.id == name] or [one for one in sources if one.name == name]
    if len(exact) == 1:
        source = exact[0]
        return session.get_one(Source, source.id, populate_existing=True, with_for_update=True) if lock else source
    if exact:
        raise UsageError(
            f"{name!r} is the name of several sources",
            why=", ".join(one.id for one in exact),
            fix="use one of these ids",
        )
    known = {one.id: one.id for one in sources} | {one.name.lower(): one.id for one in sources}
    near = dict.fromkeys(known[each] for each in get_close_matches(name.lower(), known, n=3, cutoff=0.5))
    hint = f"did you mean {' or '.join(near)}" if near else "`b24lake source list` lists what there is"
    raise NotFoundError(f"There is no source {name!r}", fix=hint)


def listed(session: Session) -> list[Source]:
    """All sources, by id."""
    return list(session.scalars(select(Source).order_by(Source.id)))


def document(source: Source, here: Installation) -> dict[str, Any]:
    """A source for people and scripts, without its secret."""
    return {
        "id": source.id,
        "name": source.name,
        "state": source.state,
        "webhook": source.webhook_shown,
        "portal": source.portal_address,
        "settings": {name: value_of(source, name) for name in FIELDS if name != "name"},
        "lake": str(lake_of(source, here.lake)),
        "failures": source.failures,
        "created_at": source.created_at,
        "updated_at": source.updated_at,
        "checked_at": source.checked_at,
        "checks": source.checks,
        "streams": [stream_document(source, one) for one in source.streams],
    }


def stream_document(source: Source, one: SourceStream) -> dict[str, Any]:
    """One stream of a source."""
    return {
        "stream": one.stream,
        "selected": one.selected,
        "sync_type": one.sync_type,
        "replication_key": one.replication_key,
        "table": f"{source.layer}.{one.table_name}",
        "exclude": one.excluded,
        "hash": one.hashed,
    }


# --- making and changing ----------------------------------------------------------------------------------------------


def create(
    session: Session,
    keyring: Keyring,
    here: Installation,
    actor: Actor,
    wanted: Wanted,
) -> Source:
    """A new source, as a draft that reads the streams which are named exactly.

    Raises UsageError for wrong values, for an id that is taken, and as `edit`.
    """
    take_turns(session)
    taken = set(session.scalars(select(Source.id)))
    slug = checked_slug(wanted.source_id) if wanted.source_id else free_slug(wanted.name, taken)
    if slug in taken:
        raise ConflictError(f"There is a source {slug!r}", fix="choose another id, or change that source")
    source = Source(
        id=slug,
        name=read("name", wanted.name),
        options={},
        created_at=actor.at,
        updated_at=actor.at,
        state=DRAFT,
        streams=[],
    )
    for key, one in FIELDS.items():
        if key != "name" and not one.option:
            setattr(source, key, one.default)
    session.add(source)
    _put_webhook(session, source, wanted.webhook, keyring, here)
    _put_settings(source, wanted.settings, here)
    choices.choose(source, wanted.streams)
    for name, changes in wanted.changes.items():
        choices.change(source, name, changes)
    session.flush()
    _settle(session, source, {}, here)
    actor.did(session, "created", f"source {slug}", {"name": source.name, "webhook": source.webhook_shown})
    return source


def set_up(
    database: Database, keyring: Keyring, here: Installation, actor: Actor, wanted: Wanted
) -> tuple[str | None, Checked]:
    """Check a webhook, then make an active source of it, in one step. Returns its id and the checks.

    Where a check fails nothing is kept, and the id is None. Raises UsageError as `create` and `choices.matching`.
    """
    given = {"name": wanted.name, **wanted.settings}
    settings = {name: read(name, each) for name, each in given.items()}
    how = {name: settings.get(name, FIELDS[name].default) for name in ("portal_plan", "reader")}
    checked = checking.check(wanted.webhook, here.home, actor.at, **how)
    if checked.status == "failed" or checked.discovery is None:
        return None, checked
    names = choices.matching(checked.discovery, wanted.streams, switched_on(wanted.settings))
    with database.writing() as session:
        source = create(session, keyring, here, actor, replace(wanted, streams=names))
        check_columns(source, checked.discovery)
        keep_checks(session, source, checked, actor.at)
        activate(session, actor, source)
        return source.id, checked


def edit(
    session: Session,
    here: Installation,
    actor: Actor,
    source: Source,
    settings: Mapping[str, Any],
    *,
    streams: Mapping[str, Mapping[str, Any]] | None = None,
    only: Collection[str] | None = None,
    move: Move | None = None,
) -> list[str]:
    """Change settings of a source and of its streams. Returns what that means for its tables, in words.

    streams   stream -> changes, as in `choices.change`
    only      read exactly these streams from now on; None = as before
    move      moves a table whose name, layer or lake is changed (`relocation.moves`); None = tables stay where they are

    Raises UsageError for wrong values, where a table would get a second writer or belongs to somebody else, and where
    tables are to be moved while a run is at work.
    """
    take_turns(session)
    before, prefix = claims.tables_of(source, here), source.prefix
    hidden = {one.stream: (one.excluded, one.hashed) for one in source.streams if one.selected}
    _put_settings(source, settings, here)
    if source.prefix != prefix:
        choices.rename(source, prefix)
    if only is not None:
        choices.choose(source, only)
    for name, changes in (streams or {}).items():
        choices.change(source, name, changes)
    said: list[str] = []
    said.extend(f"{name} is no longer read, since its setting is off" for name in choices.drop_hidden(source))
    said += _settle(session, source, before, here, move)
    said += claims.hiding(source, hidden, here)
    source.checks = [one for one in source.checks if one["name"] not in _OF_SETTINGS]
    source.updated_at = actor.at
    changed = {f"{name}.{key}": value for name, each in (streams or {}).items() for key, value in each.items()}
    chosen = {} if only is None else {"streams": ", ".join(choices.selected(source.streams))}
    detail = {name: str(value) for name, value in {**settings, **changed, **chosen}.items()}
    actor.did(session, "changed", f"source {source.id}", detail)
    return said


def check_unchanged(source: Source, seen: datetime | None) -> None:
    """Raises ConflictError where the source was changed since somebody saw it; `seen` is its `updated_at` then."""
    if seen is not None and seen != source.updated_at:
        raise ConflictError(
            f"The source {source.id} was changed meanwhile",
            why=f"somebody changed it at {source.updated_at:%Y-%m-%d %H:%M:%S} UTC",
            fix="look at it again, and repeat your change",
            code="changed_meanwhile",
        )


def change_webhook(
    session: Session, keyring: Keyring, here: Installation, actor: Actor, source: Source, webhook: Webhook
) -> None:
    """Give a source another webhook of the same portal.

    Raises UsageError where it is another portal's, and tables hold rows of the one before.
    """
    take_turns(session)
    other = here.home.portal(webhook.address) != source.portal
    owned = claims.owned_tables(source, here) if other else []
    if owned:
        raise UsageError(
            f"The source {source.id} cannot read {webhook.address}",
            why=f"its tables hold rows of {source.portal_address}, as {claims.shown(owned[0])} does",
            fix="make another source for another portal; if this one has only moved, run the source once with its old "
            "webhook: it follows the portal and remembers",
        )
    _put_webhook(session, source, webhook, keyring, here)
    source.checked_at, source.checks, source.updated_at = None, [], actor.at
    actor.did(session, "changed", f"source {source.id}", {"webhook": source.webhook_shown})


def _put_settings(source: Source, settings: Mapping[str, Any], here: Installation) -> None:
    values = {name: read(name, given) for name, given in settings.items()}
    for name, value in values.items():
        put(source, name, value)
    if {"layer", "lake"} & set(values):
        layers.existing(lake_of(source, here.lake), source.layer)


def _put_webhook(session: Session, source: Source, webhook: Webhook, keyring: Keyring, here: Installation) -> None:
    source.webhook = keyring.seal(f"{webhook.origin}/rest/{webhook.user}/{webhook.code}/", session)
    source.webhook_shown, source.portal_address = str(webhook), webhook.address
    source.portal = here.home.portal(webhook.address)


def _settle(
    session: Session, source: Source, before: Mapping[str, Place], here: Installation, move: Move | None = None
) -> list[str]:
    claims.check_claims(session, source, here)
    claims.check_owners(source, here, but=before.values())
    return relocation.move_all(session, source, before, here, move) if move else claims.effects(source, before, here)


# --- checking ---------------------------------------------------------------------------------------------------------


def check(source: Source, keyring: Keyring, here: Installation, now: datetime) -> Checked:
    """All named checks of a source: its webhook, its streams, its lake and its tables. Asks the portal."""
    webhook = webhook_of(source, keyring)
    how = {name: value_of(source, name) for name in ("portal_plan", "reader")}
    answered = checking.check(webhook, here.home, now, **how)
    more = [_checked("lake", str(lake_of(source, here.lake)), lambda: check_writable(lake_of(source, here.lake)))]
    names = choices.selected(source.streams)
    if names:
        more.append(_checked("tables", f"{len(names)} are free or its own", lambda: claims.check_owners(source, here)))
    discovery = answered.discovery
    if discovery is not None and any(one.excluded or one.hashed for one in source.streams if one.selected):
        more.append(_checked("columns", "all that are hidden are there", lambda: check_columns(source, discovery)))
    streams = [_locked(name, answered) for name in names]
    return Checked([*answered.checks, *more, *(one for one in streams if one is not None)], answered.discovery)


def check_columns(source: Source, found: Discovery) -> None:
    """Raises UsageError where a column is to be hidden that its stream does not have on the portal, or needs."""
    rows = [one for one in source.streams if one.selected and one.stream in found.streams]
    selected = [Selected(found.streams[one.stream], True, one.sync_type, one.replication_key) for one in rows]
    for option, column in choices.HIDING.items():
        patterns = [f"{one.stream}.{name}" for one in rows for name in getattr(one, column)]
        privacy.check(selected, list(found.streams), patterns, option)


def keep_checks(session: Session, source: Source, checked: Checked, now: datetime) -> None:
    """Write down what the checks found."""
    source.checks, source.checked_at = [asdict(one) for one in checked.checks], now
    session.flush()


def _checked(name: str, says: str, look: Any) -> Check:
    try:
        look()
    except B24LakeError as error:
        return Check(name, "failed", error.what, error.why, error.fix)
    return Check(name, "ok", says)


def _locked(name: str, answered: Checked) -> Check | None:
    """Why a chosen stream cannot be read."""
    if answered.discovery is None:
        return None
    one = answered.discovery.streams.get(name)
    if one is None:
        cure = "stop reading it; its table stays as it is"
        return Check(f"chosen {name}", "warning", "the portal does not have it any more", "", cure)
    if one.locked is None:
        return None
    return Check(f"chosen {name}", "failed", one.locked.what, one.locked.why, one.locked.fix)


# --- states -----------------------------------------------------------------------------------------------------------


def activate(session: Session, actor: Actor, source: Source) -> None:
    """Finish a draft. Raises UsageError where it reads nothing, or where its last check failed."""
    if source.state != DRAFT:
        raise UsageError(f"The source {source.id} is {source.state} already", fix="there is nothing to finish")
    if not choices.selected(source.streams):
        raise UsageError(f"The source {source.id} reads no stream", fix="choose at least one")
    failed = next((one for one in source.checks if one["state"] == "failed"), None)
    if failed is not None:
        raise UsageError(
            f"The source {source.id} cannot begin", why=f"{failed['name']}: {failed['says']}", fix=failed["cure"]
        )
    _turn(session, actor, source, ACTIVE, "activated")


def pause(session: Session, actor: Actor, source: Source) -> None:
    """No more runs by schedule or event. Raises UsageError where the source is not active."""
    if source.state != ACTIVE:
        raise UsageError(f"The source {source.id} cannot be paused", why=f"it is {source.state}", fix="see its state")
    _turn(session, actor, source, PAUSED, "paused")


def resume(session: Session, actor: Actor, source: Source) -> None:
    """Go on after a pause, or after too many failures. Raises UsageError where it goes on already, or is a draft."""
    if source.state not in {PAUSED, STOPPED}:
        fix = "finish it first: b24lake source activate" if source.state == DRAFT else "there is nothing to resume"
        raise UsageError(f"The source {source.id} cannot be resumed", why=f"it is {source.state}", fix=fix)
    source.failures = 0
    _turn(session, actor, source, ACTIVE, "resumed")


def _turn(session: Session, actor: Actor, source: Source, state: str, action: str) -> None:
    before, source.state, source.updated_at = source.state, state, actor.at
    for trigger in session.scalars(select(Trigger).where(Trigger.source_id == source.id)):
        trigger.next_at = None  # what was due meanwhile is over: the scheduler looks for the next time
    actor.did(session, action, f"source {source.id}", {"from": before, "to": state})


# --- copies and ends --------------------------------------------------------------------------------------------------


def duplicate(session: Session, here: Installation, actor: Actor, source: Source, name: str = "") -> Source:
    """A draft with the same webhook, settings, streams and triggers, and with tables of its own."""
    take_turns(session)
    taken = set(session.scalars(select(Source.id)))
    title = read("name", name or f"{source.name} copy")
    slug = free_slug(title, taken)
    columns = {key: getattr(source, key) for key in _COPIED}
    copy = Source(**columns, id=slug, name=title, state=DRAFT, created_at=actor.at, updated_at=actor.at, streams=[])
    copy.prefix = f"{slug.replace('-', '_')}_"
    for one in source.streams:
        kept = {key: getattr(one, key) for key in ("stream", "selected", "sync_type", "replication_key")}
        short = one.table_name.removeprefix(source.prefix)
        table = f"{copy.prefix}{short}"
        copy.streams.append(SourceStream(**kept, table_name=table, excluded=one.excluded, hashed=one.hashed))
    session.add(copy)
    session.flush()
    _settle(session, copy, {}, here)
    for trigger in session.scalars(select(Trigger).where(Trigger.source_id == source.id)).all():
        key = trigger.id.removeprefix(f"{source.id}.")
        kept = {key: getattr(trigger, key) for key in ("kind", "name", "spec", "full", "enabled")}
        session.add(Trigger(**kept, id=f"{slug}.{key}", source_id=slug, created_at=actor.at))
    actor.did(session, "created", f"source {slug}", {"copy_of": source.id})
    return copy


_COPIED = (
    *(key for key, one in FIELDS.items() if not one.option and key not in {"name", "prefix"}),
    *("options", "webhook", "webhook_shown", "portal", "portal_address", "setup"),
)


def delete(session: Session, here: Installation, actor: Actor, source: Source, *, tables: str) -> list[Place]:
    """Forget a source with its triggers and the record of its runs.

    tables   "keep" or "remove"; in the second case the tables that are returned are to be removed after the
             transaction, by `claims.remove`

    Raises UsageError while a run is at work, and where triggers of other sources wait for this one.
    """
    take_turns(session)
    if tables not in {"keep", "remove"}:
        raise UsageError(f"It is not said what becomes of the tables of {source.id}", fix="say keep or remove")
    relocation.refuse_at_work(session, source, f"The source {source.id} cannot be deleted now")
    for trigger in session.scalars(select(Trigger).where(Trigger.kind == "event")):
        if source.id in trigger.spec["sources"] and trigger.source_id != source.id:
            raise UsageError(
                f"The source {source.id} cannot be deleted",
                why=f"the trigger {trigger.id} waits for it",
                fix="change or delete that trigger first",
            )
    owned = claims.owned_tables(source, here) if tables == "remove" else []
    session.delete(source)
    actor.did(session, "deleted", f"source {source.id}", {"tables": tables})
    return owned

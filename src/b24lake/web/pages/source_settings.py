"""The settings of a source: shown with hints, changed by several people without losing anything, and its webhook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter, Response

from b24lake.control import audit, relocation, sources
from b24lake.control.models import Source
from b24lake.control.source_settings import DESCRIPTION, FIELDS, read, value_of, webhook_of
from b24lake.errors import B24LakeError, UsageError
from b24lake.portal.limits import PLANS
from b24lake.portal.webhook import parse
from b24lake.sync.options import POLICIES
from b24lake.web import targets
from b24lake.web.asking import Asked, Asking, Form, Sent, may, seen_after
from b24lake.web.pages.one_source import changing, existing, frame

router = APIRouter(prefix="/sources/{source_id}/settings", include_in_schema=False)
SWITCHES = ("deal_contacts", "deal_comments", "deal_products", "accept_deletions")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "deleted": tuple(POLICIES),
    "portal_plan": tuple(PLANS),
    "reader": ("classic", "universal"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting in the form.

    value   as it is typed, or "true" and "false" of a box
    theirs  what somebody else made of it meanwhile; None = nobody did
    """

    name: str
    label: str
    hint: str
    value: str
    error: UsageError | None = None
    theirs: str | None = None

    @property
    def choices(self) -> tuple[str, ...]:
        """What it may be, where there are only a few."""
        return CHOICES.get(self.name, ())

    @property
    def switch(self) -> bool:
        """Whether it is on or off."""
        return self.name in SWITCHES


def groups(asked: Asking) -> list[tuple[str, dict[str, tuple[str, str]]]]:
    """The settings by group, each with its label and its hint, in the viewer's language."""
    _ = asked.say
    return [
        (
            _("About the source"),
            {
                "name": (_("Name"), ""),
                "description": (_("Description"), _("At most 140 characters.")),
            },
        ),
        (
            _("What is read"),
            {
                "deal_contacts": (_("Extract deal contacts"), _("Needed only if deals have several clients.")),
                "deal_comments": (_("Enable deal comments stream"), _("One more call per deal: runs take longer.")),
                "deal_products": (_("Enable deal products stream"), _("One more call per deal: runs take longer.")),
                "deal_categories": (
                    _("Filter deal category IDs"),
                    _("IDs of funnels with commas between them; empty = all deals."),
                ),
                "overlap_seconds": (
                    _("Overlap"),
                    _("How far an incremental read goes back before the start of the previous one, as 5m."),
                ),
                "calls_look_back_seconds": (
                    _("Look-back of phone calls"),
                    _("Calls change later, so they are read again from this long ago, as 2d."),
                ),
                "reader": (_("Reader"), _("Which methods of Bitrix24 read deals, leads, contacts and companies.")),
            },
        ),
        (
            _("Deleted rows"),
            {
                "deleted": (
                    _("At a full sync, rows that are gone in Bitrix24"),
                    _("Concerns incremental streams; a full table always shows the current state."),
                ),
                "accept_deletions": (
                    _("Allow large deletions"),
                    _("Without it, a full read that would lose more than half of a table stops."),
                ),
            },
        ),
        (
            _("Tables"),
            {
                "layer": (_("Layer"), _("Tables that are there stay where they are.")),
                "folder": (_("Folder"), _("Groups the tables in the catalog.")),
                "prefix": (_("Prefix of table names"), _("Tables that are there keep their names.")),
                "lake": (_("Folder of the lake"), _("Empty = the lake of this installation.")),
                "log_days": (
                    _("Delta Log Retention (days)"),
                    _("For how long old states of the tables can be looked at."),
                ),
                "file_days": (
                    _("Deleted files, days longer"),
                    _("Files of old states are kept this much longer, so that each can really be read."),
                ),
            },
        ),
        (
            _("Runs"),
            {
                "threshold": (
                    _("Operating time threshold"),
                    _("Seconds. When Bitrix24 reports more for a method, that method rests. 0 = off."),
                ),
                "concurrency": (_("Requests at once"), _("1 to 32.")),
                "portal_plan": (_("Tariff of the portal"), _("It sets how many requests are allowed.")),
                "retries": (_("Retries"), _("How many times a failed run is retried.")),
                "retry_delay_seconds": (_("Delay before a retry"), _("As 5m.")),
                "max_failures": (
                    _("Stop after this many failed runs in a row"),
                    _("A stopped source takes no more runs until somebody presses Resume."),
                ),
                "late_after_seconds": (
                    _("Late after"),
                    _("How long after its time a run may succeed before the source is late, as 1h; none = 30 minutes."),
                ),
            },
        ),
    ]


def choice_title(asked: Asking, value: str) -> str:
    """A choice in words."""
    _ = asked.say
    return {
        "remove": _("Remove them"),
        "mark": _("Keep them, and mark them in _deleted_at"),
        "keep": _("Keep them"),
        "standard": _("Standard"),
        "enterprise": _("Enterprise"),
        "classic": _("Classic methods"),
        "universal": _("Universal methods (crm.item)"),
    }.get(value, value)


def written(source: Source) -> dict[str, str]:
    """All settings as they are typed."""
    return {name: _written(name, value_of(source, name)) for name in FIELDS}


def _written(name: str, value: Any) -> str:
    return FIELDS[name].in_words(value) if value is not None or name == "late_after_seconds" else ""


# --- pages ------------------------------------------------------------------------------------------------------------


@router.get("")
def settings(source_id: str, asked: Asked) -> Response:
    """All settings of the source."""
    return _page(asked, source_id)


@router.post("", dependencies=[may("editor")])
def save(source_id: str, asked: Asked, form: Sent) -> Response:
    """Save what was changed here. Where somebody else changed the source meanwhile, both see it before it is saved."""
    before, sent = _before(form), _sent(form)
    mine = {name: value for name, value in sent.items() if value != before.get(name)}
    wrong = _wrong(mine)
    said: list[str] = []
    try:
        with relocation.moves(asked.site.here.home) as mover, changing(asked, source_id) as (session, source):
            move = mover if form.on("move_tables") else None
            now = written(source)
            others = source.updated_at.isoformat() != form.text("seen")
            theirs = {name: now[name] for name in before if name in now and now[name] != before[name]} if others else {}
            ours = {name: value for name, value in mine.items() if value != now[name]}
            if not wrong and not theirs and ours:
                said = sources.edit(session, asked.site.here, asked.actor, source, ours, move=move)
    except UsageError as error:
        return _page(asked, source_id, typed=sent, error=error, moving=form.on("move_tables"))
    if wrong or theirs:
        return _page(
            asked,
            source_id,
            typed={**sent, **{n: v for n, v in theirs.items() if n not in mine}},
            wrong=wrong,
            theirs=theirs,
            moving=form.on("move_tables"),
        )
    asked.site.index.changed()  # tables may have been moved
    done = asked.say("The settings are saved.") if ours else asked.say("Nothing was changed.")
    return seen_after(asked, f"/sources/{source_id}/settings", done, *map(asked.told, said))


def _sent(form: Form) -> dict[str, str]:
    """What the form holds, as it is typed; a box that is not ticked sends nothing."""
    values = {name: form.text(name) for name in FIELDS if name in form.data}
    return {**values, **{name: str(form.on(name)).lower() for name in SWITCHES if name in FIELDS}}


def _before(form: Form) -> dict[str, str]:
    """The settings as the form was given them; what is not sent counts as it is."""
    try:
        held = orjson.loads(form.text("before"))
    except orjson.JSONDecodeError:
        held = None
    if not isinstance(held, dict):
        raise UsageError("This form is not whole", fix="load the page again and repeat the change")
    return {name: value for name, value in held.items() if isinstance(value, str)}


def _wrong(values: Mapping[str, str]) -> dict[str, UsageError]:
    found = {}
    for name, value in values.items():
        try:
            read(name, value)
        except UsageError as error:
            found[name] = error
    return found


def _page(
    asked: Asking,
    source_id: str,
    *,
    typed: Mapping[str, str] | None = None,
    wrong: Mapping[str, UsageError] | None = None,
    theirs: Mapping[str, str] | None = None,
    error: B24LakeError | None = None,
    webhook_error: B24LakeError | None = None,
    moving: bool = False,
) -> Response:
    told = frame(asked, source_id, "settings")
    source: Source = told["source"]
    now = written(source)
    values = {**now, **(typed or {})}
    shown = [
        (
            title,
            [
                Shown(name, label, hint, values[name], (wrong or {}).get(name), (theirs or {}).get(name))
                for name, (label, hint) in fields.items()
                if name in FIELDS
            ],
        )
        for title, fields in groups(asked)
    ]
    return asked.page(
        "source/settings.html",
        status=409 if theirs else 400 if wrong or error or webhook_error else 200,
        **told,
        groups=shown,
        before=orjson.dumps(now).decode(),
        theirs=theirs,
        who=_who(asked, source_id) if theirs else "",
        error=error,
        webhook_error=webhook_error,
        moving=moving,
        longest=DESCRIPTION,
        choice_title=lambda value: choice_title(asked, value),
    )


def _who(asked: Asking, source_id: str) -> str:
    """Who changed the source last."""
    entries = audit.entries(asked.site.database, f"source {source_id}", limit=1)
    return entries[0].who if entries else ""


# --- webhook and checks -----------------------------------------------------------------------------------------------


@router.post("/webhook", dependencies=[may("editor")])
def change_webhook(source_id: str, asked: Asked, form: Sent) -> Response:
    """Another webhook of the same portal. Neither the old one nor the new one is ever shown."""
    site = asked.site
    try:
        webhook = parse(form.text("webhook"), allow_http=site.private)
        targets.refuse_private(webhook, private=site.private, own=site.own)
        with changing(asked, source_id) as (session, source):
            sources.change_webhook(session, site.keyring, site.here, asked.actor, source, webhook)
    except UsageError as error:
        return _page(asked, source_id, webhook_error=error)
    return seen_after(asked, f"/sources/{source_id}/settings", asked.say("The source has a new webhook."))


@router.post("/check", dependencies=[may("editor")])
def check(source_id: str, asked: Asked, form: Sent) -> Response:  # noqa: ARG001  Sent checks the form's token
    """Ask the portal, and look at the lake and the tables."""
    source, site = existing(asked, source_id), asked.site
    targets.refuse_private(webhook_of(source, site.keyring), private=site.private, own=site.own)
    checked = sources.check(source, site.keyring, site.here, site.clock())
    with changing(asked, source_id) as (session, mine):
        sources.keep_checks(session, mine, checked, site.clock())
    if asked.fragment:
        return asked.page("source/checks.html", source=mine)
    return seen_after(asked, f"/sources/{source_id}/settings#checks")

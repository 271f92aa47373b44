"""The settings of a table: for how long it keeps old states, with what that means, and what people say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from fastapi import APIRouter, Response

from b24lake.control import audit, tables
from b24lake.errors import B24LakeError, ConflictError, HeldError, UsageError
from b24lake.lake import layers, retention
from b24lake.lake.columns import label, own_comment, type_name
from b24lake.lake.describing import LONGEST
from b24lake.lake.retention import Kept
from b24lake.lake.table import owner_of, schema_of
from b24lake.lake.versions import spans
from b24lake.web.asking import Asked, Asking, Form, Sent, may, seen_after
from b24lake.web.failing import status_of
from b24lake.web.pages.one_table import frame
from b24lake.web.pages.table_then import Table, table_of

router = APIRouter(prefix="/catalog/{layer}/{name}/settings", include_in_schema=False)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody typed into one of the forms, and why it was not saved.

    form    retention, description or columns
    """

    form: str
    error: B24LakeError
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Column:
    """A column in the form: what the source calls it, and what a person wrote of it; `typed` is not saved yet."""

    name: str
    type: str
    label: str
    own: str
    typed: str

    @property
    def theirs(self) -> bool:
        """Whether what is saved is not what is typed."""
        return self.typed != self.own


@router.get("")
def settings(layer: str, name: str, asked: Asked) -> Response:
    """All settings of the table; with `log` and `files`, as a part of the page: what such a retention would mean."""
    given = asked.request.query_params
    if asked.fragment:
        return _effect(asked, table_of(asked, layer, name), given.get("log", ""), given.get("files", ""))
    return _page(asked, layer, name)


@router.post("/retention", dependencies=[may("editor")])
def keep(layer: str, name: str, asked: Asked, form: Sent) -> Response:
    """Set for how long old states are kept. What cannot be read afterwards is said first, and has to be agreed to."""
    values = {each: form.text(each) for each in ("log", "files")}
    seen = _seen(form, "log", "files")
    site, table = asked.site, table_of(asked, layer, name)
    try:
        wanted = _kept(values["log"], values["files"])
        retention.changed(wanted, wanted.log, wanted.files)
        effect = retention.effect(table.path, table.delta, asked.viewer.now, wanted)
        if effect.versions and form.text("agreed") != spans(effect.versions):
            told = {**frame(asked, layer, name, "settings"), "values": values, "seen": form.text("seen")}
            return asked.page("catalog/retention.html", **told, effect=effect, which=spans(effect.versions))
        before = _kept(seen["log"], seen["files"])
        changed = tables.keep(site.database, site.here, asked.actor, table.name, wanted, seen=before)
    except B24LakeError as error:
        return _page(asked, layer, name, Typed("retention", error, values))
    return _done(asked, layer, name, changed=changed)


@router.post("/description", dependencies=[may("editor")])
def describe(layer: str, name: str, asked: Asked, form: Sent) -> Response:
    """Write the table's description."""
    site, text, seen = asked.site, _line(form.text("description")), _seen(form, "description")
    try:
        changed = tables.describe(
            site.database, site.here, asked.actor, f"{layer}.{name}", text, seen=seen["description"]
        )
    except B24LakeError as error:
        return _page(asked, layer, name, Typed("description", error, {"description": text}))
    return _done(asked, layer, name, changed=changed)


@router.post("/columns", dependencies=[may("editor")])
def describe_columns(layer: str, name: str, asked: Asked, form: Sent) -> Response:
    """Write comments of columns; what was not changed here is left as it is."""
    site, before = asked.site, _seen(form)
    typed = {column: _line(text) for column, text in form.under("column.").items()}
    mine = {column: text for column, text in typed.items() if text != before.get(column, "")}
    try:
        changed = tables.describe_columns(site.database, site.here, asked.actor, f"{layer}.{name}", mine, seen=before)
    except B24LakeError as error:
        return _page(asked, layer, name, Typed("columns", error, mine))
    return _done(asked, layer, name, changed=bool(changed))


def _done(asked: Asking, layer: str, name: str, *, changed: bool) -> Response:
    asked.site.index.changed()
    said = asked.say("The settings are saved.") if changed else asked.say("Nothing was changed.")
    return seen_after(asked, f"/catalog/{layer}/{name}/settings", said)


def _line(text: str) -> str:
    """A text in one line, as browsers may send it in several."""
    return " ".join(text.split())


def _seen(form: Form, *names: str) -> dict[str, str]:
    """What the form was given, these at least: what is no longer so has been changed by somebody else."""
    try:
        held = orjson.loads(form.text("seen"))
    except orjson.JSONDecodeError:
        held = None
    if not isinstance(held, dict) or not all(isinstance(held.get(each), str) for each in {*held, *names}):
        raise UsageError("This form is not whole", fix="load the page again and repeat the change")
    return held


def _kept(log: str, files: str) -> Kept:
    """The days that were typed. Raises UsageError where one is not a whole number."""
    if not all(each.isascii() and each.isdigit() and len(each) < 6 for each in (log, files)):
        raise UsageError(
            "This is not a number of days", why="it is a whole number from 1 to 3660", fix="write a number such as 30"
        )
    return Kept(int(log) * DAY, int(files) * DAY)


def _effect(asked: Asking, table: Table, log: str, files: str) -> Response:
    """What a retention would mean, while it is typed."""
    try:
        wanted = _kept(log, files)
        retention.changed(wanted, wanted.log, wanted.files)
    except UsageError as error:
        return asked.page("catalog/retention_effect.html", error=error, kept=None)
    effect = retention.effect(table.path, table.delta, asked.viewer.now, wanted)
    return asked.page("catalog/retention_effect.html", **_told(asked, wanted), effect=effect, error=None)


def _told(asked: Asking, kept: Kept) -> dict[str, Any]:
    now = asked.viewer.now
    return {"kept": kept, "reaches": now - kept.log, "gone": now + kept.log, "short": kept.files < kept.log}


def _page(asked: Asking, layer: str, name: str, typed: Typed | None = None) -> Response:
    table = table_of(asked, layer, name)
    kept = retention.kept(table.delta)
    days = {"log": f"{kept.log // DAY}", "files": f"{kept.files // DAY}"}
    now = {"description": table.delta.metadata().description or ""}
    own = {each.name: own_comment(each) for each in schema_of(table.delta)}
    values = typed.values if typed else {}
    columns = [
        Column(each.name, type_name(each.type), label(each), own[each.name], values.get(each.name, own[each.name]))
        for each in schema_of(table.delta)
    ]
    conflict = typed is not None and isinstance(typed.error, ConflictError)
    return asked.page(
        "catalog/settings.html",
        status=status_of(typed.error) if typed else 200,
        **frame(asked, layer, name, "settings"),
        **_told(asked, kept),
        ours=owner_of(table.delta) is not None,
        effect=retention.effect(table.path, table.delta, asked.viewer.now),
        days=days,
        now=now,
        typed={**days, **now, **({} if typed and typed.form == "columns" else values)},
        columns=columns,
        seen={"retention": _json(days), "description": _json(now), "columns": _json(own)},
        failed=typed.form if typed else "",
        error=typed.error if typed else None,
        conflict=conflict,
        held=typed is not None and isinstance(typed.error, HeldError),
        who=_who(asked, table.name) if conflict else "",
        longest={"description": layers.LONGEST, "column": LONGEST},
    )


def _json(values: Mapping[str, str]) -> str:
    return orjson.dumps(values).decode()


def _who(asked: Asking, name: str) -> str:
    """Who changed the table last."""
    entries = audit.entries(asked.site.database, f"table {name}", limit=1)
    return entries[0].who if entries else ""

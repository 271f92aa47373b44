"""The triggers of a source: listed, added, changed, switched off and on, deleted."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response
from sqlalchemy.orm import Session

from b24lake.control import triggers
from b24lake.control.models import Trigger
from b24lake.errors import UsageError
from b24lake.web.asking import Asked, Asking, Sent, may, seen_after
from b24lake.web.pages.one_source import changing, frame
from b24lake.web.pages.triggers import Typed, editor, says, source_names, spec_of, typed, typed_of

router = APIRouter(prefix="/sources/{source_id}/triggers", include_in_schema=False)


@router.get("")
def listed(source_id: str, asked: Asked) -> Response:
    """The triggers of the source, each with its next runs."""
    told = frame(asked, source_id, "triggers")
    names = source_names(asked.site.database)
    lines = [
        (one, says(one.spec, asked, names), triggers.following(one, asked.viewer.now, 5)) for one in told["of"].triggers
    ]
    return asked.page("source/triggers.html", **told, lines=lines)


@router.get("/new", dependencies=[may("editor")])
def new(source_id: str, asked: Asked) -> Response:
    """The form for one more trigger."""
    return _form(asked, source_id)


@router.post("/new", dependencies=[may("editor")])
def add(source_id: str, asked: Asked, form: Sent) -> Response:
    """One more trigger."""
    sent = typed(form.data)
    try:
        with changing(asked, source_id) as (session, source):
            triggers.add(session, asked.actor, source, spec_of(sent) or {}, name=sent.name, full=sent.full)
    except UsageError as error:
        return _form(asked, source_id, sent=sent, error=error)
    return seen_after(asked, f"/sources/{source_id}/triggers", asked.say("The trigger is added."))


@router.get("/{trigger_id}", dependencies=[may("editor")])
def edit(source_id: str, trigger_id: str, asked: Asked) -> Response:
    """The form for a trigger that is there."""
    with asked.site.database.reading() as session:
        return _form(asked, source_id, trigger=_own(session, source_id, trigger_id))


@router.post("/{trigger_id}", dependencies=[may("editor")])
def change(source_id: str, trigger_id: str, asked: Asked, form: Sent) -> Response:
    """Change a trigger."""
    sent = typed(form.data)
    try:
        with changing(asked, source_id) as (session, _):
            trigger = _own(session, source_id, trigger_id)
            triggers.change(session, asked.actor, trigger, spec=spec_of(sent) or {}, name=sent.name, full=sent.full)
    except UsageError as error:
        with asked.site.database.reading() as session:
            return _form(asked, source_id, trigger=_own(session, source_id, trigger_id), sent=sent, error=error)
    return seen_after(asked, f"/sources/{source_id}/triggers", asked.say("The trigger is changed."))


@router.post("/{trigger_id}/switch", dependencies=[may("editor")])
def switch(source_id: str, trigger_id: str, asked: Asked, form: Sent) -> Response:
    """Switch a trigger on or off."""
    with changing(asked, source_id) as (session, _):
        triggers.change(session, asked.actor, _own(session, source_id, trigger_id), enabled=form.on("enabled"))
    return seen_after(asked, f"/sources/{source_id}/triggers")


@router.post("/{trigger_id}/delete", dependencies=[may("editor")])
def delete(source_id: str, trigger_id: str, asked: Asked, form: Sent) -> Response:  # noqa: ARG001  Sent checks the token
    """Delete a trigger."""
    with changing(asked, source_id) as (session, _):
        triggers.delete(session, asked.actor, _own(session, source_id, trigger_id))
    return seen_after(asked, f"/sources/{source_id}/triggers", asked.say("The trigger is deleted."))


def _own(session: Session, source_id: str, trigger_id: str) -> Trigger:
    trigger = session.get(Trigger, trigger_id)
    if trigger is None or trigger.source_id != source_id:
        raise HTTPException(404)
    return trigger


def _form(
    asked: Asking,
    source_id: str,
    *,
    trigger: Trigger | None = None,
    sent: Typed | None = None,
    error: UsageError | None = None,
) -> Response:
    told = frame(asked, source_id, "triggers")
    if sent is None and trigger is not None:
        sent = typed_of(trigger.spec, zone=str(asked.viewer.zone), full=trigger.full, name=trigger.name)
    form = editor(asked, sent, source_id=source_id)
    status = 400 if error else 200
    return asked.page("source/trigger.html", status=status, **told, form=form, trigger=trigger, error=error)

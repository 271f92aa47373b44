"""The wizard's fourth step: the name of the source, when it runs, how long old states are kept, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from babel.dates import format_date
from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from b24lake.control import setup, sources
from b24lake.control import triggers as service
from b24lake.control.models import Source, Trigger
from b24lake.control.setup import SOURCE
from b24lake.control.source_settings import DESCRIPTION, options_of, value_of
from b24lake.control.sources import DRAFT
from b24lake.errors import UsageError
from b24lake.sync import planning
from b24lake.sync.planning import PLANNED, RunPlan
from b24lake.web.asking import Asked, Asking, Form, Sent, may
from b24lake.web.jobs import DONE, Job
from b24lake.web.pages import triggers
from b24lake.web.pages import wizard_frame as frame
from b24lake.web.pages.triggers import Typed
from b24lake.web.pages.wizard_frame import Errors

router = APIRouter(prefix="/sources/{source_id}/setup/source", include_in_schema=False, dependencies=[may("editor")])
SETTINGS = ("name", "description", "log_days", "file_days")
RUN, FULL = "run_", "full_"
"""What the fields of the two editors of triggers begin with."""
WEEKLY = Typed(weekdays=("sun",), times=("03:00",), full=True)
BY_DEAL = frozenset({"deal_comments", "deal_products"})


@dataclass(frozen=True, slots=True)
class Typing:
    """What the form holds: settings, the trigger, and the additional full sync, if there is to be one."""

    settings: Mapping[str, str]
    run: Typed
    full: Typed
    with_full: bool


@router.get("")
def source(asked: Asked, source_id: str) -> Response:
    """The step as it is kept, or with what is suggested."""
    found = frame.look(asked, source_id)
    return frame.detour(found, SOURCE) or _shown(asked, found, _stored(asked, found))


@router.post("")
def save(asked: Asked, source_id: str, form: Sent) -> Response:
    """Save it; where only this step was missing, the source is active from now on."""
    typed = _typed(form)
    settings, errors = frame.settings_of(typed.settings)
    errors |= _trigger_errors(asked, source_id, typed)
    if not errors:
        try:
            with asked.site.database.writing() as session:
                found = frame.get(session, asked, source_id, lock=True)
                frame.refuse_stale(asked, found, form)
                said = sources.edit(session, asked.site.here, asked.actor, found, settings)
                _put_triggers(session, asked, found, typed)
                if frame.goes_forward(SOURCE, form):
                    setup.mark(found, SOURCE)
                    if found.state == DRAFT:
                        sources.activate(session, asked.actor, found)
        except UsageError as error:
            errors[""] = error
    if errors:
        return _shown(asked, frame.look(asked, source_id), typed, errors)
    return frame.onward(asked, found, SOURCE, form, said)


@router.get("/retention")
def retention(asked: Asked, source_id: str, log_days: str = "", file_days: str = "") -> Response:
    """What a retention means, in words."""
    frame.look(asked, source_id)
    settings, errors = frame.settings_of({"log_days": log_days, "file_days": file_days})
    return asked.page("wizard/retention.html", kept=None if errors else _kept(asked, settings))


@router.get("/estimate")
def estimate(asked: Asked, source_id: str) -> Response:
    """What the first run will take, as soon as that is known."""
    found = frame.look(asked, source_id)
    return asked.page("wizard/estimate.html", source=found, **_estimate(asked, found))


# --- the form ---------------------------------------------------------------------------------------------------------


def _typed(form: Form) -> Typing:
    settings = {name: form.text(name) for name in SETTINGS}
    return Typing(settings, triggers.typed(form.data, RUN), triggers.typed(form.data, FULL), form.on("with_full"))


def _stored(asked: Asking, source: Source) -> Typing:
    settings = {name: str(value_of(source, name)) for name in SETTINGS}
    with asked.site.database.reading() as session:
        run, full = _own(service.listed(session, source.id))
    zone = str(asked.viewer.zone)
    fresh = not setup.is_done(source, SOURCE)
    usual = Typed(zone=zone) if fresh else triggers.typed_of(None, zone=zone)
    by_deal = any(one.selected and one.stream in BY_DEAL for one in source.streams)
    weekly = Typed(weekdays=WEEKLY.weekdays, times=WEEKLY.times, zone=zone, full=True)
    return Typing(
        settings,
        triggers.typed_of(run.spec, zone=zone, name=run.name) if run is not None else usual,
        triggers.typed_of(full.spec, zone=zone, full=True, name=full.name) if full is not None else weekly,
        full is not None or (fresh and by_deal),
    )


def _own(listed: list[Trigger]) -> tuple[Trigger | None, Trigger | None]:
    """The trigger that this step shows, and that of the additional full sync; others are for the source's page."""
    run = next((one for one in listed if not one.full), None)
    full = next((one for one in listed if one.full and one.kind == service.SCHEDULE), None)
    return run, full


def _trigger_errors(asked: Asking, source_id: str, typed: Typing) -> Errors:
    errors, wanted = Errors(), {RUN: typed.run, **({FULL: typed.full} if typed.with_full else {})}
    with asked.site.database.reading() as session:
        for prefix, one in wanted.items():
            spec = triggers.spec_of(one)
            try:
                if spec is not None:
                    service.checked(session, source_id, spec)
            except UsageError as error:
                errors[prefix] = error
    return errors


def _put_triggers(session: Session, asked: Asking, source: Source, typed: Typing) -> None:
    run, full = _own(service.listed(session, source.id))
    _put(session, asked, source, run, triggers.spec_of(typed.run), full=False)
    _put(session, asked, source, full, triggers.spec_of(typed.full) if typed.with_full else None, full=True)


def _put(
    session: Session, asked: Asking, source: Source, known: Trigger | None, spec: dict[str, Any] | None, *, full: bool
) -> None:
    """Bring one trigger to what was typed: added, changed, deleted, or left as it is."""
    if known is not None and spec is None:
        service.delete(session, asked.actor, known)
    elif known is None and spec is not None:
        service.add(session, asked.actor, source, spec, full=full)
    elif known is not None and spec is not None and service.checked(session, source.id, spec) != known.spec:
        service.change(session, asked.actor, known, spec=spec)


# --- what is shown ----------------------------------------------------------------------------------------------------


def _shown(asked: Asking, source: Source, typed: Typing, errors: Errors | None = None) -> Response:
    with asked.site.database.reading() as session:
        count = len(service.listed(session, source.id))
        shown = sum(one is not None for one in _own(service.listed(session, source.id)))
    kept, wrong = frame.settings_of({name: typed.settings[name] for name in ("log_days", "file_days")})
    return frame.show(
        asked,
        source,
        SOURCE,
        errors=errors,
        values=typed.settings,
        most=DESCRIPTION,
        run=triggers.editor(asked, typed.run, source_id=source.id),
        full=triggers.editor(asked, typed.full, source_id=source.id),
        with_full=typed.with_full,
        others=count - shown,
        incremental=any(one.selected and one.sync_type == "INCREMENTAL" for one in source.streams),
        kept=None if wrong else _kept(asked, kept),
        **_estimate(asked, source),
    )


def _kept(asked: Asking, days: Mapping[str, int]) -> dict[str, Any]:
    """Dates that say what a retention means, counted from today."""
    today = asked.viewer.now.astimezone(asked.viewer.zone)

    def day(offset: int) -> str:
        moment: datetime = today + timedelta(days=offset)
        return format_date(moment, "long", locale=asked.viewer.language.code)

    log, beyond = days["log_days"], days["file_days"]
    return {"days": log, "reaches": day(-log), "gone": day(log), "files": day(log + beyond), "beyond": beyond}


def _estimate(asked: Asking, source: Source) -> dict[str, Any]:
    job = _plan(asked, source)
    planned: RunPlan | None = job.result if job.state == DONE else None
    if planned is None:
        return {"plan_job": job, "plan": None, "longest": [], "rows": 0, "ends": None}
    streams = sorted(planned.streams, key=lambda one: -one.expected.seconds)
    return {
        "plan_job": job,
        "plan": planned,
        "longest": streams,
        "rows": sum(one.expected.rows for one in streams if one.status == PLANNED),
        "ends": asked.viewer.now + timedelta(seconds=planned.seconds),
    }


def _plan(asked: Asking, source: Source) -> Job:
    """What the source's next run would take, found in the background."""
    site = asked.site
    options = options_of(source, site.here.lake)

    def work() -> RunPlan:
        return planning.plan(frame.guarded(site, source), options, site.here.home)

    return site.jobs.start(f"plan:{source.id}:{frame.digest(source.webhook, options)}", work, asked.viewer.now)

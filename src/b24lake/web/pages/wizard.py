"""The wizard's way in: the list of connectors, and the first step, access to an account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from b24lake.control import claims, setup, sources
from b24lake.control.models import Source
from b24lake.control.setup import ACCESS
from b24lake.control.source_settings import FIELDS, value_of, webhook_of
from b24lake.control.sources import DRAFT, Wanted
from b24lake.errors import B24LakeError, UsageError
from b24lake.portal.probe import Check
from b24lake.portal.webhook import Webhook, parse
from b24lake.streams.scopes import SCOPES
from b24lake.sync import checking
from b24lake.sync.checking import Checked
from b24lake.web import targets
from b24lake.web.asking import Asked, Asking, Form, Sent, may, seen_after
from b24lake.web.jobs import DONE, FAILED, Job
from b24lake.web.pages import wizard_frame as frame
from b24lake.web.pages.wizard_frame import Errors

router = APIRouter(prefix="/sources", include_in_schema=False, dependencies=[may("editor")])
SWITCHES = ("deal_contacts", "deal_comments", "deal_products")
TEXTS = ("threshold", "deal_categories")


@dataclass(frozen=True, slots=True)
class Connector:
    """A kind of source that can be added; `words` find it as well."""

    name: str
    title: str
    about: str
    words: str = ""


@router.get("/new")
def connectors(asked: Asked) -> Response:
    """The list of connectors."""
    about = asked.say("Deals, leads, contacts, companies, activities, smart processes, telephony and more")
    listed = [Connector("bitrix24", "Bitrix24 CRM", about, words="bitrix crm битрикс24")]
    return asked.page("wizard/connectors.html", section="sources", connectors=listed)


@router.get("/new/bitrix24")
def new(asked: Asked) -> Response:
    """The first step of a source that is not there yet."""
    return _shown(asked, None, {name: FIELDS[name].in_words(FIELDS[name].default) for name in (*SWITCHES, *TEXTS)})


@router.post("/new/bitrix24")
def create(asked: Asked, form: Sent) -> Response:
    """Make a draft of what was typed, and go on."""
    typed = _typed(form)
    settings, errors = frame.settings_of(typed)
    webhook = _webhook(asked, form, errors)
    if errors or webhook is None:
        return _shown(asked, None, typed, errors)
    site = asked.site
    with site.database.writing() as session:
        name = setup.suggested_name(session, webhook.address)
        wanted = Wanted(name, webhook, settings=settings)
        source = sources.create(session, site.keyring, site.here, asked.actor, wanted)
        source.prefix = claims.free_prefix(session, source, site.here)
        told = _judge(asked, session, source, webhook, again=True)
    return _go_on(asked, source, told, form)


@router.get("/{source_id}/setup")
def resume(asked: Asked, source_id: str) -> Response:
    """The first step that is not done."""
    source = frame.look(asked, source_id)
    return RedirectResponse(frame.path(source.id, setup.first_open(source)), status_code=303)


@router.get("/{source_id}/setup/access")
def access(asked: Asked, source_id: str, then: str = "") -> Response:
    """The first step of a source that is there."""
    source = frame.look(asked, source_id)
    try:
        job = _ask(asked, webhook_of(source, asked.site.keyring), _plan(source))
    except UsageError as error:  # it has none, or another key sealed it
        return _shown(asked, source, _stored(source), {"webhook": error})
    if _note(asked, source, job) == "ok" and then:
        return RedirectResponse(frame.path(source.id, setup.following(ACCESS)), status_code=303)
    return _shown(asked, frame.look(asked, source_id), _stored(source), job=job, then=then)


@router.post("/{source_id}/setup/access")
def change(asked: Asked, source_id: str, form: Sent) -> Response:
    """Save the first step."""
    site, typed = asked.site, _typed(form)
    settings, errors = frame.settings_of(typed)
    given = form.text("webhook") != ""
    webhook = _webhook(asked, form, errors) if given else None
    source = frame.look(asked, source_id)
    if not given and source.webhook is None:
        _webhook(asked, form, errors)
    if errors:
        return _shown(asked, source, typed, errors)
    wrong = ""  # the field that an error is about
    try:
        with site.database.writing() as session:
            source = frame.get(session, asked, source_id, lock=True)
            frame.refuse_stale(asked, source, form)
            if webhook is not None:
                wrong = "webhook"
                sources.change_webhook(session, site.keyring, site.here, asked.actor, source, webhook)
                setup.mark(source, ACCESS, done=False)
                wrong = ""
            said = sources.edit(session, site.here, asked.actor, source, settings)
            told = _judge(asked, session, source, webhook or webhook_of(source, site.keyring), again=True)
    except UsageError as error:
        return _shown(asked, frame.look(asked, source_id), typed, {wrong: error})
    return _go_on(asked, source, told, form, said)


# --- asking the portal ------------------------------------------------------------------------------------------------


@router.post("/new/bitrix24/check")
def check(asked: Asked, form: Sent) -> Response:
    """Begin to check a webhook that was just typed, or the one that a source has."""
    errors = Errors()
    source_id = form.text("source")
    source = frame.look(asked, source_id) if source_id else None
    if source is not None and not form.text("webhook"):
        webhook: Webhook | None = webhook_of(source, asked.site.keyring)
    else:
        webhook = _webhook(asked, form, errors)
    if webhook is None:
        return asked.page("wizard/checks.html", status=200, job=None, error=errors["webhook"], then="", source=source)
    job = _ask(asked, webhook, _plan(source), again=form.on("again"))
    return _checks(asked, job, source, "")


@router.get("/new/bitrix24/check/{key}")
def look_at_check(asked: Asked, key: str, source: str = "", then: str = "") -> Response:
    """How the check is going. Where Next waits for it and nothing is to be read first, the browser goes on."""
    job = asked.site.jobs.found(f"access:{key}")
    found = frame.look(asked, source) if source else None
    if job is None and found is not None and found.webhook:
        job = _ask(asked, webhook_of(found, asked.site.keyring), _plan(found))
    if found is not None and _note(asked, found, job) == "ok" and then:
        return Response(headers={"HX-Redirect": frame.path(found.id, setup.following(ACCESS))})
    return _checks(asked, job, found, then)


def _checks(asked: Asking, job: Job | None, source: Source | None, then: str) -> Response:
    return asked.page("wizard/checks.html", job=job, error=None, source=source, then=then)


def _ask(asked: Asking, webhook: Webhook, plan: str, *, again: bool = False) -> Job:
    """Check a webhook in the background; each is checked once, until somebody wants it again."""
    site = asked.site

    def work() -> Checked:
        try:
            targets.refuse_private(webhook, private=site.private, own=site.own)
            return checking.check(webhook, site.here.home, site.clock(), portal_plan=plan)
        except B24LakeError as error:
            return Checked([Check("connection", "failed", error.what, error.why, error.fix)])

    return site.jobs.start(frame.access_key(asked, webhook), work, asked.viewer.now, again=again)


def _note(asked: Asking, source: Source, job: Job | None) -> str:
    """Write down what a check found, where it is done and is that of the source's own webhook. Returns its status."""
    if job is None or job.state != DONE:
        return ""
    with asked.site.database.writing() as session:
        kept = frame.get(session, asked, source.id, lock=True)
        webhook = webhook_of(kept, asked.site.keyring)
        return _judge(asked, session, kept, webhook) if frame.access_key(asked, webhook) == job.key else ""


def _judge(asked: Asking, session: Session, source: Source, webhook: Webhook, *, again: bool = False) -> str:
    """Write down what the check of a source's webhook found, and return its status; "" while it is at work.

    again   ask once more where it failed: something may have been put right on the portal
    """
    job = _ask(asked, webhook, _plan(source))
    if again and (job.state == FAILED or (job.state == DONE and job.result.status == "failed")):
        job = _ask(asked, webhook, _plan(source), again=True)
    if job.state != DONE:
        return "failed" if job.state == FAILED else ""
    checked: Checked = job.result
    sources.keep_checks(session, source, checked, asked.viewer.now)
    if source.state == DRAFT:
        setup.mark(source, ACCESS, done=checked.status != "failed")
    return checked.status


def _go_on(asked: Asking, source: Source, told: str, form: Form, said: Sequence[str] = ()) -> Response:
    if told in {"ok", "warning"}:
        return frame.onward(asked, source, ACCESS, form, said)
    return seen_after(asked, frame.path(source.id, ACCESS) + ("" if told else "?then=1"))


def _plan(source: Source | None) -> str:
    return value_of(source, "portal_plan") if source is not None else str(FIELDS["portal_plan"].default)


# --- the form ---------------------------------------------------------------------------------------------------------


def _typed(form: Form) -> dict[str, str]:
    switches = {name: str(form.on(name)).lower() for name in SWITCHES}
    return {**switches, **{name: form.text(name) for name in TEXTS}}


def _stored(source: Source) -> dict[str, str]:
    return {name: FIELDS[name].in_words(value_of(source, name)) for name in (*SWITCHES, *TEXTS)}


def _webhook(asked: Asking, form: Form, errors: Errors) -> Webhook | None:
    """What was pasted; None where it is no webhook, or one that may not be asked."""
    try:
        site = asked.site
        webhook = parse(form.text("webhook"), allow_http=site.private)
        # Its name is looked up with the checks, which nobody waits for.
        targets.refuse_private(webhook, private=site.private, own=site.own, resolve=lambda _host: ())
    except UsageError as error:
        errors["webhook"] = error
        return None
    return webhook


def _shown(
    asked: Asking,
    source: Source | None,
    values: Mapping[str, str],
    errors: Errors | None = None,
    *,
    job: Job | None = None,
    then: str = "",
) -> Response:
    return frame.show(
        asked, source, ACCESS, errors=errors, values=values, job=job, error=None, then=then, scopes=SCOPES.values()
    )

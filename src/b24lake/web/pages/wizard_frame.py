"""What the steps of the wizard share: the source they are about, the rail beside them, and where they lead to."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.orm import Session

from b24lake.control import offers, setup, sources
from b24lake.control.models import Source
from b24lake.control.setup import ACCESS, CHECK, SOURCE, STEPS, STREAMS, TABLES
from b24lake.control.source_settings import read, value_of, webhook_of
from b24lake.errors import B24LakeError, UsageError
from b24lake.portal.webhook import Webhook
from b24lake.streams.discovery import Discovery
from b24lake.web import targets
from b24lake.web.asking import Asking, Form, seen_after
from b24lake.web.jobs import DONE, Job
from b24lake.web.site import Site

Errors = dict[str, B24LakeError]
"""What is wrong, by field; "" = with the form as a whole."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of the rail; `href` "" = the steps before it come first. state: here, done or open."""

    key: str
    title: str
    href: str
    state: str


def titles(asked: Asking) -> dict[str, str]:
    """What the steps are called."""
    return {
        ACCESS: asked.say("Add account access"),
        STREAMS: asked.say("Select streams"),
        TABLES: asked.say("Configure data streams"),
        SOURCE: asked.say("Configure data source"),
        CHECK: asked.say("Check your new source"),
    }


def path(source_id: str, step: str) -> str:
    """The address of a step."""
    return f"/sources/{source_id}/setup/{step}"


def rail(asked: Asking, source: Source | None, here: str) -> list[Mark]:
    """The steps, as the rail shows them; a source that is not there yet has the first one alone."""
    open_to = setup.reachable(source) if source is not None else ()
    marks = []
    for key, title in titles(asked).items():
        done = source is not None and setup.is_done(source, key) and key in open_to and key != CHECK
        state = "here" if key == here else "done" if done else "open"
        href = path(source.id, key) if source is not None and key in open_to else ""
        marks.append(Mark(key, title, href, state))
    return marks


# --- the source -------------------------------------------------------------------------------------------------------


def look(asked: Asking, source_id: str) -> Source:
    """The source, to be shown. Raises HTTPException (404) where there is none."""
    with asked.site.database.reading() as session:
        return get(session, asked, source_id)


def get(session: Session, asked: Asking, source_id: str, *, lock: bool = False) -> Source:
    """The source, inside a transaction; `lock` where it is going to be changed."""
    if session.get(Source, source_id) is None:
        raise HTTPException(404, asked.say("This source does not exist"))
    return sources.found(session, source_id, lock=True) if lock else session.get_one(Source, source_id)


def detour(source: Source, step: str) -> Response | None:
    """Where to go first, where a step cannot be gone to yet."""
    if step in setup.reachable(source):
        return None
    return RedirectResponse(path(source.id, setup.first_open(source)), status_code=303)


def guarded(site: Site, source: Source) -> Webhook:
    """The source's webhook, where it may be asked. Looks its host up, so call it in the background."""
    webhook = webhook_of(source, site.keyring)
    targets.refuse_private(webhook, private=site.private, own=site.own)
    return webhook


# --- asking the portal ------------------------------------------------------------------------------------------------


def access_key(asked: Asking, webhook: Webhook) -> str:
    """Names the check of a webhook, and tells nothing of it."""
    return f"access:{hmac.new(asked.site.secret, webhook.url('').encode(), 'sha256').hexdigest()}"


def offer(asked: Asking, source: Source, *, again: bool = False) -> Job:
    """What the portal has to read, found in the background: a `Discovery`."""
    site, key = asked.site, f"offer:{source.id}:{digest(source.webhook)}"
    known = site.jobs.found(key)
    if known is None and not again and value_of(source, "reader") == "classic":
        checked = site.jobs.found(access_key(asked, webhook_of(source, site.keyring)))
        if checked is not None and checked.state == DONE and checked.result.discovery is not None:
            return site.jobs.keep(key, checked.result.discovery, checked.started_at)

    def work() -> Discovery:
        guarded(site, source)
        return offers.offered(source, site.keyring, site.here)

    return site.jobs.start(key, work, asked.viewer.now, again=again)


def discovered(asked: Asking, source: Source) -> Discovery | None:
    """What the portal has to read, where that is known already."""
    job = asked.site.jobs.found(f"offer:{source.id}:{digest(source.webhook)}")
    return job.result if job is not None and job.state == DONE else None


def digest(*parts: object) -> str:
    """A short name for something that may change: what was found out about it is out of date then."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


# --- pages ------------------------------------------------------------------------------------------------------------


def show(
    asked: Asking, source: Source | None, step: str, *, errors: Mapping[str, B24LakeError] | None = None, **values: Any
) -> HTMLResponse:
    """A step as a page: 400 where something in its form is wrong."""
    known = dict(errors or {})
    return asked.page(
        f"wizard/{step}.html",
        status=400 if known else 200,
        section="sources",
        source=source,
        step=step,
        number=STEPS.index(step) + 1,
        rail=rail(asked, source, step),
        heading=titles(asked)[step],
        errors=known,
        seen=source.updated_at.isoformat() if source is not None else "",
        **values,
    )


def refuse_stale(asked: Asking, source: Source, form: Form) -> None:
    """Raises UsageError where somebody else has changed the source since the form was shown."""
    seen = form.text("seen")
    if seen and seen != source.updated_at.isoformat():
        raise UsageError(
            asked.say("This source was changed elsewhere in the meantime"),
            why=asked.say("what is shown here was made from its state before"),
            fix=asked.say("look at it in another tab; pressing Next once more saves what stands here"),
        )


def settings_of(values: Mapping[str, Any]) -> tuple[dict[str, Any], Errors]:
    """Settings as the service reads them, and what is wrong with the others."""
    found, errors = dict[str, Any](), Errors()
    for name, value in values.items():
        try:
            found[name] = read(name, value)
        except UsageError as error:
            errors[name] = error
    return found, errors


def goes_forward(step: str, form: Form) -> bool:
    """Whether a step was finished; otherwise it was left for another one before, and is only saved."""
    wanted = form.text("go")
    return wanted not in STEPS[: STEPS.index(step) + 1]


def onward(asked: Asking, source: Source, step: str, form: Form, said: Sequence[str] = ()) -> Response:
    """After a step was saved: to the step that was asked for, else to the next one; `said` is what the change means."""
    wanted = form.text("go")
    reachable = setup.reachable(source)
    target = wanted if wanted in reachable else setup.following(step)
    target = target if target in reachable else setup.first_open(source)
    return seen_after(asked, path(source.id, target), *(f"{asked.told(one)}." for one in said))

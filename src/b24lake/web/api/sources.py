"""/sources: what is read, from where, and into which tables."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from sqlalchemy.orm import Session

from b24lake.control import claims, offers, sources, summaries
from b24lake.control.models import Source
from b24lake.control.source_settings import webhook_of
from b24lake.control.sources import Wanted
from b24lake.errors import ConflictError, UsageError
from b24lake.portal.webhook import Webhook, parse
from b24lake.web.api import shapes
from b24lake.web.api.callers import Caller, Reader, Runner, Writer
from b24lake.web.api.paging import Cursor, Most, after_last, number_of
from b24lake.web.api.strict import StrictRoute
from b24lake.web.targets import refuse_private

router = APIRouter(prefix="/sources", tags=["sources"], route_class=StrictRoute)
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=200,
        description="The ETag of the source as you know it: if somebody has changed it since, 409",
    ),
]


@router.get("", response_model=shapes.Sources)
def list_sources(caller: Reader) -> Any:
    """All sources, with their health."""
    with caller.site.database.reading() as session:
        return {"sources": summaries.sources(session, caller.now, caller.limited)}


@router.post("", status_code=201, response_model=shapes.Source)
def add_source(caller: Writer, body: shapes.NewSource, response: Response) -> Any:
    """Add a source: its webhook is checked, its streams are chosen, and it is switched on."""
    caller.unlimited()
    _refuse_lake(caller, body.settings)
    changes = {name: one.model_dump(exclude_unset=True) for name, one in body.stream_settings.items()}
    wanted = Wanted(body.name, _webhook(caller, body.webhook), body.id, tuple(body.streams), body.settings, changes)
    site = caller.site
    if body.draft:
        with site.database.writing() as session:
            made: str | None = sources.create(session, site.keyring, site.here, caller.actor, wanted).id
    else:
        made, checked = sources.set_up(site.database, site.keyring, site.here, caller.actor, wanted)
        if made is None:
            failed = next((one for one in checked.checks if one.state == "failed"), checked.checks[-1])
            what = f"The check {failed.name!r} failed: {failed.says}"
            raise UsageError(what, why=failed.cause, fix=failed.cure, code="check_failed")
    with site.database.reading() as session:
        return _shown(caller, session, made or "", response)


@router.get("/{source}", response_model=shapes.Source)
def show_source(caller: Reader, source: str, response: Response) -> Any:
    """A source: settings, streams, tables, last checks. Its ETag changes with it."""
    with caller.site.database.reading() as session:
        return _shown(caller, session, source, response)


@router.patch("/{source}", response_model=shapes.Changed)
def change_source(
    caller: Writer, source: str, body: shapes.SourceChange, response: Response, if_match: IfMatch = None
) -> Any:
    """Change settings, streams or the webhook of a source."""
    _refuse_lake(caller, body.settings)
    site, webhook = caller.site, _webhook(caller, body.webhook) if body.webhook is not None else None
    changes = {name: one.model_dump(exclude_unset=True) for name, one in body.stream_settings.items()}
    with site.database.writing() as session:
        caller.source(session, source)
        found = sources.found(session, source, lock=True)
        sources.check_unchanged(found, body.updated_at)
        _check_match(found, if_match)
        if webhook is not None:
            sources.change_webhook(session, site.keyring, site.here, caller.actor, found, webhook)
        said = []
        if body.settings or changes or body.streams is not None:
            said = sources.edit(
                session, site.here, caller.actor, found, body.settings, streams=changes, only=body.streams
            )
    with site.database.reading() as session:
        return {"source": _shown(caller, session, source, response), "effects": said}


@router.delete("/{source}", response_model=shapes.Deleted)
def delete_source(caller: Writer, source: str, tables: Annotated[Literal["keep", "remove"], Query()]) -> Any:
    """Forget a source with its triggers and runs; keep or remove its tables."""
    site = caller.site
    with site.database.writing() as session:
        caller.source(session, source)
        gone = sources.delete(
            session, site.here, caller.actor, sources.found(session, source, lock=True), tables=tables
        )
    claims.remove(gone, site.here.home)
    site.index.changed()
    return {"deleted": source, "tables": tables, "removed": [claims.shown(path) for path in gone]}


@router.post("/{source}/check", response_model=shapes.Checked)
def check_source(caller: Runner, source: str) -> Any:
    """Check the webhook, the streams, the lake and the tables of a source. Asks the portal."""
    site, found = caller.site, _asked(caller, source)
    checked = sources.check(found, site.keyring, site.here, caller.now)
    with site.database.writing() as session:
        sources.keep_checks(session, sources.found(session, source, lock=True), checked, site.clock())
    return {"status": checked.status, "checks": [asdict(one) for one in checked.checks]}


@router.get("/{source}/streams", response_model=shapes.Offers)
def list_streams(caller: Reader, source: str) -> Any:
    """What the portal offers, and what of it is read. Asks the portal."""
    site, found = caller.site, _asked(caller, source)
    return {"streams": offers.lines(found, offers.offered(found, site.keyring, site.here))}


@router.post("/{source}/activate", response_model=shapes.Source)
def activate_source(caller: Writer, source: str, response: Response) -> Any:
    """Finish a draft: from now on its triggers count."""
    return _turned(caller, source, "activate", response)


@router.post("/{source}/pause", response_model=shapes.Source)
def pause_source(caller: Writer, source: str, response: Response) -> Any:
    """No runs by schedule or event until it is resumed."""
    return _turned(caller, source, "pause", response)


@router.post("/{source}/resume", response_model=shapes.Source)
def resume_source(caller: Writer, source: str, response: Response) -> Any:
    """Go on after a pause, or after too many failures."""
    return _turned(caller, source, "resume", response)


@router.post("/{source}/duplicate", status_code=201, response_model=shapes.Source)
def duplicate_source(caller: Writer, source: str, response: Response, body: shapes.Copy | None = None) -> Any:
    """A draft with the same webhook, settings, streams and triggers, and with tables of its own."""
    caller.unlimited()
    site = caller.site
    with site.database.writing() as session:
        caller.source(session, source)
        found = sources.found(session, source, lock=True)
        made = sources.duplicate(session, site.here, caller.actor, found, body.name if body else "").id
    with site.database.reading() as session:
        return _shown(caller, session, made, response)


@router.get("/{source}/schema-changes", response_model=shapes.SchemaChanges)
def list_schema_changes(caller: Reader, source: str, limit: Most = 50, cursor: Cursor = None) -> Any:
    """What happened to the columns of its tables."""
    with caller.site.database.reading() as session:
        caller.source(session, source)
        found = summaries.schema_changes(session, source, limit=limit, before=number_of(cursor))
    return {"schema_changes": found, "next_cursor": after_last(found, limit)}


# --- shared -----------------------------------------------------------------------------------------------------------


def _shown(caller: Caller, session: Session, source: str, response: Response) -> dict[str, Any]:
    found = caller.source(session, source)
    response.headers["ETag"] = _etag(found.updated_at)
    return sources.document(found, caller.site.here)


def _turned(caller: Caller, source: str, action: str, response: Response) -> dict[str, Any]:
    turn = {"activate": sources.activate, "pause": sources.pause, "resume": sources.resume}[action]
    with caller.site.database.writing() as session:
        caller.source(session, source)
        turn(session, caller.actor, sources.found(session, source, lock=True))
    with caller.site.database.reading() as session:
        return _shown(caller, session, source, response)


def _etag(at: datetime) -> str:
    return f'"{at.isoformat()}"'


def _check_match(source: Source, if_match: str | None) -> None:
    if if_match is not None and if_match.strip() not in {"*", _etag(source.updated_at)}:
        raise ConflictError(
            f"The source {source.id} was changed meanwhile",
            why="If-Match is not its ETag",
            fix="look at it again, and repeat your change",
            code="changed_meanwhile",
        )


def _webhook(caller: Caller, url: str) -> Webhook:
    """A webhook as it was sent. Raises UsageError for one that is none, or that this service may not ask."""
    webhook = parse(url, allow_http=caller.site.private)
    refuse_private(webhook, private=caller.site.private, own=caller.site.own)
    return webhook


def _asked(caller: Caller, source: str) -> Source:
    """A source whose portal is to be asked. Raises UsageError where this service may not ask it."""
    site = caller.site
    with site.database.reading() as session:
        found = caller.source(session, source)
    refuse_private(webhook_of(found, site.keyring), private=site.private, own=site.own)
    return found


def _refuse_lake(caller: Caller, settings: dict[str, Any]) -> None:
    """A lake is a folder of the server, whichever: that is for managers."""
    if "lake" in settings:
        caller.require("admin")

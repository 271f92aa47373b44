"""/triggers: when sources run."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from fastapi import APIRouter, Response

from b24lake.control import sources, triggers
from b24lake.control.models import Trigger
from b24lake.errors import ConflictError
from b24lake.web.api import shapes
from b24lake.web.api.callers import Caller, Reader, Writer
from b24lake.web.api.sources import IfMatch
from b24lake.web.api.strict import StrictRoute

router = APIRouter(tags=["triggers"], route_class=StrictRoute)


@router.get("/triggers", response_model=shapes.Triggers)
def list_triggers(caller: Reader) -> Any:
    """All triggers, with their next times."""
    with caller.site.database.reading() as session:
        found = [one for one in triggers.listed(session) if caller.limited is None or one.source_id in caller.limited]
        return {"triggers": [triggers.document(one, caller.now) for one in found]}


@router.get("/sources/{source}/triggers", response_model=shapes.Triggers)
def list_triggers_of_source(caller: Reader, source: str) -> Any:
    """The triggers of a source."""
    with caller.site.database.reading() as session:
        found = triggers.listed(session, caller.source(session, source).id)
        return {"triggers": [triggers.document(one, caller.now) for one in found]}


@router.post("/sources/{source}/triggers", status_code=201, response_model=shapes.Trigger)
def add_trigger(caller: Writer, source: str, body: shapes.NewTrigger, response: Response) -> Any:
    """Add a trigger to a source."""
    with caller.site.database.writing() as session:
        caller.source(session, source)
        owner = sources.found(session, source, lock=True)
        made = triggers.add(
            session, caller.actor, owner, _spec(body.spec), name=body.name, full=body.full, enabled=body.enabled
        )
    return _shown(caller, made, response)


@router.get("/triggers/{trigger}", response_model=shapes.Trigger)
def show_trigger(caller: Reader, trigger: str, response: Response) -> Any:
    """A trigger, with its next times."""
    with caller.site.database.reading() as session:
        return _shown(caller, caller.trigger(session, trigger), response)


@router.patch("/triggers/{trigger}", response_model=shapes.Trigger)
def change_trigger(
    caller: Writer, trigger: str, body: shapes.TriggerChange, response: Response, if_match: IfMatch = None
) -> Any:
    """Change a trigger, or switch it on and off."""
    changes = body.model_dump(exclude_unset=True, exclude_none=True, exclude={"spec"})
    if body.spec is not None:
        changes["spec"] = _spec(body.spec)
    with caller.site.database.writing() as session:
        found = caller.trigger(session, trigger)
        sources.found(session, found.source_id, lock=True)
        if if_match is not None and if_match.strip() not in {"*", _etag(found)}:
            raise ConflictError(
                f"The trigger {found.id} was changed meanwhile",
                why="If-Match is not its ETag",
                fix="look at it again, and repeat your change",
                code="changed_meanwhile",
            )
        triggers.change(session, caller.actor, found, **changes)
    return _shown(caller, found, response)


@router.delete("/triggers/{trigger}", response_model=shapes.Done)
def delete_trigger(caller: Writer, trigger: str) -> Any:
    """Delete a trigger; what it has queued stays queued."""
    with caller.site.database.writing() as session:
        triggers.delete(session, caller.actor, caller.trigger(session, trigger))
    return {"deleted": trigger}


def _shown(caller: Caller, trigger: Trigger, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = _etag(trigger)
    return triggers.document(trigger, caller.now)


def _etag(trigger: Trigger) -> str:
    told = orjson.dumps([trigger.spec, trigger.name, trigger.full, trigger.enabled], option=orjson.OPT_SORT_KEYS)
    return f'"{hashlib.sha256(told).hexdigest()[:16]}"'


def _spec(spec: shapes.Spec) -> dict[str, Any]:
    return spec.model_dump(exclude_none=True)

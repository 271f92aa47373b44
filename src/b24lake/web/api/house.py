"""/layers, /audit, /workers and /config: the installation."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from b24lake.control import audit, cataloging, summaries
from b24lake.control.configuration import current
from b24lake.control.exporting import export
from b24lake.lake import layers
from b24lake.web.api import house_shapes as shapes
from b24lake.web.api.callers import Admin, Reader, Writer
from b24lake.web.api.paging import Cursor, Most, after_last, number_of
from b24lake.web.api.strict import StrictRoute

router = APIRouter(tags=["installation"], route_class=StrictRoute)
_YAML = "application/yaml"


@router.get("/layers", response_model=shapes.Layers)
def list_layers(caller: Reader) -> Any:
    """The layers of the lake."""
    return {"layers": [_layer(one) for one in layers.layers(caller.site.here.lake)]}


@router.post("/layers", status_code=201, response_model=shapes.Layer)
def add_layer(caller: Writer, body: shapes.NewLayer) -> Any:
    """Add a layer."""
    caller.unlimited()
    site = caller.site
    made = cataloging.add_layer(site.database, site.here, caller.actor, body.name, body.description)
    site.index.changed()
    return _layer(made)


@router.patch("/layers/{layer}", response_model=shapes.Layer)
def change_layer(caller: Writer, layer: str, body: shapes.LayerChange) -> Any:
    """Say what a layer is for."""
    caller.unlimited()
    site = caller.site
    made = cataloging.describe_layer(site.database, site.here, caller.actor, layer, body.description)
    site.index.changed()
    return _layer(made)


@router.delete("/layers/{layer}", response_model=shapes.Done)
def delete_layer(caller: Writer, layer: str) -> Any:
    """Delete an empty layer."""
    caller.unlimited()
    site = caller.site
    cataloging.delete_layer(site.database, site.here, caller.actor, layer)
    site.index.changed()
    return {"deleted": layer}


@router.get("/audit", response_model=shapes.AuditTrail)
def list_audit(
    caller: Admin,
    object: Annotated[str, Query(max_length=300, description="About this only, as `source crm`")] = "",  # noqa: A002
    limit: Most = 50,
    cursor: Cursor = None,
) -> Any:
    """Who did what, the newest first."""
    caller.unlimited()
    found = [
        {"id": one.id, "at": one.at, "who": one.who, "action": one.action, "object": one.object, "detail": one.detail}
        for one in audit.entries(caller.site.database, object, limit=limit, before=number_of(cursor))
    ]
    return {"entries": found, "next_cursor": after_last(found, limit)}


@router.get("/workers", response_model=shapes.Workers)
def list_workers(caller: Reader) -> Any:
    """The workers, living and dead."""
    with caller.site.database.reading() as session:
        return {"workers": summaries.workers(session)}


@router.get("/config", response_model=shapes.Configuration)
def show_configuration(caller: Admin) -> Any:
    """The configuration; accounts and tokens are no part of it."""
    caller.unlimited()
    with caller.site.database.reading() as session:
        return current(session, caller.site.here)


@router.get(
    "/config.yaml",
    response_class=Response,
    responses={200: {"content": {_YAML: {"schema": {"type": "object"}}}, "description": "For `config apply`"}},
)
def export_configuration(caller: Admin) -> Response:
    """The configuration as `b24lake config export` prints it."""
    caller.unlimited()
    with caller.site.database.reading() as session:
        return Response(export(session, caller.site.here), media_type=_YAML)


def _layer(layer: layers.Layer) -> dict[str, Any]:
    return {"name": layer.name, "description": layer.description}

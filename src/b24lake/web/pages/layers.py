"""Layers and folders of the catalog, as people change them; the rules are those of `control.cataloging`."""

from __future__ import annotations

from collections import Counter

from fastapi import APIRouter, Response

from b24lake.control import cataloging
from b24lake.errors import B24LakeError, NotFoundError, UsageError
from b24lake.lake import layers
from b24lake.lake.index import WHOLE
from b24lake.web.asking import Asked, Asking, Sent, may, seen_after
from b24lake.web.pages.one_table import address

router = APIRouter(prefix="/catalog", include_in_schema=False)


@router.get("/layers", dependencies=[may("editor")])
def listed(asked: Asked) -> Response:
    """The layers, to be described, added and deleted."""
    return _listed(asked)


def _listed(asked: Asking, error: B24LakeError | None = None, name: str = "", description: str = "") -> Response:
    look = asked.site.index.look()
    tables = Counter(one.info.layer for one in look.tables)
    return asked.page(
        "catalog/layers.html",
        status=400 if error else 200,
        section="catalog",
        layers=layers.layers(asked.site.here.lake, tables),
        tables=tables,
        error=error,
        typed=(name, description),
        longest=layers.LONGEST,
    )


@router.post("/layers", dependencies=[may("editor")])
def add(asked: Asked, form: Sent) -> Response:
    """A new layer."""
    site, name, description = asked.site, form.text("name"), form.text("description")
    try:
        cataloging.add_layer(site.database, site.here, asked.actor, name, description)
    except UsageError as error:
        return _listed(asked, error, name, description)
    site.index.changed()
    return seen_after(asked, "/catalog/layers", asked.say("The layer {name} is there now.").format(name=name))


@router.post("/layer-description", dependencies=[may("editor")])
def describe(asked: Asked, form: Sent) -> Response:
    """Another description of a layer."""
    site, name = asked.site, form.text("name")
    try:
        cataloging.describe_layer(site.database, site.here, asked.actor, name, form.text("description"))
    except UsageError as error:
        return _listed(asked, error)
    site.index.changed()
    return seen_after(asked, "/catalog/layers", asked.say("The description of {name} is saved.").format(name=name))


@router.post("/layer-removal", dependencies=[may("manager")])
def delete(asked: Asked, form: Sent) -> Response:
    """Delete an empty layer."""
    site, name = asked.site, form.text("name")
    try:
        cataloging.delete_layer(site.database, site.here, asked.actor, name)
    except UsageError as error:
        return _listed(asked, error)
    site.index.changed()
    return seen_after(asked, "/catalog/layers", asked.say("The layer {name} is deleted.").format(name=name))


# --- folders ----------------------------------------------------------------------------------------------------------


@router.get("/folder", dependencies=[may("editor")])
def folder(asked: Asked, layer: str = "", name: str = "") -> Response:
    """A folder, to be renamed."""
    return _folder(asked, layer, name)


def _folder(asked: Asking, layer: str, name: str, error: B24LakeError | None = None, typed: str = "") -> Response:
    tables = [one.info for one in asked.site.index.look().tables]
    within = [one.name for one in tables if name and (one.layer, one.folder) == (layer, name)]
    if not within and error is None:
        raise NotFoundError(f"The layer {layer!r} has no folder {name!r}", fix="load the catalog again")
    return asked.page(
        "catalog/folder.html",
        status=400 if error else 200,
        section="catalog",
        layer=layer,
        name=name,
        within=within,
        others=[one for one in cataloging.folders(tables, layer) if one != name],
        error=error,
        typed=typed or name,
    )


@router.post("/folder", dependencies=[may("editor")])
def rename(asked: Asked, form: Sent) -> Response:
    """Another name for a folder; the name of one that is there puts the tables of both together."""
    site, layer, name, new = asked.site, form.text("layer"), form.text("name"), form.text("new")
    look = site.index.look(patience=WHOLE)
    try:
        tables = [one.info for one in look.tables]
        cataloging.rename_folder(site.database, site.here, asked.actor, tables, layer, name, new)
    except B24LakeError as error:
        return _folder(asked, layer, name, error, new)
    finally:
        site.index.changed()
    return seen_after(asked, "/catalog", asked.say("The folder is called {name} now.").format(name=new))


@router.post("/{layer}/{name}/folder", dependencies=[may("editor")])
def move(layer: str, name: str, asked: Asked, form: Sent) -> Response:
    """Put a table into another folder; none takes it out."""
    site, wanted = asked.site, form.text("folder")
    try:
        cataloging.put_in_folder(site.database, site.here, asked.actor, f"{layer}.{name}", wanted)
    finally:
        site.index.changed()
    said = (
        asked.say("The table is in the folder {folder} now.") if wanted else asked.say("The table is in no folder now.")
    )
    return seen_after(asked, address(layer, name), said.format(folder=wanted))

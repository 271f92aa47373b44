"""The tables of the lake, by layer and folder."""

from __future__ import annotations

from itertools import groupby

from fastapi import APIRouter, Response

from b24lake.lake import catalog, layers
from b24lake.lake.catalog import TableInfo
from b24lake.web.asking import Asked

router = APIRouter(prefix="/catalog", include_in_schema=False)


@router.get("")
def tables(asked: Asked) -> Response:
    """Layers, their folders, and the tables in these."""
    lake = asked.site.here.lake
    found = catalog.tables(lake)
    shown = [(layer, _folders([one for one in found if one.layer == layer.name])) for layer in layers.layers(lake)]
    return asked.page("catalog/list.html", section="catalog", layers=shown, lake=str(lake))


def _folders(found: list[TableInfo]) -> list[tuple[str, list[TableInfo]]]:
    """What is in no folder comes first."""
    found.sort(key=lambda one: (one.folder, one.name))
    return [(folder, list(within)) for folder, within in groupby(found, key=lambda one: one.folder)]

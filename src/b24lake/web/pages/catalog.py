"""The catalog: layers, their folders, the tables in these; and the search over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Response

from b24lake.lake import index, layers
from b24lake.lake.index import Hit
from b24lake.lake.layers import Layer
from b24lake.web.asking import Asked

router = APIRouter(prefix="/catalog", include_in_schema=False)
LONGEST, WORDS = 200, 10  # of what is searched: signs, words
FEW = 40  # tables up to which all folders are open


class Folder(NamedTuple):
    """A folder, or what is in none ("")."""

    name: str
    tables: list[Hit]


@dataclass(frozen=True, slots=True)
class Branch:
    """A layer with what is to be shown of it."""

    layer: Layer
    folders: list[Folder]

    @property
    def count(self) -> int:
        """Its tables."""
        return sum(len(folder.tables) for folder in self.folders)


@router.get("")
def tables(asked: Asked) -> Response:
    """All tables, or those that were searched for; htmx gets the tree alone."""
    words = str(asked.request.query_params.get("q") or "")[:LONGEST].split()[:WORDS]
    look = asked.site.index.look()
    hits = index.search(look.tables, words)
    known = layers.layers(asked.site.here.lake, {one.info.layer for one in look.tables})
    answer = asked.page(
        "catalog/tree.html" if asked.fragment else "catalog/index.html",
        section="catalog",
        tree=tree(known, hits, all_layers=not words),
        words=" ".join(words),
        count=len(hits),
        total=len(look.tables),
        unread=look.unread,
        opened=bool(words) or len(hits) <= FEW,
        lake=str(asked.site.here.lake),
    )
    if asked.fragment:
        answer.headers["HX-Replace-Url"] = f"/catalog?{urlencode({'q': ' '.join(words)})}" if words else "/catalog"
    return answer


def tree(known: Sequence[Layer], hits: Sequence[Hit], *, all_layers: bool) -> list[Branch]:
    """The layers in their order, with their folders and tables by name; what is in no folder comes first.

    all_layers   also those in which nothing is
    """
    ordered = sorted(hits, key=lambda hit: (hit.table.info.layer, hit.table.info.folder, hit.table.info.name))
    by_layer = {
        layer: [Folder(name, list(within)) for name, within in groupby(some, key=lambda hit: hit.table.info.folder)]
        for layer, some in groupby(ordered, key=lambda hit: hit.table.info.layer)
    }
    return [Branch(layer, by_layer.get(layer.name, [])) for layer in known if all_layers or layer.name in by_layer]

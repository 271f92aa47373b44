"""The data model of the tables in the lake: a diagram, and the ready join behind each of its lines."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response

from b24lake.errors import UsageError
from b24lake.lake.index import WHOLE
from b24lake.sync import data_model
from b24lake.sync.data_model import Edge, Model, Node
from b24lake.web.asking import Asked, Asking

router = APIRouter(include_in_schema=False)
ADDRESS = "/catalog/model"
Name = Annotated[str, Query(max_length=300)]


@dataclass(frozen=True)
class Line:
    """What one table refers to in another: a line of the diagram, and a row of the table below it."""

    of: Node
    to: Node
    edges: tuple[Edge, ...]

    @property
    def address(self) -> str:
        """Where its joins are."""
        return f"{ADDRESS}?{urlencode({'from': self.of.name, 'to': self.to.name})}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that refer; none where a table only tells of the other's columns."""
        return tuple(dict.fromkeys(each.column for each in self.edges if each.join))


@router.get(ADDRESS)
def diagram(
    asked: Asked,
    portal: Name = "",
    table: Name = "",
    of: Annotated[Name, Query(alias="from")] = "",
    to: Name = "",
    fields: bool = False,
) -> Response:
    """The diagram of all portals or one, with what is chosen of it; tables of field definitions where asked for."""
    whole = _whole(asked)
    chosen = {of, to, table} - {""}
    fields = fields or any(node.describes for node in whole.nodes if node.name in chosen)
    part = whole.of_portal(portal) if portal else whole
    nodes = [node for node in part.nodes if fields or not node.describes]
    lines = list(_lines(part, nodes))
    return asked.page(
        "catalog/model.html",
        section="catalog",
        nodes=nodes,
        lines=lines,
        diagram=_told(nodes, lines),
        portals=whole.portals,
        portal=portal,
        fields=fields,
        hidden=len(part.nodes) - len(nodes),
        **_chosen(asked, whole, table, of, to),
    )


@router.get(f"{ADDRESS}/part")
def part(asked: Asked, table: Name = "", of: Annotated[Name, Query(alias="from")] = "", to: Name = "") -> Response:
    """What stands beside the diagram when a table or a line of it is chosen."""
    whole = _whole(asked)
    return asked.page("catalog/model_part.html", **_chosen(asked, whole, table, of, to))


@router.get("/catalog/{layer}/{name}/relations")
def relations(layer: str, name: str, asked: Asked) -> Response:
    """What a table refers to and what refers to it, as a part of its page; nothing where it is not in the model."""
    return asked.page("catalog/relations.html", **_around(_whole(asked), f"{layer}.{name}"))


def _whole(asked: Asking) -> Model:
    return data_model.of_tables(asked.site.index.look(patience=WHOLE).tables)


def _chosen(asked: Asking, whole: Model, table: str, of: str, to: str) -> dict[str, Any]:
    """The table or the line of these names. Raises UsageError where the model has none such."""
    node, ends = whole.node(table), (whole.node(of), whole.node(to))
    missing = [name for name, found in zip((table, of, to), (node, *ends), strict=True) if name and found is None]
    if missing:
        raise UsageError(
            asked.say("There is no table {name!r} in the data model").format(name=missing[0]),
            why=asked.say("its rows are not those of a Bitrix24 portal, or it is gone"),
            fix=asked.say("choose a table of the diagram"),
        )
    line = whole.between(of, to) if all(ends) else ()
    return {"node": node, **_around(whole, table), "line": _line(line) if line else None}


def _around(whole: Model, table: str) -> dict[str, Any]:
    """The lines from a table and those to it."""
    ways = {"refers": whole.from_table(table), "referred": whole.to_table(table)}
    return {way: [_line(each) for each in data_model.pairs(edges).values()] for way, edges in ways.items()}


def _lines(model: Model, nodes: Collection[Node]) -> Iterator[Line]:
    shown = {node.name for node in nodes}
    for (of, to), edges in data_model.pairs(model.edges).items():
        if {of, to} <= shown:
            yield _line(edges)


def _line(edges: tuple[Edge, ...]) -> Line:
    return Line(edges[0].of, edges[0].to, edges)


def _told(nodes: Collection[Node], lines: Collection[Line]) -> dict[str, Any]:
    """Tables and lines for the script that draws them."""
    return {
        "tables": [
            {"name": node.name, "title": node.stream or node.table.name, "about": node.description, "group": node.group,
             "portal": node.portal, "address": node.address, "place": node.place}
            for node in nodes
        ],
        "lines": [
            {"from": line.of.name, "to": line.to.name, "count": len(line.columns), "columns": line.columns[:8]}
            for line in lines
        ],
    }  # fmt: skip

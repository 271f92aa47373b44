"""The data model of tables that were read: every relation is there once, and every join brings what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from b24lake.lake.index import WHOLE, Index
from b24lake.lake.query import query
from b24lake.lake.readable import Described, Reference
from b24lake.sandbox import Portal, Server, Settings
from b24lake.streams.fields import columns
from b24lake.streams.relations import RELATIONS
from b24lake.sync import data_model
from b24lake.sync.data_model import Edge, Model, Node
from b24lake.sync.labels import links_of
from running import SMALL, Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A portal that was read as a whole."""
    folder = tmp_path_factory.mktemp("model")
    lake = Lake(folder / "lake", folder / "home")
    with Server(Portal(Settings(**SMALL, threshold=0))) as server:
        assert lake.sync(server.url, deal_contacts=True, deal_comments=True, deal_products=True).status == "success"
    yield lake


@pytest.fixture(scope="module")
def model(lake: Lake) -> Model:
    return data_model.of_tables(Index(lake.path).look(patience=WHOLE).tables)


def rows_of(lake: Lake, node: Node, known: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    if node.name not in known:
        known[node.name] = DeltaTable(lake.table(node.stream)).to_pyarrow_table().to_pylist()
    return known[node.name]


def expected(edge: Edge, rows: list[dict[str, Any]], others: list[dict[str, Any]]) -> Counter[Any]:
    """Each value of the column with what the other row is called, worked out by hand."""
    assert edge.join
    reference, called = edge.join.reference, {}
    for row in others:
        if all(_within(row[column], value, family=reference.family) for column, value in reference.where):
            for each in row[reference.items] or [] if reference.items else [row]:
                called[str(each[reference.key])] = tuple(each[name] for name in reference.label)
    nothing = tuple(None for _ in reference.label)
    found: Counter[Any] = Counter()
    for row in rows:
        value = row[edge.column]
        applies = all(str(row[column]) == wanted for column, wanted in reference.when)
        for each in (value or []) if edge.many else [value]:
            key = str(each)
            if edge.prefix:
                key = key.removeprefix(edge.prefix) if key.startswith(edge.prefix) or edge.join.alone else "-"
            found[each, *(called.get(key, nothing) if applies else nothing)] += 1
    return found


def _within(value: str, wanted: str, *, family: bool) -> bool:
    return value == wanted or (family and value.startswith(f"{wanted}_"))


def test_every_join_brings_the_rows_that_the_tables_hold(lake: Lake, model: Model) -> None:
    known: dict[str, list[dict[str, Any]]] = {}
    joined = [edge for edge in model.edges if edge.join]
    kinds = Counter((edge.many, bool(edge.prefix), bool(edge.when), ".ID" in edge.key) for edge in joined)
    assert len(kinds) >= 6, "some kind of join is not tested here"
    for edge in joined:
        assert edge.join
        wanted = expected(edge, rows_of(lake, edge.of, known), rows_of(lake, edge.to, known))
        table = query(lake.path, edge.sql)
        last = [edge.column, *table.column_names[-len(edge.join.reference.label) :]]
        found = Counter(tuple(row.values()) for row in table.select(last).to_pylist())
        assert found == wanted, f"{edge.of.name}.{edge.column} -> {edge.to.name}\n{edge.sql}"


def test_the_model_holds_every_relation_that_the_documentation_tells(model: Model) -> None:
    found = {
        (edge.of.family, edge.column, edge.to.family, edge.join.reference.key) for edge in model.edges if edge.join
    }
    missing = {
        (one.stream, one.column, one.to, one.to_column)
        for one in RELATIONS
        if (one.stream, one.column, one.to, one.to_column) not in found
    }
    assert missing == set()


def test_custom_links_are_relations_too(model: Model) -> None:
    """Parents among smart processes, employees, and fields that hold records of several kinds."""
    custom = {(edge.of.stream, edge.to.stream, edge.prefix) for edge in model.edges if edge.column.startswith("UF_CRM")}
    assert {("deals", "users", ""), ("deals", "contacts", "C_"), ("deals", "companies", "CO_")} <= custom
    parents = {(edge.of.stream, edge.column, edge.to.stream) for edge in model.edges if "arent" in edge.column.lower()}
    assert {
        ("spa_128", "parentId2", "deals"),
        ("deals", "PARENT_ID_128", "spa_128"),
        ("companies", "PARENT_ID_156", "spa_156"),
    } <= parents


def test_every_table_with_field_definitions_describes_its_table(model: Model) -> None:
    told = {(edge.of.stream, edge.to.stream) for edge in model.edges if edge.join is None}
    assert {("deal_fields", "deals"), ("spa_fields_128", "spa_128"), ("spa_types", "spa_156")} <= told
    assert ("spa_fields_128", "spa_156") not in told
    assert {node.stream for node in model.nodes if node.describes} == {of for of, _ in told}


# --- without tables ---------------------------------------------------------------------------------------------------

USERS = pa.schema([("ID", pa.int64()), ("NAME", pa.string()), ("LAST_NAME", pa.string())])
DEALS = pa.schema([("ID", pa.int64()), ("TITLE", pa.string()), ("ASSIGNED_BY_ID", pa.int64())])
BY_USER = {"ASSIGNED_BY_ID": (Reference("users", "ID", ("NAME", "LAST_NAME")),)}


def node(
    name: str, stream: str, schema: pa.Schema, portal: str = "p", refers: Mapping[str, Any] | None = None, **more: Any
) -> Node:
    layer, _, table = name.partition(".")
    return Node(Described(layer, table, schema, refers or {}), stream, portal, key="ID", **more)


def lines(*nodes: Node) -> list[tuple[str, str, str]]:
    return [(edge.of.name, edge.column, edge.to.name) for edge in data_model.model(nodes).edges]


def test_tables_of_different_portals_are_never_joined() -> None:
    deals = node("raw.a_deals", "deals", DEALS, "a", BY_USER)
    assert lines(deals, node("raw.a_users", "users", USERS, "b")) == []
    both = data_model.model([deals, node("raw.b_users", "users", USERS, "b"), node("raw.users", "users", USERS, "a")])
    assert [(edge.to.name, edge.to.portal) for edge in both.edges] == [("raw.users", "a")]
    assert [each.name for each in both.of_portal("b").nodes] == ["raw.b_users"]
    assert both.of_portal("b").edges == ()


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        (["raw.x_users", "raw.y_users"], "raw.x_users"),
        (["trusted.x_users", "raw.y_users"], "trusted.x_users"),
        (["trusted.y_users", "raw.y_users"], "raw.y_users"),
        (["raw.x_people", "raw.x_users"], "raw.x_users"),
    ],
)
def test_of_several_tables_of_a_stream_the_one_that_belongs_with_the_table_is_joined(
    others: list[str], chosen: str
) -> None:
    of = node("raw.x_deals", "deals", DEALS, refers=BY_USER)
    assert lines(of, *(node(name, "users", USERS) for name in others)) == [("raw.x_deals", "ASSIGNED_BY_ID", chosen)]


def test_a_label_that_was_left_out_of_its_table_does_not_hide_the_relation() -> None:
    users = node("raw.users", "users", pa.schema([("ID", pa.int64())]))
    (edge,) = data_model.model([node("raw.deals", "deals", DEALS, refers=BY_USER), users]).edges
    assert edge.sql.splitlines()[1:5] == [
        "  deals.ID,",
        "  deals.TITLE,",
        "  deals.ASSIGNED_BY_ID,",
        "  users.ID AS users_ID",
    ]


def test_what_cannot_be_joined_is_no_relation() -> None:
    as_json = pa.schema([("ID", pa.int64()), ("ASSIGNED_BY_ID", pa.map_(pa.string(), pa.string()))])
    assert lines(node("raw.deals", "deals", as_json, refers=BY_USER), node("raw.users", "users", USERS)) == []
    assert lines(node("raw.deals", "deals", DEALS, refers=BY_USER), node("raw.users", "users", DEALS.remove(0))) == []
    assert lines(node("raw.strange", "no stream of ours", DEALS)) == []


@pytest.mark.parametrize(
    ("settings", "links"),
    [
        ({"COMPANY": "Y", "LEAD": None}, {"companies": "CO_"}),
        (
            {"DEAL": "Y", "DYNAMIC_128": "Y", "DYNAMIC_1256": "Y"},
            {"deals": "D_", "spa_128": "T80_", "spa_1256": "T4e8_"},
        ),
        ({"SMART_INVOICE": "Y", "DYNAMIC_31": "Y"}, {}),
        (None, {"leads": "L_", "deals": "D_", "contacts": "C_", "companies": "CO_"}),
        ([], {"leads": "L_", "deals": "D_", "contacts": "C_", "companies": "CO_"}),
    ],
)
def test_a_field_that_holds_records_says_of_which_streams(settings: Any, links: dict[str, str]) -> None:
    (_, column) = columns({"ID": {"type": "integer"}, "UF_CRM_1": {"type": "crm", "settings": settings}}, {}, key="ID")
    assert links_of(column) == links

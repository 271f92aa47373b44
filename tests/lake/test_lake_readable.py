"""Readable views: one SELECT, made of what tables say of themselves, with a row for each row of the table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from b24lake.errors import UsageError
from b24lake.lake import readable
from b24lake.lake.catalog import tables
from b24lake.lake.columns import type_name
from b24lake.lake.query import query
from b24lake.lake.readable import DATAFUSION, STANDARD, Described, Reference
from b24lake.lake.views import listed, view

USER = Reference("users", "ID", ("NAME", "LAST_NAME"))
STAGE = Reference("statuses", "CODE", ("NAME",), where=(("KIND", "STAGE"),), family=True)
SOURCE = Reference("statuses", "CODE", ("NAME",), where=(("KIND", "SOURCE"),))
CHOICE = Reference("deal_fields", "ID", ("VALUE",), where=(("id", "CHOICES"),), items="items")
OWNERS = (
    Reference("users", "ID", ("NAME",), when=(("OWNER_TYPE", "1"),)),
    Reference("deals", "ID", ("TITLE",), when=(("OWNER_TYPE", "2"),)),
)
REFERS = {
    "USER_ID": (USER,),
    "STAGE_ID": (STAGE,),
    "SOURCE_ID": (SOURCE,),
    "CHOICES": (CHOICE,),
    "OWNER_ID": OWNERS,
}
DEALS = pa.table(
    {
        "ID": [1, 2, 3, 4],
        "TITLE": ["a", "b", "c", "d"],
        "USER_ID": [7, 8, 99, None],
        "STAGE_ID": ["NEW", "C1:NEW", "GONE", None],
        "SOURCE_ID": ["WEB", "NEW", "O'Brien", None],
        "CHOICES": pa.array([[12, 10, 12], [11, 77], [], None], pa.list_(pa.int64())),
        "OWNER_TYPE": pa.array([1, 2, 3, None], pa.int32()),
        "OWNER_ID": [7, 1, 1, 1],
        "COST": ["300|EUR", "0.5|USD", "much", "12"],
        "COSTS": pa.array([["1|EUR", "x|USD"], None, [], ["2"]], pa.list_(pa.string())),
    }
)
USERS = pa.table({"ID": [7, 8, 8], "NAME": ["Ann", None, None], "LAST_NAME": ["O'Hara", "Ли", "Ли"]})
STATUSES = pa.table(
    {
        "KIND": ["STAGE", "STAGE_1", "STAGE_1", "STAGES", "SOURCE", "SOURCE", "SOURCE_2"],
        "CODE": ["NEW", "C1:NEW", "C1:NEW", "GONE", "WEB", "O'Brien", "NEW"],
        "NAME": ["New", "New 1", "new 1", "wrong", "Web", 'He said "yes"', "wrong"],
    }
)
ITEM = pa.struct([("ID", pa.string()), ("VALUE", pa.string())])
FIELDS = pa.table(
    {
        "id": ["CHOICES", "OTHER", "TITLE"],
        "items": pa.array(
            [
                [{"ID": "10", "VALUE": "ten"}, {"ID": "11", "VALUE": "Да"}, {"ID": "12", "VALUE": "twelve"}],
                [{"ID": "10", "VALUE": "wrong"}],
                None,
            ],
            pa.list_(ITEM),
        ),
    }
)
TRUTH = {
    "USER_ID_LABEL": ["Ann O'Hara", "Ли", None, None],
    "STAGE_ID_LABEL": ["New", "New 1", None, None],
    "SOURCE_ID_LABEL": ["Web", None, 'He said "yes"', None],
    "CHOICES_LABEL": [["twelve", "ten", "twelve"], ["Да", None], None, None],
    "OWNER_ID_LABEL": ["Ann", "a", None, None],
    "COST_AMOUNT": [Decimal(300), Decimal("0.5"), None, Decimal(12)],
    "COST_CURRENCY": ["EUR", "USD", None, None],
    "COSTS_AMOUNT": [[Decimal(1), None], None, None, [Decimal(2)]],
    "COSTS_CURRENCY": [["EUR", "USD"], None, None, [None]],
}


def make(lake: Path, name: str, rows: pa.Table, *, stream: str = "", portal: str = "p", **more: Any) -> Path:
    """A table as runs leave it."""
    layer, _, table = name.partition(".")
    path = lake / layer / table
    write_deltalake(str(path), rows)
    marks = (
        {"b24lake.portal": portal, "b24lake.stream": stream or table, **readable.as_properties(**more)}
        if portal
        else {}
    )
    if marks:
        kept = {name: text for name, text in marks.items() if text}
        DeltaTable(str(path)).alter.set_table_properties(kept, raise_if_not_exists=False)
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    make(tmp_path, "raw.b_deals", DEALS, stream="deals", refers=REFERS, money=["COST", "COSTS"])
    make(tmp_path, "raw.b_users", USERS, stream="users", refers={}, money=[])
    make(tmp_path, "raw.b_statuses", STATUSES, stream="statuses", refers={}, money=[])
    make(tmp_path, "raw.b_deal_fields", FIELDS, stream="deal_fields", refers={}, money=[])
    return tmp_path


def columns(lake: Path, sql: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = query(lake, sql).to_pydict()
    return found


def test_labels_stand_beside_ids(lake: Path) -> None:
    found = columns(lake, "SELECT * FROM raw.b_deals_readable ORDER BY ID")
    assert {name: found[name] for name in TRUTH} == TRUTH
    assert {name: found[name] for name in DEALS.column_names} == DEALS.to_pydict()
    assert list(found)[:5] == ["ID", "TITLE", "USER_ID", "USER_ID_LABEL", "STAGE_ID"]


def test_duckdb_runs_the_same_sql(lake: Path) -> None:
    database = duckdb.connect()
    database.execute("CREATE SCHEMA raw")
    for info in tables(lake):
        database.register("held", DeltaTable(str(lake / info.layer / info.name)).to_pyarrow_table())
        database.execute(f"CREATE TABLE {info.sql_name} AS FROM held")
    rows = database.sql(f"SELECT * FROM ({view(lake, 'b_deals_readable').sql()}) ORDER BY ID").to_arrow_table()
    found = rows.to_pydict()
    assert {name: found[name] for name in TRUTH} == TRUTH


def test_columns_and_types_are_known_before_a_query_runs(lake: Path) -> None:
    found = query(lake, "SELECT * FROM raw.b_deals_readable")
    told = view(lake, "b_deals_readable").columns
    assert [each.name for each in told] == found.column_names
    types = {each.name: each.type for each in told if each.name in TRUTH}
    assert types == {name: type_name(found.schema.field(name).type) for name in TRUTH}
    said = {each.name: each.comment for each in told}
    assert said["STAGE_ID_LABEL"] == "Label of STAGE_ID, from raw.b_statuses"
    assert said["OWNER_ID_LABEL"] == "Label of OWNER_ID, from raw.b_users, raw.b_deals"
    assert said["COST_AMOUNT"] == "Amount of COST"


def test_what_nobody_asks_for_is_not_looked_up(lake: Path) -> None:
    everything, some = view(lake, "b_deals_readable"), view(lake, "b_deals_readable", frozenset({"STAGE_ID_LABEL"}))
    assert (everything.sql().count("LEFT JOIN"), some.sql().count("LEFT JOIN")) == (7, 1)
    assert set(some.others) == {"statuses"}
    asked = [
        ("SELECT count(*) AS n FROM raw.b_deals_readable", {"n": [4]}),
        ("SELECT count(STAGE_ID_LABEL) AS n FROM raw.b_deals_readable r", {"n": [2]}),
        (
            "WITH x AS (SELECT * FROM raw.b_deals_readable) SELECT min(x.USER_ID_LABEL) AS n FROM x",
            {"n": ["Ann O'Hara"]},
        ),
        ("SELECT count(r.*) AS n FROM raw.b_deals_readable r", {"n": [4]}),
        ('SELECT "STAGE_ID_LABEL" AS n FROM raw.b_deals_readable WHERE "USER_ID_LABEL" LIKE \'Ann%\'', {"n": ["New"]}),
        (
            "SELECT b.USER_ID_LABEL AS n FROM raw.b_deals_readable a NATURAL JOIN raw.b_deals_readable b WHERE false",
            {"n": []},
        ),
    ]
    for sql, wanted in asked:
        assert columns(lake, sql) == wanted, sql


@pytest.mark.parametrize("gone", ["users", "statuses", "deal_fields"])
def test_labels_are_null_and_told_where_their_table_is_missing(lake: Path, gone: str) -> None:
    (lake / "raw" / f"b_{gone}").rename(lake / "away")
    found = columns(lake, "SELECT * FROM raw.b_deals_readable ORDER BY ID")
    without = {
        "users": {"USER_ID_LABEL": [None] * 4, "OWNER_ID_LABEL": [None, "a", None, None]},
        "statuses": {"STAGE_ID_LABEL": [None] * 4, "SOURCE_ID_LABEL": [None] * 4},
        "deal_fields": {"CHOICES_LABEL": [None] * 4},
    }[gone]
    assert {name: found[name] for name in TRUTH} == {**TRUTH, **without}
    assert view(lake, "b_deals_readable").missing == (gone,)


def test_a_table_without_the_columns_is_as_good_as_none(lake: Path) -> None:
    write_deltalake(
        str(lake / "raw" / "b_users"), USERS.drop_columns(["NAME"]), mode="overwrite", schema_mode="overwrite"
    )
    found = columns(lake, "SELECT * FROM raw.b_deals_readable ORDER BY ID")
    assert found["USER_ID_LABEL"] == [None] * 4


def test_labels_come_from_the_same_portal_and_rather_from_the_same_prefix(lake: Path) -> None:
    strange = USERS.set_column(1, "NAME", pa.array(["Eve"] * 3))
    make(lake, "raw.a_users", strange, stream="users", refers={}, money=[])
    make(lake, "raw.c_users", strange, stream="users", portal="other", refers={}, money=[])
    make(lake, "trusted.b_users", strange, stream="users", refers={}, money=[])
    sql = "SELECT USER_ID_LABEL AS n FROM raw.b_deals_readable WHERE ID = 1"
    assert columns(lake, sql) == {"n": ["Ann O'Hara"]}
    (lake / "raw" / "b_users").rename(lake / "away")
    assert view(lake, "b_deals_readable").tables[("trusted", "b_users")] == lake / "trusted" / "b_users"
    (lake / "trusted" / "b_users").rename(lake / "away2")
    assert columns(lake, sql) == {"n": ["Eve O'Hara"]}
    (lake / "raw" / "a_users").rename(lake / "away3")
    assert columns(lake, sql) == {"n": [None]}


def test_a_moved_or_renamed_table_is_found_by_its_properties(lake: Path) -> None:
    (lake / "service").mkdir()
    (lake / "raw" / "b_statuses").rename(lake / "service" / "dictionary")
    found = columns(lake, "SELECT * FROM raw.b_deals_readable ORDER BY ID")
    assert found["STAGE_ID_LABEL"] == TRUTH["STAGE_ID_LABEL"]


def test_views_are_listed_and_a_table_hides_the_view_of_its_name(lake: Path) -> None:
    assert [(each.sql_name, each.kind, each.stream) for each in listed(tables(lake))] == [
        ("raw.b_deals_readable", "view", "deals")
    ]
    make(lake, "raw.b_deals_readable", pa.table({"mine": [1]}), portal="")
    assert listed(tables(lake)) == ()
    assert columns(lake, "SELECT * FROM raw.b_deals_readable") == {"mine": [1]}


@pytest.mark.parametrize("name", ["raw.b_users_readable", "raw.theirs_readable"])
def test_a_table_that_refers_to_nothing_has_no_view(lake: Path, name: str) -> None:
    make(lake, "raw.theirs", USERS, portal="")
    with pytest.raises(UsageError, match="has no readable view"):
        query(lake, f"SELECT * FROM {name}")


def test_view_and_table_can_be_joined(lake: Path) -> None:
    both = "raw.b_deals_readable r JOIN raw.b_deals d ON d.ID = r.ID"
    assert columns(lake, f"SELECT r.ID, r.STAGE_ID_LABEL AS n FROM {both} WHERE d.ID = 2") == {
        "ID": [2],
        "n": ["New 1"],
    }


@pytest.mark.parametrize("text", ["{", "[]", "1", '{"USER_ID": 1}', '{"USER_ID": [{"stream": "users"}]}', '{"NO": []}'])
def test_properties_of_another_form_say_nothing(text: str) -> None:
    found = readable.described("raw", "b_deals", DEALS.schema, {readable.REFERS: text, readable.MONEY: text})
    assert readable.extras(found) == ()


def test_properties_are_read_as_they_were_written() -> None:
    told = readable.as_properties(REFERS, ["COST"])
    found = readable.described("raw", "b_deals", DEALS.schema, told)
    assert (found.refers, found.money) == (REFERS, {"COST"})
    assert readable.as_properties({"A": ()}, []) == {readable.REFERS: "", readable.MONEY: ""}


def test_names_never_clash() -> None:
    names = ["A", "A_LABEL", "a_label__2", "B", "B_amount"]
    schema = pa.schema([pa.field(name, pa.string()) for name in names])
    found = readable.extras(Described("raw", "t", schema, {"A": (USER,)}, frozenset({"B"})))
    assert [each.name for each in found] == ["A_LABEL__3", "B_AMOUNT__2", "B_CURRENCY"]


def test_columns_of_other_types_have_no_labels() -> None:
    kinds = {"A": pa.bool_(), "B": pa.float64(), "C": pa.list_(pa.date32()), "D": pa.struct([("a", pa.string())])}
    schema = pa.schema(list(kinds.items()))
    assert readable.extras(Described("raw", "t", schema, dict.fromkeys(kinds, (USER,)), frozenset(kinds))) == ()


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
KINDS = st.sampled_from(
    [pa.int64(), pa.int32(), pa.string(), pa.list_(pa.int64()), pa.list_(pa.string()), pa.bool_(), pa.float64()]
)


@st.composite
def described_tables(draw: st.DrawFn) -> tuple[Described, dict[str, Described]]:
    """Tables with any names whose columns refer to one another, or to what is not there."""
    streams = draw(st.lists(NAMES, min_size=1, max_size=3, unique_by=str.casefold))
    schemas = {
        stream: pa.schema(
            [
                pa.field(name, draw(KINDS))
                for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=str.casefold))
            ]
        )
        for stream in streams
    }

    def reference() -> Reference:
        stream = draw(st.sampled_from([*streams, "not there"]))
        names = st.sampled_from(schemas.get(stream, schemas[streams[0]]).names)
        flat = [each.name for each in schemas.get(stream, pa.schema([])) if each.type == pa.string()]
        where = ((draw(st.sampled_from(flat)), draw(NAMES)),) if flat and draw(st.booleans()) else ()
        whens = [each.name for each in schemas[streams[0]] if pa.types.is_integer(each.type)]
        when = ((draw(st.sampled_from(whens)), draw(NAMES)),) if whens and draw(st.booleans()) else ()
        plain = [each.name for each in schemas.get(stream, pa.schema([])) if not pa.types.is_list(each.type)]
        key = draw(st.sampled_from(plain)) if plain else draw(names)
        label = (draw(st.sampled_from(plain)),) if plain else (draw(names),)
        return Reference(stream, key, label * draw(st.integers(1, 2)), where, family=draw(st.booleans()), when=when)

    own = schemas[streams[0]]
    refers = {name: tuple(reference() for _ in range(draw(st.integers(0, 2)))) for name in own.names}
    money = frozenset(name for name in own.names if draw(st.booleans()))
    others = {stream: Described("raw", f"t{n}", schemas[stream]) for n, stream in enumerate(streams)}
    return Described("raw", "t0", own, refers, money), others


@settings(max_examples=50)
@given(described_tables())
def test_any_names_make_one_valid_select_without_new_rows(made: tuple[Described, dict[str, Described]]) -> None:
    table, others = made
    for name, dialect in readable.DIALECTS.items():
        (parsed,) = sqlglot.parse(readable.select(table, others, dialect=dialect), read=name)
        assert isinstance(parsed, sqlglot.exp.Select)
    beside = readable.extras(table)
    wanted = [one for name in table.schema.names for one in (name, *(each.name for each in beside if each.of == name))]
    assert len({name.casefold() for name in wanted}) == len(wanted)
    with tempfile.TemporaryDirectory() as folder:
        for engine, dialect in ((_in_duckdb, STANDARD), (_in_datafusion, DATAFUSION)):
            found = engine(readable.select(table, others, dialect=dialect), others.values(), Path(folder))
            assert found.column_names == wanted
            assert found.num_rows == 3


def _in_duckdb(sql: str, others: Iterable[Described], _: Path) -> pa.Table:
    database = duckdb.connect()
    database.execute("CREATE SCHEMA raw")
    for other in others:
        database.register("held", _rows(other))
        database.execute(f"CREATE TABLE raw.{other.name} AS FROM held")
    return database.sql(sql).to_arrow_table()


def _in_datafusion(sql: str, others: Iterable[Described], folder: Path) -> pa.Table:
    builder = QueryBuilder()
    builder.execute("CREATE SCHEMA raw").read_all()
    for other in others:
        write_deltalake(str(folder / other.name), _rows(other))
        builder.register(other.name, DeltaTable(str(folder / other.name)))
        builder.execute(f"CREATE VIEW raw.{other.name} AS SELECT * FROM {other.name}").read_all()
    return pa.table(builder.execute(sql).read_all())


def _rows(table: Described) -> pa.Table:
    return pa.table([pa.array(_values(each.type), each.type) for each in table.schema], schema=table.schema)


def _values(kind: pa.DataType) -> list[Any]:
    if pa.types.is_list(kind):
        return [[one] * 2 if one is not None else None for one in _values(kind.value_type)]
    if pa.types.is_string(kind):
        return ["a|b", "a|b", None]
    return (
        [1, 1, None]
        if pa.types.is_integer(kind)
        else [True, True, None]
        if pa.types.is_boolean(kind)
        else [0.5, 1, None]
    )

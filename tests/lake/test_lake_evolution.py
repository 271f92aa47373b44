"""What a changed schema does to a table."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24lake.lake.columns import SYSTEM_COLUMNS, UNDECLARED, base_name, castable, comment, note
from b24lake.lake.evolution import REMOVED, SPLIT_FROM, Change, Evolution, evolve

STAMP = pa.timestamp("us", "UTC")
MONEY = pa.decimal128(38, 9)


def schema(**types: pa.DataType) -> pa.Schema:
    return pa.schema(list(types.items()))


def kinds(evolution: Evolution) -> list[tuple[str, str]]:
    return [(each.kind, each.column) for each in evolution.changes]


def test_a_new_table_has_the_columns_of_its_rows_and_ours_last() -> None:
    evolution = evolve(None, schema(_misfits=pa.string(), ID=pa.int64(), _synced_at=STAMP, A=pa.string()), full=True)
    assert evolution.schema.names == ["ID", "A", "_synced_at", "_misfits"]
    assert evolution == Evolution(evolution.schema)


@pytest.mark.parametrize("full", [True, False])
def test_the_same_columns_change_nothing(*, full: bool) -> None:
    held = schema(ID=pa.int64(), A=pa.list_(pa.string()), _synced_at=STAMP)
    assert evolve(held, held, full=full) == Evolution(held)


@pytest.mark.parametrize("full", [True, False])
def test_a_new_field_adds_a_column_before_ours(*, full: bool) -> None:
    evolution = evolve(schema(ID=pa.int64(), _synced_at=STAMP), schema(ID=pa.int64(), B=MONEY), full=full)
    assert evolution.schema.names == ["ID", "B", "_synced_at"]
    assert evolution.changes == (Change("added", "B", after="decimal(38,9)"),)


@pytest.mark.parametrize("full", [True, False])
def test_a_vanished_field_keeps_its_column_and_is_told_once(*, full: bool) -> None:
    first = evolve(schema(ID=pa.int64(), A=pa.string()), schema(ID=pa.int64()), full=full)
    assert first.changes == (Change("removed", "A", "string"),)
    assert note(first.schema.field("A"), REMOVED) == "true"
    second = evolve(first.schema, schema(ID=pa.int64()), full=full)
    assert (second.changes, second.schema.names) == ((), ["ID", "A"])
    back = evolve(second.schema, schema(ID=pa.int64(), A=pa.string()), full=full)
    assert back.changes == (Change("returned", "A", "string", "string"),)
    assert note(back.schema.field("A"), REMOVED) == ""


GROWN = pa.field("EXTRA", pa.string(), metadata={UNDECLARED: "true"})


@pytest.mark.parametrize("full", [True, False])
def test_a_column_that_only_rows_brought_may_be_missing_from_any_read(*, full: bool) -> None:
    held = pa.schema([pa.field("ID", pa.int64()), GROWN])
    without = evolve(held, schema(ID=pa.int64()), full=full)
    assert (without.changes, without.schema.equals(held, check_metadata=True)) == ((), True)
    again = evolve(without.schema, held, full=full)
    assert (again.changes, again.schema.equals(held, check_metadata=True)) == ((), True)


@pytest.mark.parametrize("full", [True, False])
def test_a_column_that_is_declared_later_is_one_like_others(*, full: bool) -> None:
    held = pa.schema([pa.field("ID", pa.int64()), GROWN])
    declared = evolve(held, schema(ID=pa.int64(), EXTRA=pa.string()), full=full)
    assert (declared.changes, note(declared.schema.field("EXTRA"), UNDECLARED)) == ((), "")
    gone = evolve(declared.schema, schema(ID=pa.int64()), full=full)
    assert kinds(gone) == [("removed", "EXTRA")]


def test_a_vanished_field_may_be_null_from_then_on() -> None:
    held = pa.schema([pa.field("ID", pa.int64(), nullable=False), pa.field("A", pa.string(), nullable=False)])
    evolution = evolve(held, held.remove(1), full=True)
    assert [each.nullable for each in evolution.schema] == [False, True]


RETYPES = [  # before, after, what a full read calls it, what an incremental read does
    (pa.int32(), pa.int64(), "widened", "X__LONG"),
    (pa.int64(), pa.float64(), "widened", "X__DOUBLE"),
    (pa.int64(), MONEY, "widened", "X__DECIMAL"),
    (pa.date32(), STAMP, "widened", "X__TIMESTAMP"),
    (pa.bool_(), pa.string(), "widened", "X__STRING"),
    (pa.list_(pa.string()), pa.string(), "widened", "X__STRING"),
    (pa.list_(pa.int64()), pa.list_(pa.string()), "widened", "X__ARRAY"),
    (pa.string(), pa.list_(pa.string()), "retyped", "X__ARRAY"),
    (pa.string(), pa.int64(), "retyped", "X"),
    (pa.float64(), pa.int64(), "retyped", "X"),
    (pa.string(), STAMP, "retyped", "X"),
    (MONEY, pa.int64(), "retyped", "X"),
    (pa.decimal128(10, 2), MONEY, "widened", "X__DECIMAL"),
    (MONEY, pa.decimal128(10, 2), "retyped", "X"),
    (pa.decimal128(20, 0), pa.int64(), "retyped", "X"),
    (pa.decimal128(10, 2), pa.int64(), "retyped", "X__LONG"),
    (pa.bool_(), pa.int64(), "retyped", "X__LONG"),
    (pa.string(), pa.binary(), "retyped", "X__BINARY"),
]


@pytest.mark.parametrize(("before", "after", "called", "home"), RETYPES)
def test_a_new_type(before: pa.DataType, after: pa.DataType, called: str, home: str) -> None:
    full = evolve(schema(ID=pa.int64(), X=before), schema(ID=pa.int64(), X=after), full=True)
    assert kinds(full) == [(called, "X")]
    assert (full.schema.field("X").type, full.renames, full.refresh) == (after, {}, False)

    part = evolve(schema(ID=pa.int64(), X=before), schema(ID=pa.int64(), X=after), full=False)
    assert part.schema.field("X").type == before
    assert kinds(part) == ([("split", home)] if home != "X" else [])
    assert part.renames == ({"X": home} if home != "X" else {})
    assert part.refresh
    if home != "X":
        assert part.schema.field(home).type == after
        assert note(part.schema.field(home), SPLIT_FROM) == "X"


def test_a_split_is_found_again_and_dropped_by_the_next_full_read() -> None:
    new = schema(ID=pa.int64(), X=pa.list_(pa.string()))
    first = evolve(schema(ID=pa.int64(), X=pa.string()), new, full=False)
    second = evolve(first.schema, new, full=False)
    assert (second.schema, second.changes, second.renames, second.refresh) == (
        first.schema,
        (),
        {"X": "X__ARRAY"},
        True,
    )
    full = evolve(second.schema, new, full=True)
    assert kinds(full) == [("retyped", "X"), ("dropped", "X__ARRAY")]
    assert full.schema.names == ["ID", "X"]


def test_two_splits_of_one_column_do_not_meet() -> None:
    held = schema(ID=pa.int64(), X=pa.string(), X__ARRAY=pa.string())
    first = evolve(held, schema(ID=pa.int64(), X=pa.list_(pa.string()), X__ARRAY=pa.string()), full=False)
    assert first.renames == {"X": "X__ARRAY_2"}
    second = evolve(first.schema, schema(ID=pa.int64(), X=pa.list_(pa.bool_()), X__ARRAY=pa.string()), full=False)
    assert second.renames == {"X": "X__ARRAY_3"}
    assert second.changes == (Change("split", "X__ARRAY_3", "string", "array<boolean>"),)


def test_a_users_field_that_looks_like_a_split_stays() -> None:
    held = schema(ID=pa.int64(), X__ARRAY=pa.string())
    assert kinds(evolve(held, schema(ID=pa.int64()), full=True)) == [("removed", "X__ARRAY")]


@pytest.mark.parametrize(("full", "name"), [(True, "title"), (False, "TITLE")])
def test_names_that_differ_in_case_are_one_column(*, full: bool, name: str) -> None:
    evolution = evolve(schema(TITLE=pa.string()), schema(title=pa.string()), full=full)
    assert (evolution.schema.names, evolution.changes) == ([name], ())
    assert evolution.renames == ({} if full else {"title": "TITLE"})


def test_rows_with_two_such_names_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="differ only in case"):
        evolve(None, schema(ID=pa.int64(), id=pa.int64()), full=True)


def test_a_full_read_renews_descriptions_and_never_loses_one() -> None:
    held = pa.schema([pa.field(name, pa.string(), metadata={"comment": f"old {name}"}) for name in "ABC"])
    new = pa.schema([pa.field("A", pa.string(), metadata={"comment": "new A"}), pa.field("B", pa.string())])
    after = evolve(held, new, full=True)
    assert [comment(each) for each in after.schema] == ["new A", "old B", "old C"]
    assert after.changes == (Change("relabeled", "A", "old A", "new A"), Change("removed", "C", "string"))


# --- what holds for all schemas ---------------------------------------------------------------------------------------

LEAVES = [
    pa.bool_(),
    pa.int32(),
    pa.int64(),
    pa.float64(),
    MONEY,
    pa.decimal128(10, 2),
    pa.date32(),
    STAMP,
    pa.string(),
]
TYPES = st.sampled_from([*LEAVES, *map(pa.list_, LEAVES[:3]), pa.map_(pa.string(), pa.string())])
NAMES = st.sampled_from(["A", "a", "B", "UF_1", "A__STRING", "a__long", "_synced_at", "_deleted_at"])


@st.composite
def schemas(draw: st.DrawFn) -> pa.Schema:
    names = draw(st.lists(NAMES, unique_by=str.casefold, max_size=6))
    return pa.schema([("ID", pa.int64()), *((name, draw(TYPES)) for name in names)])


HISTORIES = st.lists(st.tuples(schemas(), st.booleans()), min_size=1, max_size=6)


@given(HISTORIES)
def test_any_history_of_reads_keeps_the_promises(history: list[tuple[pa.Schema, bool]]) -> None:
    table: pa.Schema | None = None
    for new, full in history:
        after = evolve(table, new, full=full or table is None)
        names = after.schema.names
        assert len({name.casefold() for name in names}) == len(names)
        ours = [name for name in names if name in SYSTEM_COLUMNS]
        assert names[len(names) - len(ours) :] == sorted(ours, key=SYSTEM_COLUMNS.index)
        for each in new:
            home = after.schema.field(after.renames.get(each.name, each.name))
            assert home.type == each.type or (not full and castable(each.type, home.type))
        if full and table is not None:
            assert not any(note(each, SPLIT_FROM) and each.name not in new.names for each in after.schema)
        if not full and table is not None:
            assert all(after.schema.field(each.name).type == each.type for each in table)
        lost = set() if table is None else {name.casefold() for name in table.names} - {n.casefold() for n in names}
        assert lost == {change.column.casefold() for change in after.changes if change.kind == "dropped"}
        again = evolve(after.schema, new, full=full or table is None)
        assert (again.changes, again.schema.names) == ((), names)
        table = after.schema


@given(TYPES, TYPES)
def test_what_is_castable_can_be_cast(before: pa.DataType, after: pa.DataType) -> None:
    samples = {
        "boolean": [True],
        "integer": [2**31 - 1, -(2**31)],
        "long": [2**53, -(2**53)],
        "double": [0.1],
        "decimal": [Decimal("10000000.25")],
        "date": [0, 20_000],
        "timestamp": [0],
        "string": ["x"],
    }
    leaf = before.value_type if base_name(before) == "array" else before
    if castable(before, after) and base_name(leaf) in samples:
        values = pa.array(samples[base_name(leaf)], leaf)
        column = pa.array([values.to_pylist()], before) if leaf is not before else values
        assert column.cast(after).null_count == 0

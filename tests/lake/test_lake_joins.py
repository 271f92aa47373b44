"""Joins as SQL: names that SQL would misread, types that differ, texts with a prefix, lists; all of them are run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from b24lake.lake import joins
from b24lake.lake.joins import Join, Side
from b24lake.lake.query import query
from b24lake.lake.readable import Described, Reference

PEOPLE = pa.table({"ID": [1, 2], "order": ["Ann", "O'Neil"], "select": ["x", "y"]})
Made = tuple[Described, pa.Table]


def made(lake: Path, name: str, rows: pa.Table) -> Described:
    layer, _, table = name.partition(".")
    write_deltalake(str(lake / layer / table), rows)
    return Described(layer, table, rows.schema)


def joined(lake: Path, rows: pa.Table, other: pa.Table, reference: Reference, **more: Any) -> list[dict[str, Any]]:
    of, to = made(lake, "raw.my-deals", rows), made(lake, "trusted.people", other)
    join = Join(Side(of, "deals", ("ID",)), "who", Side(to, "people", ("ID",)), reference, **more)
    found: list[dict[str, Any]] = query(lake, f"{join.sql()}\nORDER BY ID, who").to_pylist()
    return found


BY_ID = Reference("people", "ID", ("order",))


def test_names_that_sql_would_misread_are_quoted(tmp_path: Path) -> None:
    found = joined(tmp_path, pa.table({"ID": [7], "who": [2]}), PEOPLE, Reference("people", "ID", ("order", "select")))
    assert found == [{"ID": 7, "who": 2, "people_order": "O'Neil", "people_select": "y"}]


@pytest.mark.parametrize(
    ("held", "key"),
    [
        (pa.array(["2", "x", None]), pa.array([1, 2], pa.int64())),
        (pa.array([2, 9, None], pa.int32()), pa.array(["1", "2"])),
        (pa.array([2, 9, None], pa.int64()), pa.array([1, 2], pa.int32())),
    ],
)
def test_keys_and_values_of_different_types_are_compared(tmp_path: Path, held: pa.Array, key: pa.Array) -> None:
    other = pa.table({"ID": key, "order": ["Ann", "Bob"]})
    found = joined(tmp_path, pa.table({"ID": [1, 2, 3], "who": held}), other, BY_ID)
    assert [row["people_order"] for row in found] == ["Bob", None, None]


@pytest.mark.parametrize(("alone", "names"), [(False, [None, "Ann", None, None]), (True, ["Ann", "Ann", None, None])])
def test_where_one_kind_is_all_there_can_be_the_prefix_may_be_missing(
    tmp_path: Path, alone: bool, names: list[str | None]
) -> None:
    rows = pa.table({"ID": [1, 2, 3, 4], "who": ["1", "C_1", "CO_2", None]})
    found = joined(tmp_path, rows, PEOPLE, BY_ID, prefix="C_", alone=alone)
    assert [row["people_order"] for row in found] == names


def test_a_list_gives_a_row_for_each_of_its_entries(tmp_path: Path) -> None:
    rows = pa.table({"ID": [1, 2, 3], "who": [[2, 1], [], [5]], "kind": ["a", "a", "a"]})
    found = joined(tmp_path, rows, PEOPLE, Reference("people", "ID", ("order",), when=(("kind", "a"),)))
    assert [(row["ID"], row["who"], row["people_order"]) for row in found] == [
        (1, 1, "Ann"),
        (1, 2, "O'Neil"),
        (3, 5, None),
    ]


def test_a_reference_applies_to_some_rows_only(tmp_path: Path) -> None:
    rows = pa.table({"ID": [1, 2], "who": [1, 1], "kind": ["it's", "b"]})
    found = joined(tmp_path, rows, PEOPLE, Reference("people", "ID", ("order",), when=(("kind", "it's"),)))
    assert [row["people_order"] for row in found] == ["Ann", None]


def test_rows_of_one_directory_or_of_all_that_are_numbered(tmp_path: Path) -> None:
    other = pa.table({"ID": ["a", "b", "c"], "order": ["A", "B", "C"], "of": ["S", "S_12", "SX"]})
    reference = Reference("people", "ID", ("order",), where=(("of", "S"),), family=True)
    found = joined(tmp_path, pa.table({"ID": [1, 2, 3], "who": ["a", "b", "c"]}), other, reference)
    assert [row["people_order"] for row in found] == ["A", "B", None]


def test_a_choice_stands_in_a_list_of_its_field(tmp_path: Path) -> None:
    other = pa.table({"id": ["F", "G"], "items": [[{"ID": "1", "VALUE": "yes"}], [{"ID": "1", "VALUE": "no"}]]})
    reference = Reference("people", "ID", ("VALUE",), (("id", "F"),), items="items")
    found = joined(tmp_path, pa.table({"ID": [1, 2], "who": [1, 3]}), other, reference)
    assert [row["choices_VALUE"] for row in found] == ["yes", None]


def test_a_table_is_joined_with_itself(tmp_path: Path) -> None:
    rows = pa.table({"ID": [1, 2], "NAME": ["top", "below"], "PARENT": [None, 1]})
    side = Side(made(tmp_path, "raw.departments", rows), "departments", ("ID", "NAME"))
    sql = Join(side, "PARENT", side, Reference("departments", "ID", ("NAME",))).sql()
    assert query(tmp_path, f"{sql}\nORDER BY ID").column("departments_2_NAME").to_pylist() == [None, "top"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"A": 3}', '{"A": ["deals"]}'])
def test_what_a_property_says_in_another_form_is_nothing(text: str) -> None:
    assert joins.links_of({joins.LINKS: text}) == {}


def test_links_are_read_as_they_were_written() -> None:
    links = {"A": {"deals": "D_"}, "Ж": {"spa_128": "T80_", "leads": "L_"}}
    assert joins.links_of(joins.as_properties(links)) == links
    assert joins.as_properties({"A": {}}) == {joins.LINKS: ""}

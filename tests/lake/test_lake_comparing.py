"""Two versions of a table compared."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import example, given
from hypothesis import strategies as st
from lake_rows import Deals, rows, with_columns

from b24lake.errors import UsageError
from b24lake.lake.comparing import Comparison, RowChange, bundles, compare
from b24lake.lake.evolution import Change
from b24lake.lake.files import reopened


def compared(deals: Deals, before: int, after: int, **more: Any) -> Comparison:
    return compare(deals.path, reopened(deals.path, before), reopened(deals.path, after), **more)


def test_rows_that_are_new_gone_and_changed_are_told(deals: Deals) -> None:
    deals.full(rows([1, 2, 3]))
    deals.full(pa.concat_tables([rows([1], run=1), rows([2], title="new", SUM=12, run=1), rows([4], run=1)]))
    found = compared(deals, 0, 2)
    assert (found.key, found.added, found.removed, found.changed) == ("ID", 1, 1, 1)
    assert found.columns == {"TITLE": 1, "SUM": 1}
    assert [(each.kind, each.key) for each in found.rows] == [("changed", 2), ("removed", 3), ("added", 4)]
    changed, removed, added = found.rows
    assert (changed.before["TITLE"], changed.after["TITLE"]) == ("deal 2", "new 2")
    assert changed.before.keys() == changed.after.keys() == {"TITLE", "SUM"}
    assert (removed.before["TITLE"], removed.after) == ("deal 3", {})
    assert (added.after["TITLE"], added.before) == ("deal 4", {})
    assert not found.truncated
    assert found.schema == ()


def test_the_other_way_round_it_is_the_opposite(deals: Deals) -> None:
    deals.full(rows([1, 2, 3]))
    deals.merge(pa.concat_tables([rows([2], title="new"), rows([4])]))
    there, back = compared(deals, 0, 2), compared(deals, 2, 0)
    assert (there.added, there.removed, there.changed) == (back.removed, back.added, back.changed) == (1, 0, 1)
    assert back.rows[0] == RowChange("changed", 2, there.rows[0].after, there.rows[0].before)
    same = compared(deals, 2, 2)
    assert (same.added, same.removed, same.changed, same.rows) == (0, 0, 0, ())


def test_a_row_that_was_only_written_again_has_not_changed(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("b24lake.lake.differing.COMPARED_ROWS", 0)  # so that all rows get the time of their run
    deals.full(rows([1, 2, 3]))
    deals.full(rows([1, 2, 3], run=5))
    assert deals.read()[1]["_synced_at"] != DeltaTable(str(deals.path), version=0).to_pyarrow_table()["_synced_at"][0]
    assert compared(deals, 0, deals.delta().version()).changed == 0


def test_lists_maps_and_nulls_are_compared_by_their_values(deals: Deals) -> None:
    deals.full(rows([1, 2, 3, 4]))
    deals.full(
        pa.concat_tables(
            [
                rows([1], PHONE=[{"ID": "1", "VALUE": "+8"}]),
                rows([2], TITLE=None),
                rows([3], _misfits=[("SUM", "much")]),
                rows([4]),
            ]
        )
    )
    found = compared(deals, 0, 2)
    assert found.columns == {"PHONE": 1, "TITLE": 1, "_misfits": 1}
    assert [each.key for each in found.rows] == [1, 2, 3]
    assert found.rows[1].after == {"TITLE": None}
    assert found.rows[2].after == {"_misfits": {"SUM": "much"}}


def test_columns_that_came_went_or_got_another_type(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    wide = with_columns(pa.field("CITY", pa.string()), pa.field("SUM", pa.string()))
    deals.full(
        pa.concat_tables([rows([1], schema=wide, SUM="10.00", CITY=None), rows([2], schema=wide, SUM="x", CITY="Perm")])
    )
    found = compared(deals, 0, 2)
    assert found.schema == (
        Change("added", "CITY", after="string"),
        Change("retyped", "SUM", "decimal(18,2)", "string"),
    )
    assert (found.changed, found.columns) == (1, {"CITY": 1, "SUM": 1})
    assert found.rows[0].before == {"CITY": None, "SUM": "10.00"}
    back = compared(deals, 2, 0)
    assert back.schema == (
        Change("removed", "CITY", "string"),
        Change("retyped", "SUM", "string", "decimal(18,2)"),
    )
    assert back.columns == {"CITY": 1, "SUM": 1}
    assert (back.rows[0].before, back.rows[0].after["CITY"]) == ({"CITY": "Perm", "SUM": None}, None)


def test_as_many_rows_are_listed_as_were_asked_for_by_their_keys(deals: Deals) -> None:
    deals.full(rows([*range(100, 200)]))
    deals.full(pa.concat_tables([rows(range(150, 180), title="new"), rows(range(1, 50))]), accept=True)
    for limit in (0, 1, 60, 1000):
        found = compared(deals, 0, 2, limit=limit)
        assert (found.added, found.removed, found.changed) == (49, 70, 30)
        assert [each.key for each in found.rows] == [*range(1, 50), *range(100, 200)][:limit]
        assert found.truncated == (limit < 149)


@pytest.mark.parametrize("bound", [1, 300, 2_000, 10**9])
@pytest.mark.parametrize("seed", range(3))
def test_however_little_fits_in_memory_the_answer_is_the_same(deals: Deals, seed: int, bound: int) -> None:
    dice = random.Random(seed)
    model: list[dict[int, str]] = []
    state: dict[int, str] = {}
    for number in range(3):
        state = {key: value for key, value in state.items() if dice.random() < 0.8}
        state |= {dice.randrange(40): f"{number} {dice.random()}" for _ in range(12)}
        keys = dice.sample(sorted(state), len(state))
        deals.full(pa.concat_tables([rows([key], TITLE=state[key]) for key in keys]), accept=True)
        model.append(state)
    versions = [0, 2, 3]
    for before in range(3):
        for after in range(3):
            old, new = model[before], model[after]
            found = compared(deals, versions[before], versions[after], bound=bound, limit=1000)
            kinds: dict[str, set[int]] = {"added": set(), "removed": set(), "changed": set()}
            for row in found.rows:
                kinds[row.kind].add(row.key)
            assert kinds["added"] == new.keys() - old.keys()
            assert kinds["removed"] == old.keys() - new.keys()
            assert kinds["changed"] == {key for key in old.keys() & new.keys() if old[key] != new[key]}
            for row in found.rows:
                assert row.before.get("TITLE") == (old.get(row.key) if row.kind != "added" else None)
                assert row.after.get("TITLE") == (new.get(row.key) if row.kind != "removed" else None)


def test_files_that_both_versions_have_are_not_read(deals: Deals) -> None:
    deals.full(rows(range(1, 100)))
    (common,) = deals.delta().file_uris()
    deals.merge(rows([500, 501]))
    Path(common).unlink()
    found = compared(deals, 0, 2)
    assert (found.added, found.removed, found.changed) == (2, 0, 0)


@example(sizes=[2, 0], rows_=1, bound=1)
@given(sizes=st.lists(st.integers(0, 50), max_size=10), rows_=st.integers(0, 100), bound=st.integers(1, 2000))
def test_columns_are_read_together_as_far_as_they_fit(sizes: list[int], rows_: int, bound: int) -> None:
    fields = [pa.field(str(number), pa.string()) for number in range(len(sizes))]
    widths = {str(number): float(size) for number, size in enumerate(sizes)}
    found = bundles(fields, widths, rows_, bound)
    assert sorted(each.name for bundle, _ in found for each in bundle) == sorted(widths)
    for bundle, step in found:
        assert step >= 1
        taking = [widths[each.name] for each in bundle if widths[each.name]]
        assert sum(taking) * step <= bound or (len(taking), step) == (1, 1) or rows_ == 0


def test_keys_may_be_text(deals: Deals) -> None:
    text = with_columns(pa.field("ID", pa.string(), nullable=False))
    deals.full(rows(["C1:NEW", "C1:WON"], schema=text))
    deals.full(rows(["C1:WON", "C2:NEW"], schema=text, run=1))
    found = compared(deals, 0, 2)
    assert [(each.kind, each.key) for each in found.rows] == [("removed", "C1:NEW"), ("added", "C2:NEW")]


def test_the_key_is_the_one_that_the_table_names(deals: Deals) -> None:
    deals.full(rows([1]))
    assert deals.delta().metadata().configuration["b24lake.key"] == "ID"


def report(lake: Path, *values: dict[str, list[Any]], **options: Any) -> Deals:
    found = Deals(lake)
    for each in values:
        write_deltalake(str(found.path), pa.table(each), mode="overwrite", schema_mode="overwrite", **options)
    return found


def test_a_table_of_another_program_needs_its_key_named(tmp_path: Path) -> None:
    other = report(tmp_path, {"code": ["a", "b"], "n": [1, 2]}, {"code": ["b", "c"], "n": [3, 4]})
    with pytest.raises(UsageError, match=r"Nobody knows what tells the rows .* apart.*--key"):
        compared(other, 0, 1)
    with pytest.raises(UsageError, match="There is no column 'id'"):
        compared(other, 0, 1, key="id")
    found = compared(other, 0, 1, key="code")
    assert (found.added, found.removed, found.changed) == (1, 1, 1)


def test_a_key_that_stands_for_several_rows_is_refused(tmp_path: Path) -> None:
    other = report(tmp_path, {"id": [1, 1]}, {"id": [1, 2]})
    with pytest.raises(UsageError, match="cannot be told apart by 'id'"):
        compared(other, 0, 1)


def test_a_partitioned_table_is_refused(tmp_path: Path) -> None:
    other = report(tmp_path, {"id": [1], "day": ["a"]}, {"id": [1], "day": ["b"]}, partition_by=["day"])
    with pytest.raises(UsageError, match="partitioned"):
        compared(other, 0, 1)

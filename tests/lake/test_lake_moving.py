"""A table as a whole: described, grouped, moved, renamed, deleted; its history goes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from lake_rows import Deals, rows

from b24lake.errors import UsageError
from b24lake.lake import moving
from b24lake.lake.catalog import describe, tables
from b24lake.lake.table import bookmark
from running import Lake


def test_a_moved_table_keeps_versions_bookmark_and_what_is_staged(deals: Deals) -> None:
    deals.full(rows([1, 2]), mark=1000)
    deals.merge(rows([3], run=1), mark=2000)
    deals.stage(rows([4]))
    before = describe(deals.lake, "raw.bitrix24_deals")
    wanted = moving.target(deals.lake, deals.path, layer="trusted")
    moving.move(deals.path, wanted)
    assert wanted == deals.lake / "trusted" / "bitrix24_deals"
    assert not deals.path.exists()
    after = describe(deals.lake, "bitrix24_deals")
    assert (after.info.layer, after.versions, after.columns) == ("trusted", before.versions, before.columns)
    assert bookmark(wanted, "time", "asked") == 2000
    assert DeltaTable(str(wanted), version=0).to_pyarrow_table().num_rows == 2
    assert (wanted / "_staging").is_dir()


def test_a_renamed_table_stays_in_its_layer(deals: Deals) -> None:
    deals.full(rows([1]))
    wanted = moving.target(deals.lake, deals.path, name="sales")
    moving.move(deals.path, wanted)
    assert [each.sql_name for each in tables(deals.lake)] == ["raw.sales"]


TARGETS: list[tuple[dict[str, str], str]] = [
    ({"layer": "gold"}, "no layer 'gold'"),
    ({"layer": "raw"}, "it is the table itself"),
    ({"layer": "service"}, "has 'Bitrix24_Deals' already"),
    ({"name": "bitrix24_deals"}, "it is the table itself"),
    ({"name": "Bitrix24_Users"}, "has 'bitrix24_users' already"),
    ({"name": "begun"}, "has 'begun' already"),
    ({"name": "a/b"}, "cannot be the name of a table"),
    ({"name": "a.b"}, "cannot be the name of a table"),
    ({"name": "table"}, "a word of SQL"),
    ({"name": "x" * 300}, "1 to 128 letters"),
    ({"name": ""}, "cannot be the name of a table"),
]


@pytest.mark.parametrize(("where", "said"), TARGETS, ids=[str(each)[:30] for each, _ in TARGETS])
def test_a_place_that_cannot_be_is_refused(deals: Deals, where: dict[str, Any], said: str) -> None:
    deals.full(rows([1]))
    write_deltalake(str(deals.lake / "raw" / "bitrix24_users"), pa.table({"a": [1]}))
    write_deltalake(str(deals.lake / "service" / "Bitrix24_Deals"), pa.table({"a": [1]}))
    (deals.lake / "raw" / "begun" / "_staging").mkdir(parents=True)
    with pytest.raises(UsageError, match=said):
        moving.target(deals.lake, deals.path, **where)
    assert deals.path.is_dir()


def test_a_name_may_change_its_case(deals: Deals) -> None:
    deals.full(rows([1]))
    moving.move(deals.path, moving.target(deals.lake, deals.path, name="Bitrix24_Deals"))
    assert [each.name for each in tables(deals.lake)] == ["Bitrix24_Deals"]


def test_description_and_folder_are_in_the_table_for_every_reader(deals: Deals) -> None:
    deals.full(rows([1]))
    for text in ("Что мы продаём", ""):
        moving.describe(deals.path, text, "by-hand")
        assert deals.delta().metadata().description == text
        assert tables(deals.lake)[0].description == text
    for folder in ("sales & more", ""):
        moving.put_in_folder(deals.path, folder, "by-hand")
        assert deals.delta().metadata().configuration["b24lake.folder"] == folder
        assert tables(deals.lake)[0].folder == folder
    assert tables(deals.lake)[0].run_id == "by-hand"


def test_what_is_so_already_writes_no_version(deals: Deals) -> None:
    deals.full(rows([1]))
    moving.describe(deals.path, "Deals", "by-hand")
    before = deals.delta().version()
    moving.describe(deals.path, "Deals", "by-hand")
    moving.put_in_folder(deals.path, "bitrix24", "by-hand")
    assert deals.delta().version() == before


@pytest.mark.parametrize("folder", ["x" * 129, "a\nb", " a", "a "])
def test_a_folder_that_cannot_be_is_refused(deals: Deals, folder: str) -> None:
    deals.full(rows([1]))
    with pytest.raises(UsageError, match="folder cannot be named"):
        moving.put_in_folder(deals.path, folder, "by-hand")


def test_a_description_has_an_end(deals: Deals) -> None:
    deals.full(rows([1]))
    moving.describe(deals.path, "x" * 4000, "by-hand")
    with pytest.raises(UsageError, match="at most 4,000 signs"):
        moving.describe(deals.path, "x" * 4001, "by-hand")


def test_a_deleted_table_leaves_nothing(deals: Deals) -> None:
    deals.full(rows([1]))
    moving.delete(deals.path)
    assert tables(deals.lake) == ()
    assert [each.name for each in deals.lake.rglob("*")] == ["raw"]


def test_a_table_of_another_program_is_left_alone(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "raw" / "theirs"), pa.table({"a": [1]}))
    with pytest.raises(UsageError, match="was not made by b24lake"):
        moving.ours(tmp_path, "theirs")


def test_in_an_object_store_a_table_is_described_and_deleted_but_not_moved(far_lake: Lake) -> None:
    deals = Deals(far_lake.path)
    deals.full(rows([1]))
    path = moving.ours(deals.lake, "bitrix24_deals")
    wanted = moving.target(deals.lake, path, layer="trusted")
    with pytest.raises(UsageError, match=r"an object store has no folders.*b24lake table folder"):
        moving.move(path, wanted)
    moving.describe(path, "Ours", "by-hand")
    moving.put_in_folder(path, "sales", "by-hand")
    (told,) = tables(deals.lake)
    assert (told.sql_name, told.description, told.folder) == ("raw.bitrix24_deals", "Ours", "sales")
    moving.delete(path)
    assert tables(deals.lake) == ()
    assert not path.exists()

"""What is in a lake."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from lake_rows import Deals, rows, with_columns

from b24lake.errors import StreamError, UsageError
from b24lake.lake.catalog import ColumnInfo, describe, find, tables


def test_no_lake_and_an_empty_one_have_no_tables(tmp_path: Path) -> None:
    assert tables(tmp_path / "none") == ()
    (tmp_path / "raw" / "empty").mkdir(parents=True)
    assert tables(tmp_path) == ()


def test_a_lake_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lake").touch()
    for look in (lambda: tables(tmp_path / "lake"), lambda: find(tmp_path / "lake", "raw.bitrix24_deals")):
        with pytest.raises(UsageError, match="is not a folder"):
            look()


def test_tables_are_listed_with_what_their_log_tells(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    deals.merge(rows([3]))
    write_deltalake(str(deals.lake / "trusted" / "report"), pa.table({"a": [1]}))
    deals.stage(rows([4]))
    (deals.lake / "raw" / "only_staged" / "_staging").mkdir(parents=True)
    ours, theirs = tables(deals.lake)
    assert (
        ours.sql_name,
        ours.folder,
        ours.source,
        ours.stream,
        ours.portal,
        ours.rows,
        ours.version,
        ours.run_id,
    ) == (
        "raw.bitrix24_deals",
        "bitrix24",
        "sales",
        "deals",
        "portal-1",
        3,
        2,
        "run-2",
    )
    assert ours.bytes > 0
    assert ours.committed_at is not None
    assert abs(ours.committed_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert (theirs.sql_name, theirs.stream, theirs.portal, theirs.rows, theirs.run_id) == (
        "trusted.report",
        "",
        "",
        1,
        "",
    )


@pytest.mark.parametrize("damage", ["{", ""])
def test_a_broken_table_is_listed_with_its_error(deals: Deals, damage: str) -> None:
    deals.full(rows([1]))
    broken = deals.lake / "raw" / "a_broken" / "_delta_log"
    broken.mkdir(parents=True)
    (broken / f"{0:020}.json").write_text(damage)
    first, second = tables(deals.lake)
    assert (first.name, first.rows, first.version) == ("a_broken", None, None)
    assert "a_broken" in first.error
    assert (second.name, second.error) == ("bitrix24_deals", "")
    with pytest.raises(StreamError, match="a_broken"):
        describe(deals.lake, "a_broken")


def test_a_log_without_a_version_is_told(deals: Deals) -> None:
    (deals.path / "_delta_log").mkdir(parents=True)
    (info,) = tables(deals.lake)
    assert "holds no version" in info.error


def test_a_table_is_described_by_columns_properties_and_versions(deals: Deals) -> None:
    deals.full(rows([1, 2]), mark=1)
    deals.merge(rows([2, 3], title="new", run=1))
    wide = with_columns(pa.field("CITY", pa.string()))
    deals.full(rows([3, 4], schema=wide, CITY="Perm"))
    details = describe(deals.lake, "bitrix24_deals")
    assert details == describe(deals.lake, "raw.bitrix24_deals")
    assert details.info.rows == 2
    assert details.columns[:4] == (
        ColumnInfo("ID", "long", "Deal", nullable=False),
        ColumnInfo("TITLE", "string", "Title", nullable=True),
        ColumnInfo("SUM", "decimal(18,2)", "", nullable=True),
        ColumnInfo("PHONE", "array<struct<ID:string,VALUE:string>>", "", nullable=True),
    )
    assert details.properties["b24lake.stream"] == "deals"
    told = [(each.version, each.run_id, each.inserted, each.updated, each.deleted) for each in details.versions]
    assert told == [
        (3, "run-3", 1, 1, 2),
        (2, "run-2", 1, 1, 0),
        (1, "run-1", None, None, None),
        (0, "run-1", 2, None, 0),
    ]
    newest = details.versions[0].metadata
    assert (newest["sync_type"], newest["rows_read"]) == ("any", "2")
    assert details.versions[1].metadata["rows_read"] == "2"
    assert json.loads(newest["changes"])[0]["column"] == "CITY"


def test_a_table_is_found_by_its_name(deals: Deals) -> None:
    deals.full(rows([1]))
    assert find(deals.lake, "raw.bitrix24_deals") == find(deals.lake, "bitrix24_deals") == deals.path


def test_a_name_in_two_layers_needs_its_layer(deals: Deals) -> None:
    deals.full(rows([1]))
    write_deltalake(str(deals.lake / "trusted" / "bitrix24_deals"), pa.table({"a": [1]}))
    assert find(deals.lake, "raw.bitrix24_deals") == deals.path
    with pytest.raises(UsageError, match=r"several layers.*raw, trusted.*LAYER\.bitrix24_deals"):
        find(deals.lake, "bitrix24_deals")


NAMES = [
    ("deals", r"did you mean raw\.bitrix24_deals"),
    ("raw.bitrix24_deal", r"did you mean raw\.bitrix24_deals"),
    ("Raw.Bitrix24_Deals", r"did you mean raw\.bitrix24_deals"),
    ("xyz", "lists what there is"),
    ("", "lists what there is"),
]


@pytest.mark.parametrize(("name", "advice"), NAMES)
def test_an_unknown_name_is_answered_with_the_nearest(deals: Deals, name: str, advice: str) -> None:
    deals.full(rows([1]))
    with pytest.raises(UsageError, match=advice):
        find(deals.lake, name)


def test_in_an_empty_lake_nothing_is_near(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no tables yet"):
        find(tmp_path, "deals")

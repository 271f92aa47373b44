"""A table that somebody else's program changed between two runs: right rows or a clear error, never silent damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from b24lake.errors import StreamError, UsageError
from b24lake.sandbox import Server
from running import Lake

Change = Callable[[Lake], None]


def table(lake: Lake) -> DeltaTable:
    return DeltaTable(lake.table("deals"))


def titles(lake: Lake) -> dict[int, str]:
    found = table(lake).to_pyarrow_table().to_pylist()
    assert len({row["ID"] for row in found}) == len(found)
    return {row["ID"]: row["TITLE"] for row in found}


def truth(server: Server) -> dict[int, str]:
    return {int(row["ID"]): row["TITLE"] for row in server.portal.truth("deals")}


def appended(lake: Lake) -> None:
    rows = table(lake).to_pyarrow_table().slice(0, 2).to_pylist()
    strange = pa.Table.from_pylist([{**row, "ID": 900_000 + number} for number, row in enumerate(rows)])
    write_deltalake(lake.table("deals"), strange.select(["ID", "TITLE"]), mode="append", schema_mode="merge")


def column_added(lake: Lake) -> None:
    table(lake).alter.add_columns([deltalake.Field("theirs", "string")])


def overwritten(lake: Lake) -> None:
    few = table(lake).to_pyarrow_table().slice(0, 3)
    write_deltalake(lake.table("deals"), few, mode="overwrite")


def updated(lake: Lake) -> None:
    table(lake).update(updates={"TITLE": "'spoilt'"})


def deleted(lake: Lake) -> None:
    table(lake).delete("ID % 2 = 0")


def restored(lake: Lake) -> None:
    table(lake).restore(0)


def vacuumed(lake: Lake) -> None:
    table(lake).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


def optimized(lake: Lake) -> None:
    table(lake).optimize.compact()
    table(lake).optimize.z_order(["ID"])


def log_cleaned(lake: Lake) -> None:
    table(lake).create_checkpoint()
    table(lake).alter.set_table_properties({"delta.logRetentionDuration": "interval 0 days"})
    table(lake).cleanup_metadata()


def folder_gone(lake: Lake) -> None:
    shutil.rmtree(lake.table("deals"))


HARMLESS: list[Change] = [column_added, vacuumed, optimized, log_cleaned, folder_gone]
MENDED: list[Change] = [appended, overwritten, updated, deleted, restored]


def changed_portal(server: Server) -> tuple[int, str]:
    """One row changes, one comes, one goes: returns this one."""
    before = truth(server)
    first, second, *_ = sorted(before)
    server.portal.change("deals", first, {"TITLE": "changed"})
    server.portal.delete("deals", second)
    server.portal.create("deals", {"TITLE": "created"})
    return second, before[second]


@pytest.fixture
def prepared(serve: Callable[..., Server], lake: Lake) -> Server:
    """A portal, and a table of its deals in its third version or later."""
    server = serve()
    lake.sync(server.url, "deals")
    for title in ("one", "two"):
        server.portal.change("deals", min(truth(server)), {"TITLE": title})
        lake.sync(server.url, "deals")
    return server


@pytest.mark.parametrize("change", [*MENDED, *(pytest.param(each, marks=pytest.mark.slow) for each in HARMLESS)])
def test_a_full_read_makes_the_table_right_again(prepared: Server, lake: Lake, change: Change) -> None:
    change(lake)
    changed_portal(prepared)
    report = lake.sync(prepared.url, "deals", full=True, accept_deletions=True)
    assert report.status == "success"
    assert titles(lake) == truth(prepared)


@pytest.mark.parametrize("change", HARMLESS)
def test_what_leaves_the_rows_alone_does_not_disturb_an_incremental_read(
    prepared: Server, lake: Lake, change: Change
) -> None:
    change(lake)
    gone = changed_portal(prepared)
    report = lake.sync(prepared.url, "deals")
    assert (report.status, report.notes) == ("success", [])
    kept = {} if change is folder_gone else {gone[0]: gone[1]}  # until the next full read
    assert titles(lake) == {**truth(prepared), **kept}


@pytest.mark.parametrize("change", MENDED)
def test_where_another_program_changed_rows_all_are_read(prepared: Server, lake: Lake, change: Change) -> None:
    change(lake)
    changed_portal(prepared)
    report = lake.sync(prepared.url, "deals")
    assert report.status == "success"
    assert [note for note in report.notes if "another program has changed its rows" in note]
    assert titles(lake) == truth(prepared)
    assert lake.sync(prepared.url, "deals").notes == []


def test_another_programs_column_stays_and_is_empty_once_all_is_read_again(prepared: Server, lake: Lake) -> None:
    column_added(lake)
    table(lake).update(updates={"theirs": "'filled'"})
    changed_portal(prepared)
    assert lake.sync(prepared.url, "deals").status == "success"
    assert set(table(lake).to_pyarrow_table().column("theirs").to_pylist()) == {None}
    assert titles(lake) == truth(prepared)


def test_a_table_whose_properties_are_gone_is_still_known_by_its_first_commit(prepared: Server, lake: Lake) -> None:
    rows = table(lake).to_pyarrow_table()
    write_deltalake(lake.table("deals"), rows, mode="overwrite", schema_mode="overwrite", configuration={})
    changed_portal(prepared)
    assert lake.sync(prepared.url, "deals", full=True).status == "success"
    assert titles(lake) == truth(prepared)


def test_a_table_that_somebody_made_in_its_place_is_refused(prepared: Server, lake: Lake) -> None:
    shutil.rmtree(lake.table("deals"))
    write_deltalake(lake.table("deals"), pa.table({"ID": [1]}))
    with pytest.raises(UsageError, match="was not made by b24lake"):
        lake.sync(prepared.url, "deals")
    assert table(lake).to_pyarrow_table().to_pylist() == [{"ID": 1}]


@pytest.mark.parametrize("damage", ["file", "log", "gap"])
def test_damage_is_a_clear_error_and_nothing_is_overwritten(prepared: Server, lake: Lake, damage: str) -> None:
    folder = Path(lake.table("deals"))
    if damage == "file":
        for file in folder.glob("part-*.parquet"):
            file.write_bytes(b"PAR1")
    elif damage == "log":
        max((folder / "_delta_log").glob("*.json")).write_text("{")
    else:
        (folder / "_delta_log" / f"{1:020}.json").unlink()
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    changed_portal(prepared)
    try:
        report = lake.sync(prepared.url, "deals", "users", full=damage == "file")
        told = {line.name: line.error or "" for line in report.streams}["deals"]
    except StreamError as error:  # a run that ends before it begins
        told = str(error)
    assert "Fix:" in told
    after = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert {file: content for file, content in after.items() if file in before} == before

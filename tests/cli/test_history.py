"""Travelling in time on the command line: history, diff, restore, retention, vacuum, bookmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from aging import aged
from b24lake.sandbox import Server
from b24lake.sync.home import Home, lock_name
from running import Lake, Ran

Run = Callable[..., Ran]
DEALS = "raw.bitrix24_deals"


@pytest.fixture
def portal(serve: Callable[..., Server], lake: Lake) -> Server:
    """A portal whose deals have been read twice: versions 0 and 1 hold 260, version 2 one more, and one is another."""
    server = serve()
    lake.sync(server.url, "deals", "status_list")
    server.portal.change("deals", 2, {"TITLE": "Window"})
    server.portal.create("deals", {"TITLE": "Door"})
    lake.sync(server.url, "deals")
    return server


def test_history_and_show_tell_of_earlier_versions(portal: Server, b24lake: Run) -> None:
    told = b24lake("history", DEALS, "--json").json
    assert told["table"] == DEALS
    newest, properties, first = told["versions"]
    assert (newest["did"], newest["inserted"], newest["updated"], newest["readable"]) == ("changes read", 1, 1, True)
    assert (first["did"], first["inserted"], first["metadata"]["sync_type"]) == ("first read", 260, "INCREMENTAL")
    assert (properties["did"], properties["version"]) == ("properties", 1)
    assert "changes read" in b24lake("history", "bitrix24_deals").out
    short = b24lake("history", "bitrix24_deals", "--limit", "1")
    assert ("changes read" in short.out, "first read" in short.out, "older ones" in short.err) == (True, False, True)
    assert b24lake("show", DEALS, "--as-of", "1", "--json").json["info"]["rows"] == 260
    assert b24lake("show", DEALS, "--as-of", newest["at"], "--json").json["info"]["rows"] == 261
    assert b24lake("show", DEALS, "--as-of", first["at"][:23], "--json").json["info"]["version"] == 0
    assert "260 rows" in b24lake("show", DEALS, "--as-of", "0").out


WRONG = [
    (("show", DEALS, "--as-of", "99"), f"There is no version 99 of {DEALS}"),
    (("show", DEALS, "--as-of", "2001-01-01"), "does not go back to 2001-01-01 00:00:00 UTC"),
    (("show", DEALS, "--as-of", "noon"), "neither a version nor a time"),
    (("diff", DEALS, "0", "99"), "There is no version 99"),
    (("diff", DEALS, "0", "1", "--limit", "-1"), "--limit is negative"),
    (("diff", DEALS, "0", "1", "--key", "NOBODY"), "There is no column 'NOBODY'"),
    (("history", DEALS, "--limit", "0"), "--limit is less than 1"),
    (("history", "raw.bitrix24_dels"), "did you mean raw.bitrix24_deals"),
    (("restore", DEALS, "99"), "There is no version 99"),
    (("restore", DEALS, "2001-01-01"), "does not go back"),
    (("retention", DEALS, "--log", "12h"), "whole days"),
    (("retention", DEALS, "--log", "long"), "'long' is not a duration"),
    (("bookmark", "set", DEALS, "2999-01-01"), "has not come yet"),
    (("bookmark", "set", DEALS, "17"), "is not a time"),
    (("bookmark", "set", "raw.bitrix24_status_list", "2026-01-01"), "has no bookmark"),
    (("bookmark", "reset", "raw.bitrix24_status_list"), "has no bookmark"),
    (("vacuum", "raw.nothing"), "There is no table"),
]


@pytest.mark.slow
def test_wrong_input_is_named_and_changes_nothing(portal: Server, lake: Lake, b24lake: Run) -> None:
    for words, said in WRONG:
        ran = b24lake(*words)
        assert (ran.code, said in ran.err) == (2, True), ran.said
    assert DeltaTable(lake.table("deals")).version() == 2


def test_diff_tells_rows_and_columns(portal: Server, b24lake: Run) -> None:
    found = b24lake("diff", DEALS, "0", "2", "--json").json
    assert (found["before"], found["after"], found["key"]) == (0, 2, "ID")
    assert (found["added"], found["removed"], found["changed"], found["truncated"]) == (1, 0, 1, False)
    assert found["columns"] == {"TITLE": 1, "DATE_MODIFY": 1}
    changed, added = found["rows"]
    assert (changed["kind"], changed["key"], changed["after"]["TITLE"]) == ("changed", 2, "Window")
    assert (added["kind"], added["after"]["TITLE"]) == ("added", "Door")
    assert len(b24lake("diff", DEALS, "0", "2", "--json", "--limit", "1").json["rows"]) == 1
    shown = b24lake("diff", DEALS, "0", "2")
    assert "1 row added, 0 removed, 1 changed" in shown.out
    assert "Window" in shown.out
    assert "only the first 1 rows" in b24lake("diff", DEALS, "0", "2", "--limit", "1").err


def test_restore_is_a_version_that_the_next_run_goes_on_from(portal: Server, lake: Lake, b24lake: Run) -> None:
    then = b24lake("bookmark", "show", DEALS, "--json").json["bookmark"]
    b24lake("bookmark", "set", DEALS, "2026-01-31")
    told = b24lake("restore", DEALS, "2", "--json").json
    assert (told["table"], told["restored"], told["version"], told["bookmark"]) == (DEALS, 2, 4, then)
    assert b24lake("restore", DEALS, "1").code == 0
    now = b24lake("bookmark", "show", DEALS, "--json").json
    assert (now["kind"], now["bookmark"] <= then) == ("time", True)
    assert DeltaTable(lake.table("deals")).to_pyarrow_table().num_rows == 260
    again = b24lake("restore", DEALS, str(DeltaTable(lake.table("deals")).version()))
    assert (again.code, "nothing was written" in again.out) == (0, True)
    assert b24lake("sync", portal.url, "-s", "deals").code == 0
    assert DeltaTable(lake.table("deals")).to_pyarrow_table().num_rows == 261
    shown = b24lake("restore", DEALS, "0")
    assert "holds again what it held in version 0" in shown.out


def test_the_bookmark_is_shown_set_and_reset(portal: Server, b24lake: Run) -> None:
    assert "The next read of raw.bitrix24_deals begins at 20" in b24lake("bookmark", "show", DEALS).out
    assert "is a full one" in b24lake("bookmark", "show", "raw.bitrix24_status_list").out
    ran = b24lake("bookmark", "set", DEALS, "2026-01-31 12:00")
    assert (ran.code, ran.out) == (0, f"The next read of {DEALS} begins at 2026-01-31T12:00:00+00:00.\n")
    assert b24lake("bookmark", "show", DEALS, "--json").json["bookmark"] == "2026-01-31T12:00:00+00:00"
    assert b24lake("bookmark", "reset", DEALS, "--json").json["bookmark"] is None
    (line,) = b24lake("sync", portal.url, "-s", "deals", "--json").json["streams"]
    assert line["rows_read"] == 261


def test_vacuum_says_what_goes_before_it_goes(portal: Server, lake: Lake, b24lake: Run) -> None:
    path = Path(lake.table("deals"))
    aged(path, 60)
    files = set(path.glob("*.parquet"))
    for words in (("vacuum", DEALS, "--dry-run"), ("vacuum", "--dry-run")):
        ran = b24lake(*words)
        assert ran.code == 0
        assert f"{DEALS}: versions 0 to 1, up to " in ran.out
        assert "will no longer be readable" in ran.out
        assert set(path.glob("*.parquet")) == files
    told = {one["table"]: one for one in b24lake("vacuum", "--json").json["tables"]}
    assert (told[DEALS]["versions"], told["raw.bitrix24_status_list"]["versions"]) == ([0, 1], [])
    assert len(files - set(path.glob("*.parquet"))) == told[DEALS]["files_removed"] > 0
    assert b24lake("vacuum", DEALS).out == "Nothing to do for 1 of 1 table.\n"
    refused = b24lake("restore", DEALS, "1")
    assert (refused.code, f"There is no version 1 of {DEALS}" in refused.err) == (2, True), refused.err


def test_a_retention_is_changed_with_its_effect_in_words(portal: Server, lake: Lake, b24lake: Run) -> None:
    path = Path(lake.table("deals"))
    aged(path, 20)
    assert "keeps versions for 30 days and files that none of them shows for 37 days" in b24lake("retention", DEALS).out
    rehearsed = b24lake("retention", DEALS, "--log", "10d", "--dry-run", "--json").json
    assert (rehearsed["log_days"], rehearsed["file_days"], rehearsed["versions"]) == (10, 17, [0, 1])
    assert b24lake("retention", DEALS, "--json").json["log_days"] == 30
    ran = b24lake("retention", DEALS, "--log", "10d", "--files", "5d")
    assert "cannot be read" in ran.out
    assert "At the next vacuum or run: versions 0 to 1, up to" in ran.out
    now = b24lake("retention", DEALS, "--json").json
    assert (now["log_days"], now["file_days"]) == (10, 5)


def test_tables_of_other_programs_are_only_looked_at(portal: Server, lake: Lake, b24lake: Run) -> None:
    path = lake.path / "trusted" / "report"
    for number in range(2):
        write_deltalake(str(path), pa.table({"id": [number]}), mode="overwrite")
    assert b24lake("history", "trusted.report").code == 0
    assert b24lake("diff", "trusted.report", "0", "1").code == 0
    for words in (
        ("restore", "trusted.report", "0"),
        ("vacuum", "trusted.report"),
        ("retention", "trusted.report", "--log", "5d"),
        ("bookmark", "reset", "trusted.report"),
    ):
        ran = b24lake(*words)
        assert (ran.code, "was not made by b24lake" in ran.err) == (2, True), ran.said
    assert "trusted.report" not in b24lake("vacuum").out
    assert DeltaTable(str(path)).version() == 1


def test_who_holds_the_table_is_said(portal: Server, lake: Lake, b24lake: Run) -> None:
    with Home(lake.home).lock(f"table-{lock_name(Path(lake.table('deals')))}", "the table"):
        for words in (("restore", DEALS, "0"), ("vacuum", DEALS), ("bookmark", "reset", DEALS)):
            ran = b24lake(*words)
            assert (ran.code, f"Another run holds the table {DEALS}" in ran.err, "process" in ran.err) == (
                1,
                True,
                True,
            )
        ran = b24lake("vacuum", "--json")
        states = {one["table"]: one["error"] for one in ran.json["tables"]}
        assert (ran.code, states["raw.bitrix24_status_list"]) == (1, None)
        assert "Another run holds" in states[DEALS]["what"]
    assert DeltaTable(lake.table("deals")).version() == 2


@pytest.mark.parametrize("damage", ["{", ""])
def test_a_corrupt_log_is_a_clear_error_and_nothing_is_overwritten(
    portal: Server, lake: Lake, b24lake: Run, damage: str
) -> None:
    path = Path(lake.table("deals"))
    (path / "_delta_log" / f"{1:020}.json").write_text(damage)
    before = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
    for words in (
        ("history", DEALS),
        ("show", DEALS, "--as-of", "0"),
        ("diff", DEALS, "0", "2"),
        ("restore", DEALS, "0"),
        ("vacuum", DEALS),
        ("retention", DEALS, "--log", "5d"),
        ("bookmark", "show", DEALS),
        ("bookmark", "reset", DEALS),
    ):
        ran = b24lake(*words)
        assert (ran.code, "cannot be read" in ran.err, "Traceback" in ran.err) == (1, True, False), (words, ran.said)
    assert {each: each.read_bytes() for each in path.rglob("*") if each.is_file()} == before

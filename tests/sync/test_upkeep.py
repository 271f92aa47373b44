"""What happens to a table besides its rows: upkeep after runs, and what people do by hand between them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from aging import aged
from b24lake.lake import bookmarks, compacting
from b24lake.lake.catalog import opened
from b24lake.lake.restoring import restore
from b24lake.lake.versions import history
from b24lake.sandbox import Server
from b24lake.sync.report import RunReport
from running import Lake


def titles(lake: Lake) -> dict[int, str]:
    rows = deltalake.DeltaTable(lake.table("deals")).to_pyarrow_table(columns=["ID", "TITLE"]).to_pylist()
    return {row["ID"]: row["TITLE"] for row in rows}


def truth(server: Server) -> dict[int, str]:
    return {int(row["ID"]): row["TITLE"] for row in server.portal.truth("deals")}


def version(lake: Lake) -> int:
    return deltalake.DeltaTable(lake.table("deals")).version()


def rows_read(report: RunReport) -> int:
    (line,) = report.streams
    assert line.status == "success", line.error
    return line.rows_read


def test_what_is_too_old_goes_after_a_run_that_wrote_something(serve: Callable[..., Server], lake: Lake) -> None:
    server, path = serve(), Path(lake.table("deals"))
    lake.sync(server.url, "deals")
    server.portal.change("deals", 2, {"TITLE": "second"})
    lake.sync(server.url, "deals", full=True)
    aged(path, 60)
    files = set(path.glob("*.parquet"))
    assert lake.sync(server.url, "deals").notes == []  # nothing new: nothing is looked at
    assert set(path.glob("*.parquet")) == files
    server.portal.change("deals", 2, {"TITLE": "third"})
    (note,) = lake.sync(server.url, "deals").notes
    assert "1 file of 1 table removed" in note
    assert len(files - set(path.glob("*.parquet"))) == 1
    assert [one.version for one in history(path, opened(path))] == [3, 2]
    assert titles(lake) == truth(server)


def test_a_run_with_nothing_new_writes_no_version(serve: Callable[..., Server], lake: Lake) -> None:
    server, path = serve(), Path(lake.table("deals"))
    lake.sync(server.url, "deals")
    aged(path, 60)
    before = {each: each.stat().st_mtime_ns for each in path.rglob("*")}
    assert rows_read(lake.sync(server.url, "deals")) == 0
    assert {each: each.stat().st_mtime_ns for each in path.rglob("*")} == before


def test_many_small_files_become_few_after_a_run(
    serve: Callable[..., Server], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compacting, "FEWEST", 4)
    server, path = serve(), Path(lake.table("deals"))
    lake.sync(server.url, "deals")
    notes: list[str] = []
    for number in range(6):
        server.portal.create("deals", {"TITLE": f"Door {number}"})
        notes += lake.sync(server.url, "deals", overlap=timedelta(0)).notes
    assert any("small files became about 1" in note for note in notes)
    assert "compaction" in [one.did for one in history(path, opened(path))]
    assert titles(lake) == truth(server)
    server.portal.create("deals", {"TITLE": "One more"})
    assert rows_read(lake.sync(server.url, "deals", overlap=timedelta(0))) < 10
    assert titles(lake) == truth(server)


def test_upkeep_that_fails_does_not_fail_the_run(serve: Callable[..., Server], lake: Lake) -> None:
    server, path = serve(), Path(lake.table("deals"))
    lake.sync(server.url, "deals")
    aged(path, 60)
    server.portal.change("deals", 2, {"TITLE": "second"})
    # As if another program had set it.
    deltalake.DeltaTable(str(path)).alter.set_table_properties({"delta.targetFileSize": "many"})
    report = lake.sync(server.url, "deals")
    assert (report.status, titles(lake)) == ("success", truth(server))
    assert any("could not be tidied up" in note for note in report.notes)


def test_after_a_restore_the_next_run_brings_what_has_changed_since(serve: Callable[..., Server], lake: Lake) -> None:
    server, path = serve(), Path(lake.table("deals"))
    lake.sync(server.url, "deals")
    first, before = version(lake), titles(lake)
    server.portal.change("deals", 2, {"TITLE": "second"})
    server.portal.create("deals", {"TITLE": "Door"})
    lake.sync(server.url, "deals")
    assert restore(path, opened(path), first, "by-hand").version is not None
    assert titles(lake) == before != truth(server)
    assert 2 <= rows_read(lake.sync(server.url, "deals")) < 20
    assert titles(lake) == truth(server)


def test_a_bookmark_that_was_reset_has_everything_read(serve: Callable[..., Server], lake: Lake) -> None:
    server, path = serve(), Path(lake.table("deals"))
    lake.sync(server.url, "deals")
    state = opened(path)
    found = bookmarks.held(path, state)
    assert found is not None
    bookmarks.write(path, state, bookmarks.Bookmark(found.kind, found.fingerprint, 0), "by-hand")
    report = lake.sync(server.url, "deals")
    assert rows_read(report) == 260
    assert any("its bookmark was reset" in note for note in report.notes)
    assert rows_read(lake.sync(server.url, "deals")) < 260


def test_a_bookmark_set_back_has_more_read(serve: Callable[..., Server], lake: Lake) -> None:
    server, path = serve(), Path(lake.table("deals"))
    lake.sync(server.url, "deals")
    moved = sorted(row["DATE_MODIFY"] for row in server.portal.truth("deals"))[-40]
    state = opened(path)
    found = bookmarks.held(path, state)
    assert found is not None
    bookmarks.write(path, state, bookmarks.moved(found, moved, datetime.now(UTC)), "by-hand")
    assert rows_read(lake.sync(server.url, "deals")) == 40
    assert titles(lake) == truth(server)


@pytest.mark.parametrize("rows", [260, 20])
def test_who_reads_during_a_full_sync_never_sees_a_short_table(
    serve: Callable[..., Server], lake: Lake, rows: int
) -> None:
    server = serve(deals=rows, page_ms=30.0)
    lake.sync(server.url, "deals")
    for row in list(server.portal.truth("deals")):
        server.portal.change("deals", int(row["ID"]), {"TITLE": "again"})
    seen: list[tuple[int, set[str]]] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            table = deltalake.DeltaTable(lake.table("deals")).to_pyarrow_table(columns=["TITLE"])
            told = pa.compute.equal(table.column("TITLE"), "again").to_pylist()
            seen.append((table.num_rows, {str(each) for each in told}))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        assert rows_read(lake.sync(server.url, "deals", full=True)) == rows
    finally:
        done.set()
        reader.join()
    assert {count for count, _ in seen} == {rows}
    assert all(len(told) == 1 for _, told in seen), "a version holds the rows of one read"
    assert len(seen) > 3
    assert titles(lake) == truth(server)

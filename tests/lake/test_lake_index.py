"""The index of a lake: what it knows, when it looks again, and what it is searched for."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from lake_rows import Deals, rows

from b24lake.errors import NotFoundError, StreamError, UsageError
from b24lake.lake import index, moving
from b24lake.lake.index import Index, search
from running import Lake


def settled() -> float:
    """A clock by which every change was long ago."""
    return time.time() + 3600


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tables that were opened, one for each time."""
    names: list[str] = []
    read = index.read

    def counted(path: Path) -> index.Indexed:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(index, "read", counted)
    return names


def names(of: Index) -> list[str]:
    return [one.info.sql_name for one in of.look(patience=60).tables]


def test_a_table_is_known_with_its_columns_and_labels(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    (one,) = Index(deals.lake).look().tables
    assert (one.info.sql_name, one.info.rows, one.info.folder, one.key) == ("raw.bitrix24_deals", 2, "bitrix24", "ID")
    assert [(each.name, each.type, each.comment) for each in one.columns][:2] == [
        ("ID", "long", "Deal"),
        ("TITLE", "string", "Title"),
    ]


def test_only_tables_that_changed_are_opened_again(deals: Deals, opened: list[str]) -> None:
    deals.full(rows([1]))
    write_deltalake(str(deals.lake / "raw" / "other"), pa.table({"a": [1]}))
    held = Index(deals.lake, now=settled)
    assert names(held) == names(held) == ["raw.bitrix24_deals", "raw.other"]
    assert sorted(opened) == ["bitrix24_deals", "other"]
    deals.merge(rows([2]))
    assert [one.info.rows for one in held.look().tables] == [2, 1]
    assert opened[2:] == ["bitrix24_deals"]
    assert held.table("raw", "other").info.rows == 1
    assert len(opened) == 3


def test_a_change_within_the_same_tick_of_the_clock_is_seen(deals: Deals) -> None:
    deals.full(rows([1]))
    held = Index(deals.lake)
    log = deals.path / "_delta_log"
    before = log.stat()
    assert held.look().tables[0].info.rows == 1
    deals.merge(rows([2]))
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert held.look().tables[0].info.rows == held.table("raw", "bitrix24_deals").info.rows == 2


def test_new_moved_and_deleted_tables_are_noticed(deals: Deals) -> None:
    held = Index(deals.lake, now=settled)
    assert names(held) == []
    deals.full(rows([1]))
    assert names(held) == ["raw.bitrix24_deals"]
    moving.move(deals.path, moving.target(deals.lake, deals.path, layer="trusted"))
    assert names(held) == ["trusted.bitrix24_deals"]
    with pytest.raises(NotFoundError, match="did you mean"):
        held.table("raw", "bitrix24_deals")
    moving.delete(deals.lake / "trusted" / "bitrix24_deals")
    assert names(held) == []


def test_a_table_that_is_made_anew_is_not_taken_for_the_old_one(deals: Deals) -> None:
    held = Index(deals.lake, now=settled)
    deals.full(rows([1]))
    assert held.look().tables[0].info.rows == 1
    shutil.rmtree(deals.path)
    deals.full(rows([1, 2, 3]))
    assert held.look().tables[0].info.rows == 3


def test_a_broken_table_is_listed_with_its_error_until_it_is_whole(deals: Deals) -> None:
    deals.full(rows([1]))
    held = Index(deals.lake)
    commit = deals.path / "_delta_log" / f"{0:020}.json"
    whole = commit.read_bytes()
    commit.write_text("{")
    (one,) = held.look().tables
    assert "cannot be read" in one.info.error
    with pytest.raises(StreamError):
        held.table("raw", "bitrix24_deals")
    commit.write_bytes(whole)
    assert held.look().tables[0].info.error == ""


def test_a_look_without_patience_tells_how_many_tables_are_left(tmp_path: Path) -> None:
    for number in range(20):
        write_deltalake(str(tmp_path / "raw" / f"t{number:02}"), pa.table({"a": [1]}))
    held = Index(tmp_path)
    first = held.look(patience=0)
    assert 0 < len(first.tables) < 20
    assert first.unread == 20 - len(first.tables)
    for _ in range(20):
        if not held.look(patience=0).unread:
            break
    assert len(held.look(patience=0).tables) == 20


def test_a_lake_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lake").touch()
    with pytest.raises(UsageError, match="is not a folder"):
        Index(tmp_path / "lake").look()


def test_many_threads_look_while_tables_change(deals: Deals) -> None:
    deals.full(rows([1]))
    held = Index(deals.lake)
    with ThreadPoolExecutor(8) as pool:
        seen = [pool.submit(lambda: held.look().tables[0].info.rows) for _ in range(40)]
        for number in range(2, 5):
            deals.merge(rows([number]))
        counts = [each.result() for each in seen]
    assert set(counts) <= {1, 2, 3, 4}
    assert held.look().tables[0].info.rows == 4


def test_an_object_store_is_asked_again_after_a_while_or_when_something_was_changed(far_lake: Lake) -> None:
    deals, moment = Deals(far_lake.path), [0.0]
    deals.full(rows([1]))
    held = Index(far_lake.path, clock=lambda: moment[0])
    assert names(held) == ["raw.bitrix24_deals"]
    deals.merge(rows([2]))
    assert held.look().tables[0].info.rows == 1
    held.changed()
    moment[0] += 1
    assert held.look().tables[0].info.rows == held.table("raw", "bitrix24_deals").info.rows == 2
    deals.merge(rows([3]))
    moment[0] += index.STORE_SECONDS + 1
    deadline = time.monotonic() + 60
    while held.look().tables[0].info.rows != 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)


# words -> tables, columns
SEARCHES: list[tuple[list[str], list[str], list[str]]] = [
    ([], ["bitrix24_deals", "odd"], []),
    (["TITLE"], ["bitrix24_deals"], ["TITLE"]),
    (["title", "deals"], ["bitrix24_deals"], ["TITLE"]),
    (["сумма"], ["odd"], ["select"]),
    (["СУММА"], ["odd"], ["select"]),
    (["bitrix24", "nothing"], [], []),
    (["%"], [], []),
    (["_"], ["bitrix24_deals"], ["_synced_at", "_misfits"]),
    (["<b>"], ["odd"], ["b"]),
    (["two lines"], ["odd"], ["b"]),
    (["sales"], ["bitrix24_deals"], []),
    ([".*"], [], []),
    (["x" * 10_000], [], []),
]


@pytest.mark.parametrize(("words", "tables", "columns"), SEARCHES, ids=[" ".join(each[0])[:12] for each in SEARCHES])
def test_words_are_found_as_they_are(deals: Deals, words: list[str], tables: list[str], columns: list[str]) -> None:
    deals.full(rows([1]))
    fields = [
        pa.field("select", pa.int64(), metadata={"comment": "Сумма"}),
        pa.field("b", pa.int64(), metadata={"comment": "<b>two\nlines</b>"}),
    ]
    write_deltalake(str(deals.lake / "raw" / "odd"), pa.table([pa.array([1]), pa.array([2])], schema=pa.schema(fields)))
    hits = search(Index(deals.lake).look().tables, words)
    assert [hit.table.info.name for hit in hits] == tables
    assert [column.name for hit in hits for column in hit.columns] == columns

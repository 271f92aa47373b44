"""Earlier versions restored, and bookmarks seen and set by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from lake_rows import Deals, rows, with_columns

from b24lake.errors import StreamError, UsageError
from b24lake.lake.bookmarks import held, moved, value_shown, write
from b24lake.lake.catalog import opened
from b24lake.lake.restoring import restore
from b24lake.lake.table import Bookmark, bookmark, inspect
from b24lake.lake.versions import history

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
AT = int(datetime(2026, 10, 20, tzinfo=UTC).timestamp() * 1000)


def restored(deals: Deals, version: int) -> int | None:
    return restore(deals.path, opened(deals.path), version, "by-hand").version


def test_rows_columns_and_bookmark_go_back_in_one_version(deals: Deals) -> None:
    deals.full(rows([1, 2]), mark=100)
    deals.merge(rows([2, 3], title="new", schema=with_columns(pa.field("CITY", pa.string())), CITY="Perm"), mark=200)
    last = deals.delta().version()
    before = {one.version: one.readable for one in history(deals.path, opened(deals.path))}
    version = restored(deals, 1)
    assert version == last + 1
    assert {key: row["TITLE"] for key, row in deals.read().items()} == {1: "deal 1", 2: "deal 2"}
    assert "CITY" not in deals.read()[1]
    assert bookmark(deals.path, "time", "asked") == 100
    found = history(deals.path, opened(deals.path))
    told = {one.version: one for one in found}
    assert (told[version].did, told[version].run_id) == ("restore of version 1", "by-hand")
    assert {one.version: one.readable for one in found if one.version <= last} == before
    assert restored(deals, last) == deals.delta().version()
    assert sorted(deals.read()) == [1, 2, 3]
    assert bookmark(deals.path, "time", "asked") == 200


def test_a_restored_table_is_ours_as_before(deals: Deals) -> None:
    deals.full(rows([1]), mark=1)
    properties = {"delta.logRetentionDuration": "interval 5 days"}
    deals.delta().alter.set_table_properties(properties)
    deals.delta().alter.set_table_description("Deals of ours")
    deals.full(rows([2]), mark=2, accept=True)
    before = deals.delta().metadata()
    restored(deals, 0)  # a version that had neither owner nor description yet
    after = deals.delta().metadata()
    assert (after.configuration, after.description) == (before.configuration, "Deals of ours")
    assert inspect(deals.path, deals.owner) is not None
    assert sorted(deals.read()) == [1]


def test_a_restore_that_died_before_its_properties_leaves_no_stranger(deals: Deals) -> None:
    deals.full(rows([1]))
    deals.full(rows([2]), accept=True)
    deals.delta().create_checkpoint()
    restored(deals, 0)
    last = deals.path / "_delta_log" / f"{deals.delta().version():020}.json"
    assert "TBLPROPERTIES" in last.read_text("utf-8")
    last.unlink()
    (deals.path / "_delta_log" / f"{0:020}.json").unlink()
    assert inspect(deals.path, deals.owner) is not None


def test_without_a_bookmark_then_the_next_read_is_a_full_one(deals: Deals) -> None:
    deals.full(rows([1]))
    deals.full(rows([1, 2]), mark=100)
    restored(deals, 1)
    assert bookmark(deals.path, "time", "asked") == 0


def test_the_bookmark_that_held_then_holds_again_although_another_was_asked_since(deals: Deals) -> None:
    deals.full(rows([1]), mark=100)
    state = opened(deals.path)
    write(deals.path, state, Bookmark("id", "otherwise", 7), "by-hand")
    assert (bookmark(deals.path, "time", "asked"), bookmark(deals.path, "id", "otherwise")) == (None, 7)
    restored(deals, 1)
    assert (bookmark(deals.path, "time", "asked"), bookmark(deals.path, "id", "otherwise")) == (100, None)


def test_the_newest_version_is_not_written_again(deals: Deals) -> None:
    deals.full(rows([1]), mark=1)
    assert restored(deals, 1) is None
    assert deals.delta().version() == 1


def test_a_version_without_its_files_is_not_restored(deals: Deals) -> None:
    deals.full(rows([1]))
    (file,) = deals.path.glob("*.parquet")
    deals.full(rows([2]), accept=True)
    file.unlink()
    with pytest.raises(StreamError):  # the command line looks before it asks (`versions.as_of`)
        restored(deals, 0)
    assert sorted(deals.read()) == [2]


def test_a_merge_goes_on_after_a_restore(deals: Deals) -> None:
    deals.full(rows([1, 2]), mark=100)
    deals.full(rows([1, 2, 3], title="new"), mark=200)
    restored(deals, 1)
    deals.merge(rows([3, 4]), mark=300)
    assert {key: row["TITLE"] for key, row in deals.read().items()} == {
        1: "deal 1",
        2: "deal 2",
        3: "deal 3",
        4: "deal 4",
    }


def test_the_bookmark_of_a_table_is_found_and_moved(deals: Deals) -> None:
    deals.full(rows([1]), mark=AT)
    state = opened(deals.path)
    found = held(deals.path, state)
    assert found == Bookmark("time", "asked", AT)
    assert value_shown(found) == "2026-10-20T00:00:00+00:00"
    version = write(deals.path, state, moved(found, "2026-10-01", NOW), "by-hand")
    assert version == deals.delta().version() == 2
    again = held(deals.path, opened(deals.path))
    assert again is not None
    assert value_shown(again) == "2026-10-01T00:00:00+00:00"
    assert (sorted(deals.read()), history(deals.path, opened(deals.path))[0].did) == ([1], "bookmark")


def test_a_table_that_never_had_a_bookmark_has_none(deals: Deals) -> None:
    deals.full(rows([1]))
    assert held(deals.path, opened(deals.path)) is None


@pytest.mark.parametrize(
    ("kind", "wanted", "value"),
    [
        ("time", "2026-10-20", AT),
        ("time", "20261020", AT),
        ("time", "2026-10-20T03:00+03:00", AT),
        ("time", "2026-10-20 00:00:00.250", AT + 250),
        ("time", "2026-11-01T12:00", int(NOW.timestamp() * 1000)),
        ("id", "17", 17),
    ],
)
def test_a_bookmark_is_set_to_a_time_or_an_id(kind: str, wanted: str, value: int) -> None:
    assert moved(Bookmark(kind, "asked", 5), wanted, NOW) == Bookmark(kind, "asked", value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "wanted", "said"),
    [
        ("time", "2026-11-01T12:00:01", "has not come yet"),
        ("time", "17", "is not a time"),
        ("time", "soon", "neither a version nor a time|is not a time"),
        ("time", "1969-12-31", "before the first record"),
        ("id", "0", "before the first record"),
        ("id", "-3", "is not an id"),
        ("id", "2026-10-20", "is not an id"),
        ("id", "9" * 19, "is not an id"),
    ],
)
def test_a_bookmark_that_cannot_be_is_refused(kind: str, wanted: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        moved(Bookmark(kind, "asked", 5), wanted, NOW)  # type: ignore[arg-type]


def test_a_table_of_another_program_is_left_alone(deals: Deals) -> None:
    path = deals.lake / "trusted" / "report"
    for number in range(2):
        write_deltalake(str(path), pa.table({"a": [number]}), mode="overwrite")
    for touch in (
        lambda: restore(path, opened(path), 0, "by-hand"),
        lambda: write(path, opened(path), Bookmark("id", "asked", 1), "by-hand"),
    ):
        with pytest.raises(UsageError, match="was not made by b24lake"):
            touch()
    assert opened(path).version() == 1

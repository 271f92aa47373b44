"""What is older than a table keeps it goes, and nothing else."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from lake_rows import Deals, rows

from aging import aged
from b24lake.errors import UsageError
from b24lake.lake import retention
from b24lake.lake.catalog import opened
from b24lake.lake.log import LogCommit, Needed
from b24lake.lake.retention import Effect, Kept, begin_of_log, changed, due, interval, kept, unreadable
from b24lake.lake.versions import history

DAY = timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC)


def effect(deals: Deals, wanted: Kept | None = None) -> Effect:
    return retention.effect(deals.path, opened(deals.path), now(), wanted)


def apply(deals: Deals) -> Effect:
    return retention.apply(deals.path, opened(deals.path), now())


def readable(deals: Deals) -> dict[int, bool]:
    return {one.version: one.readable for one in history(deals.path, opened(deals.path))}


def months(deals: Deals) -> None:
    """Versions 0 and 1 are 90 days old, 2 is 60, 3 is 33, 4 is 10, 5 of today."""
    deals.full(rows([1]), mark=1)
    for days, ids in ((30, [1, 2]), (27, [1, 2, 3]), (23, [1, 2, 3, 4]), (10, [1, 2, 3, 4, 5])):
        aged(deals.path, days)
        deals.full(rows(ids), mark=ids[-1])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("interval 30 days", 30 * DAY),
        ("interval 1 day", DAY),
        ("INTERVAL 2 WEEKS", 14 * DAY),
        ("720 hours", 30 * DAY),
        ("interval 0 seconds", timedelta(0)),
        ("", None),
        ("a month", None),
    ],
)
def test_durations_are_read_as_delta_writes_them(text: str, found: timedelta | None) -> None:
    assert interval(text) == found


@pytest.mark.parametrize(
    ("log", "files", "wanted"),
    [
        (10 * DAY, None, (10, 17)),
        (None, 5 * DAY, (30, 5)),
        (2 * DAY, 2 * DAY, (2, 2)),
    ],
)
def test_files_follow_the_log_where_only_that_is_named(
    log: timedelta | None, files: timedelta | None, wanted: tuple[int, int]
) -> None:
    assert changed(Kept(30 * DAY, 37 * DAY), log, files) == Kept(wanted[0] * DAY, wanted[1] * DAY)


@pytest.mark.parametrize("wrong", [timedelta(0), timedelta(hours=36), 4000 * DAY])
def test_a_retention_is_a_number_of_whole_days(wrong: timedelta) -> None:
    for log, files in ((wrong, None), (None, wrong)):
        with pytest.raises(UsageError, match="whole days, from 1 to 3660"):
            changed(Kept(DAY, DAY), log, files)


@pytest.mark.parametrize(
    ("days", "begin"), [([], None), ([0], 0), ([9], 0), ([9, 8, 3], 1), ([9, 5, 5], 2), ([4, 3, 2], 0), ([9, 8, 7], 2)]
)
def test_the_log_begins_with_the_version_of_the_oldest_moment_that_is_kept(days: list[int], begin: int | None) -> None:
    today = datetime(2026, 11, 1, tzinfo=UTC)
    commits = [LogCommit(number, int((today - one * DAY).timestamp() * 1000)) for number, one in enumerate(days)]
    assert begin_of_log(commits, today - 5 * DAY) == begin


def test_only_as_much_of_the_log_is_read_as_is_needed() -> None:
    taken = []

    def commits() -> object:
        for number in range(1000):
            taken.append(number)
            yield LogCommit(number, number * 1000)

    assert begin_of_log(commits(), datetime.fromtimestamp(3.5, UTC)) == 3  # type: ignore[arg-type]
    assert taken == [0, 1, 2, 3, 4]


def test_a_version_goes_with_its_part_of_the_log_or_with_one_of_its_files() -> None:
    def needs(*files: str, missing: str = "") -> Needed:
        return Needed(frozenset(missing), frozenset(files))

    known = {0: needs("a"), 1: needs("a", "b"), 2: needs("b", missing="b"), 3: needs("c"), 4: Needed(frozenset(), None)}
    assert unreadable(known, None, frozenset()) == ()
    assert unreadable(known, 1, frozenset()) == (0,)
    assert unreadable(known, None, frozenset("b")) == (1,)
    assert unreadable(known, 1, frozenset("bc")) == (0, 1, 3)


def test_the_effect_is_said_in_words() -> None:
    gone = Effect(("a",), 5, 18, (3, 4, 5), datetime(2026, 10, 20, 8, tzinfo=UTC))
    assert gone.words() == "versions 3 to 5, up to 2026-10-20 08:00:00 UTC, will no longer be readable"
    assert Effect(log_from=2, versions=(1,), until=gone.until).words().startswith("version 1, up to")
    assert Effect(("a",), 5).words() == "every version that can be read stays readable"
    assert Effect().words() == "nothing is older than the table keeps it"


def test_what_is_said_beforehand_is_what_goes(deals: Deals) -> None:
    months(deals)
    said = effect(deals)
    assert (said.log_from, said.versions) == (3, (0, 1, 2))
    assert len(said.files) == 1  # the one that went 60 days ago; that of 33 days ago stays until day 37
    assert readable(deals) == dict.fromkeys(range(6), True)
    done = apply(deals)
    assert (done.files, done.bytes, done.log_from) == (said.files, said.bytes, said.log_from)
    assert readable(deals) == {5: True, 4: True, 3: True}
    assert sorted(deals.read()) == [1, 2, 3, 4, 5]
    assert [DeltaTable(str(deals.path), version=each).to_pyarrow_table().num_rows for each in (3, 4, 5)] == [3, 4, 5]
    assert effect(deals).nothing
    assert apply(deals).nothing
    assert deals.delta().version() == 5


def test_with_a_shorter_time_more_would_go(deals: Deals) -> None:
    months(deals)
    assert effect(deals, Kept(5 * DAY, 12 * DAY)).versions == (0, 1, 2, 3)
    assert effect(deals, Kept(100 * DAY, 100 * DAY)).nothing
    few = effect(deals, Kept(100 * DAY, 5 * DAY))
    assert (few.log_from, few.versions) == (None, (0, 1, 2, 3))
    retention.set_kept(deals.path, opened(deals.path), Kept(100 * DAY, 5 * DAY), "by-hand")
    assert kept(deals.delta()) == Kept(100 * DAY, 5 * DAY)
    apply(deals)
    assert readable(deals) == {6: True, 5: True, 4: True, 3: False, 2: False, 1: False, 0: False}


def test_a_table_that_did_not_change_for_long_keeps_its_version(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    aged(deals.path, 400)
    assert effect(deals).log_from == 1  # properties: the same rows
    apply(deals)
    assert (readable(deals), sorted(deals.read())) == ({1: True}, [1, 2])


def test_files_that_a_checkpoint_has_forgotten_go_as_well(deals: Deals) -> None:
    deals.full(rows([1]))
    deals.full(rows([2]))
    aged(deals.path, 50)
    deals.delta().create_checkpoint()  # says nothing of files that went longer ago than they are kept
    deals.full(rows([3]))
    files = len(list(deals.path.glob("*.parquet")))
    assert len(apply(deals).files) == 1
    assert (len(list(deals.path.glob("*.parquet"))), sorted(deals.read())) == (files - 1, [3])


def test_parts_of_a_read_that_is_not_finished_stay(deals: Deals) -> None:
    months(deals)
    staged = deals.stage(rows(range(1, 50)))
    for part in staged.parts:
        then = time.time() - 100 * 86400
        os.utime(deals.path / part.path, (then, then))
    assert apply(deals).files
    assert all((deals.path / part.path).exists() for part in staged.parts)


def test_files_of_other_kinds_stay(deals: Deals) -> None:
    months(deals)
    note = deals.path / "README.md"
    note.write_text("hello")
    os.utime(note, (0, 0))
    apply(deals)
    assert note.exists()


def test_a_young_table_is_not_looked_at(deals: Deals) -> None:
    deals.full(rows([1]))
    assert [due(deals.delta(), now() + days * DAY) for days in (0, 29, 30)] == [False, False, True]


def test_the_bookmark_outlives_the_log(deals: Deals) -> None:
    months(deals)
    deals.merge(rows([9]))
    apply(deals)
    assert deals.delta().transaction_version("b24lake/time/asked") == 5


def test_a_table_of_another_program_is_left_alone(deals: Deals) -> None:
    path = Path(deals.lake / "trusted" / "report")
    for number in range(3):
        write_deltalake(str(path), pa.table({"a": [number]}), mode="overwrite")
    aged(path, 400)
    files = sorted(each.name for each in path.rglob("*"))
    for touch in (
        lambda: retention.apply(path, opened(path), now()),
        lambda: retention.set_kept(path, opened(path), Kept(DAY, DAY), "by-hand"),
    ):
        with pytest.raises(UsageError, match="was not made by b24lake"):
            touch()
    assert sorted(each.name for each in path.rglob("*")) == files

"""A full read becomes one new version."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from lake_rows import NOON, SCHEMA, Deals, rows, with_columns

from b24lake.errors import StreamError, UsageError
from b24lake.lake.keys import Deletions
from b24lake.lake.merging import commit_merge
from b24lake.lake.replacing import Retention, commit_full
from b24lake.lake.table import Bookmark, Commit, Counts, Owner, bookmark, inspect

HOUR = timedelta(hours=1)


def test_the_first_full_read_makes_the_table_in_its_first_version(deals: Deals) -> None:
    counts = deals.full(rows(range(1, 31)), mark=1_000)
    assert (counts.rows, counts.inserted, counts.deleted, counts.version) == (30, 30, 0, 0)
    assert sorted(deals.read()) == list(range(1, 31))
    state = inspect(deals.path, deals.owner)
    assert state is not None
    assert (state.rows, state.owner) == (30, deals.owner)
    assert state.schema.field("TITLE").metadata == {b"comment": b"Title"}
    assert state.properties["delta.targetFileSize"] == "16777216"
    assert state.properties["delta.logRetentionDuration"] == "interval 30 days"
    assert state.properties["delta.deletedFileRetentionDuration"] == "interval 37 days"
    assert bookmark(deals.path, "time", "asked") == 1_000
    assert bookmark(deals.path, "id", "asked") is None


def test_retention_is_written_at_creation(deals: Deals) -> None:
    commit_full(deals.path, deals.owner, deals.stage(rows([1])), deals.commit(), retention=Retention(5, 9))
    held = deals.delta().metadata().configuration
    assert held["delta.logRetentionDuration"] == "interval 5 days"
    assert held["delta.deletedFileRetentionDuration"] == "interval 9 days"


def test_a_second_full_read_replaces_all_rows_in_one_version(deals: Deals) -> None:
    deals.full(rows(range(1, 31)), mark=1_000)
    before = deals.delta().version()
    counts = deals.full(rows(range(6, 41), title="again"), mark=2_000)
    assert (counts.inserted, counts.deleted, counts.updated, counts.version) == (10, 5, 25, before + 1)
    assert sorted(deals.read()) == list(range(6, 41))
    assert {row["TITLE"].split()[0] for row in deals.read().values()} == {"again"}
    assert bookmark(deals.path, "time", "asked") == 2_000
    deals_before = deals.delta()
    deals_before.load_as_version(before)
    assert deals_before.to_pyarrow_table().num_rows == 30


def test_the_commit_tells_what_it_did(deals: Deals) -> None:
    deals.full(rows(range(1, 31)))
    wide = with_columns(pa.field("CITY", pa.string()))
    deals.full(rows(range(6, 41), schema=wide, CITY="Perm"))
    told = deals.delta().history(1)[0]
    expected = {"run": "run-2", "sync_type": "any", "rows_read": "35", "rows_inserted": "10", "rows_deleted": "5"}
    assert {name: told[f"b24lake.{name}"] for name in expected} == expected
    assert json.loads(told["b24lake.changes"]) == [{"kind": "added", "column": "CITY", "before": "", "after": "string"}]


def test_an_empty_read_is_a_table_without_rows(deals: Deals) -> None:
    assert deals.full(schema=SCHEMA).inserted == 0
    assert deals.delta().to_pyarrow_table().num_rows == 0
    assert deals.full(rows([1, 2])).inserted == 2
    assert deals.full(schema=SCHEMA).deleted == 2
    assert deals.read() == {}
    assert deals.full(rows([3])).inserted == 1


def test_a_field_that_appears_within_the_read_is_null_where_it_was_not(deals: Deals) -> None:
    wide = with_columns(pa.field("CITY", pa.string()))
    deals.full(rows([1, 2]), rows([3], schema=wide, CITY="Perm"), rows([4]))
    assert {key: row["CITY"] for key, row in deals.read().items()} == {1: None, 2: None, 3: "Perm", 4: None}
    assert deals.delta().to_pyarrow_table().column_names[-2:] == ["_synced_at", "_misfits"]


@pytest.mark.parametrize("apart", [False, True], ids=["within a part", "across parts"])
def test_a_repeated_key_commits_nothing(deals: Deals, monkeypatch: pytest.MonkeyPatch, *, apart: bool) -> None:
    if apart:
        monkeypatch.setattr("b24lake.lake.staging.GROUP_ROWS", 2)
        monkeypatch.setattr("b24lake.lake.staging.PART_BYTES", 1)
    deals.full(rows([1]))
    with pytest.raises(StreamError, match=r"2 rows repeat a key.*ID = 7"):
        deals.full(rows([5, 7]), rows([7, 7]), rows([8, 9]))
    assert list(deals.read()) == [1]


def test_a_missing_key_commits_nothing(deals: Deals) -> None:
    loose = with_columns(pa.field("ID", pa.int64()))
    with pytest.raises(StreamError, match="1 rows have no key"):
        deals.full(rows([1, None], schema=loose))
    assert inspect(deals.path, deals.owner) is None


def test_text_keys_work_as_numbers_do(deals: Deals) -> None:
    codes = with_columns(pa.field("ID", pa.string(), nullable=False))
    deals.full(rows(["UF_A", "имя", "x"], schema=codes))
    counts = deals.full(rows(["имя", "y"], schema=codes))
    assert (counts.inserted, counts.deleted) == (1, 2)
    counts = deals.merge(rows(["y", "z"], schema=codes, run=1))
    assert (counts.inserted, counts.updated) == (1, 0)


def test_a_key_may_become_text_in_a_full_read(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    counts = deals.full(rows(["2", "3"], schema=with_columns(pa.field("ID", pa.string()))))
    assert (counts.inserted, counts.deleted, sorted(deals.read())) == (1, 1, ["2", "3"])


# --- a crash ----------------------------------------------------------------------------------------------------------


def test_staged_rows_are_no_table(deals: Deals) -> None:
    deals.stage(rows(range(100)))
    assert inspect(deals.path, deals.owner) is None
    assert bookmark(deals.path, "time", "asked") is None


def test_a_run_that_dies_before_its_commit_leaves_the_old_version(deals: Deals) -> None:
    deals.full(rows([1, 2]), mark=7)
    version = deals.delta().version()
    deals.stage(rows(range(100)))
    assert (deals.delta().version(), sorted(deals.read())) == (version, [1, 2])
    assert bookmark(deals.path, "time", "asked") == 7


def test_a_run_that_dies_right_after_its_first_commit_leaves_no_stranger(deals: Deals) -> None:
    staged = deals.stage(rows([1]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("b24lake.lake.replacing.settle", _die)
        with pytest.raises(KeyboardInterrupt):
            commit_full(deals.path, deals.owner, staged, deals.commit())
    assert "b24lake.portal" not in deals.delta().metadata().configuration
    state = inspect(deals.path, deals.owner)
    assert state is not None
    assert state.owner == deals.owner
    with pytest.raises(UsageError, match="belongs to stream 'deals'"):
        inspect(deals.path, Owner("portal-1", "leads"))
    deals.merge(rows([2]))
    assert deals.delta().metadata().configuration["b24lake.portal"] == "portal-1"


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_source_and_folder_may_change_later(deals: Deals) -> None:
    deals.full(rows([1]))
    deals.owner = Owner("portal-1", "deals", "new name", "elsewhere")
    deals.full(rows([1]))
    state = inspect(deals.path, deals.owner)
    assert state is not None
    assert state.owner == deals.owner


# --- rows that are gone -----------------------------------------------------------------------------------------------

LOSSES = [  # rows before, rows that go, is it stopped
    (20, 20, False),
    (21, 21, True),
    (21, 20, False),
    (1_000, 600, False),
    (1_001, 500, False),
    (1_001, 501, True),
    (1_001, 1_001, True),
]


@pytest.mark.parametrize(("before", "going", "stopped"), LOSSES)
@pytest.mark.parametrize("policy", ["remove", "mark"])
def test_the_guard_stops_a_read_that_would_lose_too_much(
    deals: Deals, policy: str, before: int, going: int, *, stopped: bool
) -> None:
    deals.full(rows(range(before)))
    left = rows(range(going, before))
    if stopped:
        with pytest.raises(StreamError, match=f"would delete {going:,} of {before:,} rows.*--accept-deletions"):
            deals.full(left, policy=policy)
        assert len(deals.read()) == before
    assert deals.full(left, policy=policy, accept=True).deleted == going


def test_the_guards_share_can_be_set(deals: Deals) -> None:
    deals.full(rows(range(2_000)))
    with pytest.raises(StreamError, match="would delete 300 of 2,000"):
        deals.full(rows(range(300, 2_000)), guard_share=0.1)


def test_keep_carries_vanished_rows_over_and_is_not_guarded(deals: Deals) -> None:
    deals.full(rows(range(1, 41)))
    counts = deals.full(rows([40, 41], title="new", run=1), policy="keep")
    assert (counts.inserted, counts.deleted, counts.carried) == (1, 0, 39)
    held = deals.read()
    assert sorted(held) == list(range(1, 42))
    assert (held[39]["TITLE"], held[40]["TITLE"]) == ("deal 39", "new 40")
    assert held[39]["_synced_at"] == NOON
    assert held[39]["PHONE"] == [{"ID": "1", "VALUE": "+7"}]


def test_mark_tells_when_a_row_went_and_forgets_it_when_it_is_back(deals: Deals) -> None:
    deals.full(rows([1, 2, 3]))
    counts = deals.full(rows([1, 2], run=1), policy="mark", at=NOON + HOUR)
    assert (counts.inserted, counts.deleted, counts.carried) == (0, 1, 1)
    assert {key: row["_deleted_at"] for key, row in deals.read().items()} == {1: None, 2: None, 3: NOON + HOUR}
    assert deals.read()[3]["_synced_at"] == NOON + HOUR
    assert deals.delta().to_pyarrow_table().column_names[-1] == "_deleted_at"

    counts = deals.full(rows([1], run=2), policy="mark", at=NOON + 2 * HOUR)
    assert (counts.inserted, counts.deleted, counts.carried) == (0, 1, 2)
    expected = {1: None, 2: NOON + 2 * HOUR, 3: NOON + HOUR}
    assert {key: row["_deleted_at"] for key, row in deals.read().items()} == expected

    counts = deals.full(rows([1, 3], run=3), policy="mark", at=NOON + 3 * HOUR)
    assert (counts.inserted, counts.deleted, counts.carried) == (1, 0, 1)
    counts = deals.merge(rows([2], run=4))
    assert (counts.inserted, counts.updated) == (0, 1)
    assert {row["_deleted_at"] for row in deals.read().values()} == {None}


def test_marked_rows_go_when_the_policy_becomes_remove(deals: Deals) -> None:
    deals.full(rows([1, 2, 3]))
    deals.full(rows([1]), policy="mark")
    counts = deals.full(rows([1]))
    assert (counts.deleted, counts.carried, list(deals.read())) == (0, 0, [1])


def test_carried_rows_follow_the_new_columns(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    number = with_columns(pa.field("TITLE", pa.int64()), pa.field("CITY", pa.string()), without=("SUM",))
    deals.full(rows([2], schema=number, TITLE=5, CITY="Perm"), policy="keep")
    held = deals.read()
    assert (held[1]["TITLE"], held[1]["CITY"], held[1]["_misfits"]) == (None, None, [("TITLE", "deal 1")])
    assert (held[2]["TITLE"], held[2]["CITY"], held[2]["SUM"]) == (5, "Perm", None)
    assert str(held[1]["SUM"]) == "10.00"


# what SUM becomes in the full read; of carried rows that had "7" beside it: SUM and misfits; SUM where it was a number
BESIDE: list[tuple[pa.DataType | None, object, object, object]] = [
    (pa.string(), "7", None, "10.00"),
    (pa.list_(pa.string()), None, [("SUM", "7")], None),
    (None, Decimal("7.00"), None, Decimal("10.00")),
]


@pytest.mark.parametrize(("kind", "beside", "misfits", "number"), BESIDE)
def test_what_a_carried_row_had_in_a_side_column_stands_in_the_column_itself(
    deals: Deals, kind: pa.DataType | None, beside: object, misfits: object, number: object
) -> None:
    deals.full(rows([1, 2, 3]))
    deals.merge(rows([1, 2], run=1, schema=with_columns(pa.field("SUM", pa.string())), SUM="7"))
    assert deals.read()[1]["SUM__STRING"] == "7"
    there = with_columns(pa.field("SUM", kind)) if kind else with_columns(without=("SUM",))
    deals.full(rows([2], run=2, schema=there, SUM=None), policy="keep")
    held = deals.read()
    assert "SUM__STRING" not in held[1]
    assert {key: row["SUM"] for key, row in held.items()} == {1: beside, 2: None, 3: number}
    assert (held[1]["_misfits"], held[2]["_misfits"]) == (misfits, None)


def test_many_rows_are_carried_from_many_files(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("b24lake.lake.staging.GROUP_ROWS", 100)
    monkeypatch.setattr("b24lake.lake.replacing.GROUP_ROWS", 64)
    monkeypatch.setattr("b24lake.lake.staging.PART_BYTES", 1)
    deals.full(*[rows(range(start, start + 130)) for start in range(0, 1_300, 130)])
    assert len(deals.delta().file_uris()) == 10
    counts = deals.full(rows(range(0, 1_300, 2), title="new"), policy="keep")
    assert (counts.carried, len(deals.read())) == (650, 1_300)
    assert all(row["TITLE"] == f"{'new' if key % 2 == 0 else 'deal'} {key}" for key, row in deals.read().items())


def test_a_merge_after_a_full_read_and_back(deals: Deals) -> None:
    deals.full(rows([1, 2]), mark=1)
    commit_merge(deals.path, deals.owner, deals.stage(rows([3]), spool=True), deals.commit(2))
    counts = commit_full(deals.path, deals.owner, deals.stage(rows([1, 3])), deals.commit(3), deletions=Deletions())
    assert (counts.inserted, counts.deleted, sorted(deals.read())) == (0, 1, [1, 3])
    assert bookmark(deals.path, "time", "asked") == 3


def test_a_bookmark_holds_until_something_else_is_asked(deals: Deals) -> None:
    def ask(fingerprint: str, ids: list[int], mark: int) -> Counts:
        commit = Commit("run", Bookmark("time", fingerprint, mark))
        return commit_full(deals.path, deals.owner, deals.stage(rows(ids)), commit)

    ask("some deals", [1], 1)
    ask("all deals", [1, 2], 2)
    assert bookmark(deals.path, "time", "some deals") is None
    assert bookmark(deals.path, "time", "all deals") == 2
    assert ask("some deals", [1, 2], 3).version is not None
    assert bookmark(deals.path, "time", "some deals") == 3
    assert ask("some deals", [1, 2], 4).version is None

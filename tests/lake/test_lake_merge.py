"""An incremental read is merged on the key."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from lake_rows import NOON, Deals, rows, with_columns

from b24lake.errors import StreamError
from b24lake.lake import merging
from b24lake.lake.evolution import Change
from b24lake.lake.parts import STAGING
from b24lake.lake.table import bookmark

HOUR = timedelta(hours=1)


def test_new_rows_come_in_and_only_rows_that_differ_change(deals: Deals) -> None:
    deals.full(rows([1, 2, 3]), mark=1)
    read = pa.concat_tables([rows([2, 4], run=1), rows([3], title="edited", run=1)])
    counts = deals.merge(read, mark=2)
    assert (counts.rows, counts.inserted, counts.updated, counts.deleted) == (3, 1, 1, 0)
    assert counts.version == deals.delta().version()
    synced = {key: row["_synced_at"] for key, row in deals.read().items()}
    assert synced == {1: NOON, 2: NOON, 3: NOON + HOUR, 4: NOON + HOUR}
    assert deals.read()[3]["TITLE"] == "edited 3"
    assert bookmark(deals.path, "time", "asked") == 2


DIFFERENCES = [
    ("TITLE", None),
    ("TITLE", "other"),
    ("SUM", 11),
    ("PHONE", [{"ID": "1", "VALUE": "+8"}]),
    ("PHONE", []),
    ("PHONE", None),
    ("CHANGED", NOON + HOUR),
    ("_misfits", [("SUM", "a lot")]),
]


@pytest.mark.parametrize(("column", "value"), DIFFERENCES)
def test_a_difference_in_any_column_counts(deals: Deals, column: str, value: object) -> None:
    deals.full(rows([1, 2]))
    assert deals.merge(rows([1], run=1, **{column: value})).updated == 1
    assert deals.merge(rows([1], run=2, **{column: value})).version is None
    assert deals.merge(rows([1], run=3)).updated == 1


def test_nothing_new_writes_no_version_and_leaves_the_bookmark(deals: Deals) -> None:
    deals.full(rows([1, 2]), mark=1)
    version = deals.delta().version()
    assert deals.merge(rows([1, 2], run=1), mark=2).version is None
    assert deals.merge(rows([]), mark=3).version is None
    assert (deals.delta().version(), bookmark(deals.path, "time", "asked")) == (version, 1)
    assert STAGING not in deals.files()


def test_of_rows_with_one_key_the_last_counts(deals: Deals) -> None:
    deals.full(rows([1]))
    counts = deals.merge(rows([1, 2], title="first"), rows([2, 1], title="last"))
    assert (counts.rows, counts.inserted, counts.updated) == (2, 1, 1)
    assert {row["TITLE"] for row in deals.read().values()} == {"last 1", "last 2"}


def test_a_missing_key_merges_nothing(deals: Deals) -> None:
    deals.full(rows([1]))
    with pytest.raises(StreamError, match="1 rows have no key"):
        deals.merge(rows([2, None], schema=with_columns(pa.field("ID", pa.int64()))))
    assert list(deals.read()) == [1]


def test_without_a_table_there_is_nothing_to_merge_into(deals: Deals) -> None:
    with pytest.raises(StreamError, match=r"no table .* to merge into"):
        deals.merge(rows([1]))


def test_spooled_parts_are_gone_after_the_merge(deals: Deals) -> None:
    deals.full(rows([1]))
    staged = deals.stage(rows([2]), spool=True)
    assert [part.path for part in staged.parts] == [f"{STAGING}/run-2/00000.parquet"]
    before = deals.files()
    merging.commit_merge(deals.path, deals.owner, staged, deals.commit())
    assert before - deals.files() == {STAGING}


# --- large reads ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("b24lake.lake.staging.GROUP_ROWS", 10)
    monkeypatch.setattr("b24lake.lake.merging.CHUNK_ROWS", 20)


def test_a_large_read_is_merged_in_pieces_with_the_bookmark_in_the_last(deals: Deals, small_chunks: None) -> None:
    deals.full(rows(range(5)), mark=1)
    version = deals.delta().version()
    counts = deals.merge(*[rows(range(start, start + 10)) for start in range(0, 60, 10)], mark=2)
    assert (counts.rows, counts.inserted, counts.updated, counts.version) == (60, 55, 0, version + 3)
    marks = []
    for each in range(version + 1, version + 4):
        marks.append(DeltaTable(str(deals.path), version=each).transaction_version("b24lake/time/asked"))
    assert marks == [1, 1, 2]


def test_the_bookmark_moves_also_when_the_last_piece_brings_nothing(deals: Deals, small_chunks: None) -> None:
    deals.full(rows(range(20)), mark=1)
    counts = deals.merge(*[rows(range(start, start + 10)) for start in (20, 30, 0, 10)], mark=2)
    assert (counts.inserted, counts.updated) == (20, 0)
    assert bookmark(deals.path, "time", "asked") == 2


# --- columns ----------------------------------------------------------------------------------------------------------


def test_a_new_field_becomes_a_column_with_its_description(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    wide = with_columns(pa.field("CITY", pa.string(), metadata={"comment": "City"}))
    counts = deals.merge(rows([2, 3], schema=wide, run=1, CITY="Perm"))
    assert counts.changes == (Change("added", "CITY", after="string"),)
    assert (counts.inserted, counts.updated, counts.refresh) == (1, 1, False)
    assert {key: row["CITY"] for key, row in deals.read().items()} == {1: None, 2: "Perm", 3: "Perm"}
    assert pa.schema(deals.delta().schema()).field("CITY").metadata == {b"comment": b"City"}


def test_a_vanished_field_keeps_its_column_and_is_told_once(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    narrow = with_columns(without=("SUM",))
    counts = deals.merge(rows([2], schema=narrow, run=1))
    assert (counts.changes, counts.updated) == ((Change("removed", "SUM", "decimal(18,2)"),), 1)
    assert {key: str(row["SUM"]) for key, row in deals.read().items()} == {1: "10.00", 2: "None"}
    assert deals.merge(rows([3], schema=narrow, run=2)).changes == ()
    back = deals.merge(rows([3], run=3)).changes
    assert back == (Change("returned", "SUM", "decimal(18,2)", "decimal(18,2)"),)
    assert deals.merge(rows([3], run=4)).changes == ()


def test_a_narrower_type_is_cast_into_the_column(deals: Deals) -> None:
    deals.full(rows([1]))
    counts = deals.merge(rows([1], schema=with_columns(pa.field("SUM", pa.int32())), SUM=7))
    assert (counts.changes, counts.updated, str(deals.read()[1]["SUM"])) == ((), 1, "7.00")


def test_a_type_that_does_not_fit_opens_a_column_beside_and_asks_for_a_full_read(deals: Deals) -> None:
    deals.full(rows([1, 2]), mark=1)
    lists = with_columns(pa.field("TITLE", pa.list_(pa.string())))
    counts = deals.merge(rows([2], schema=lists, TITLE=["a", "b"]), mark=2)
    assert counts.changes == (Change("split", "TITLE__ARRAY", "string", "array<string>"),)
    assert counts.refresh
    assert bookmark(deals.path, "time", "asked") == 0
    held = deals.read()
    assert (held[1]["TITLE"], held[1]["TITLE__ARRAY"]) == ("deal 1", None)
    assert (held[2]["TITLE"], held[2]["TITLE__ARRAY"]) == (None, ["a", "b"])

    again = deals.merge(rows([1], schema=lists, TITLE=["c"]), mark=3)
    assert (again.changes, again.refresh, deals.read()[1]["TITLE__ARRAY"]) == ((), True, ["c"])

    full = deals.full(rows([1, 2], schema=lists, TITLE=["d"]), mark=4)
    kinds = [(each.kind, each.column) for each in full.changes]
    assert kinds == [("retyped", "TITLE"), ("dropped", "TITLE__ARRAY")]
    assert deals.delta().to_pyarrow_table().column_names == [each.name for each in lists]
    assert bookmark(deals.path, "time", "asked") == 4


def test_a_split_resets_the_bookmark_even_if_no_row_differs(deals: Deals) -> None:
    deals.full(rows([1], TITLE=None), mark=1)
    lists = with_columns(pa.field("TITLE", pa.list_(pa.string())))
    assert deals.merge(rows([1], schema=lists, TITLE=None), mark=2).updated == 0
    assert bookmark(deals.path, "time", "asked") == 0


def test_a_key_of_another_type_needs_a_full_read(deals: Deals) -> None:
    deals.full(rows([1]))
    with pytest.raises(StreamError, match=r"key 'ID' changed its type.*--full"):
        deals.merge(rows(["1"], schema=with_columns(pa.field("ID", pa.string()))))


def test_a_field_whose_name_changed_its_case_stays_in_its_column(deals: Deals) -> None:
    deals.full(rows([1]))
    other = with_columns(pa.field("Title", pa.string()), without=("TITLE",))
    assert deals.merge(rows([1], schema=other, Title="x")).changes == ()
    assert deals.read()[1]["TITLE"] == "x"


# --- other writers and old logs ---------------------------------------------------------------------------------------


def test_a_merge_is_tried_again_after_another_commit(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    deals.full(rows([1]))
    once = merging._merge_once
    failures = [CommitFailedError("someone else"), CommitFailedError("once more")]

    def sometimes(*args: object) -> dict[str, int]:
        if failures:
            raise failures.pop()
        return once(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(merging, "_merge_once", sometimes)
    assert deals.merge(rows([2])).inserted == 1


def test_a_merge_is_not_tried_for_ever(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    deals.full(rows([1]))

    def never(*_: object) -> dict[str, int]:
        raise CommitFailedError("someone else")

    monkeypatch.setattr(merging, "_merge_once", never)
    with pytest.raises(StreamError, match="someone else"):
        deals.merge(rows([2]))


def test_a_bookmark_outlives_the_log(deals: Deals) -> None:
    deals.full(rows([1]), mark=1)
    deals.merge(rows([2]), mark=2)
    table = deals.delta()
    table.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 days"})
    for each in range(3, 6):
        deals.merge(rows([each]))
    table = deals.delta()
    table.create_checkpoint()
    table.cleanup_metadata()
    assert len(deals.delta().history()) < 4
    assert bookmark(deals.path, "time", "asked") == 2
    deals.merge(rows([9]), mark=3)
    assert bookmark(deals.path, "time", "asked") == 3


def test_bookmarks_of_other_questions_are_not_found(deals: Deals) -> None:
    deals.full(rows([1]), mark=1)
    assert bookmark(deals.path, "time", "asked otherwise") is None
    deals.delta().create_write_transaction(
        [],
        mode="append",
        schema=deals.delta().schema(),
        commit_properties=CommitProperties(app_transactions=[Transaction("b24lake/id/asked", 5)]),
    )
    assert bookmark(deals.path, "id", "asked") == 5

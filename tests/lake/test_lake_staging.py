"""Rows of a read on disk, before they are a version."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_rows import NOON, SCHEMA, STAMP, Deals, rows, with_columns

from b24lake.errors import StopError, StreamError
from b24lake.lake import staging as staging_module
from b24lake.lake.held import hold
from b24lake.lake.keys import Deletions
from b24lake.lake.merging import commit_merge
from b24lake.lake.parts import STAGING
from b24lake.lake.replacing import commit_full
from b24lake.lake.staging import Staging
from b24lake.lake.sweeping import forget, sweep
from b24lake.lake.unfinished import unfinished


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ten rows are a row group, and every row group is a part."""
    monkeypatch.setattr(staging_module, "GROUP_ROWS", 10)
    monkeypatch.setattr(staging_module, "PART_BYTES", 1)


def started(deals: Deals, run_id: str = "r1", schema: pa.Schema = SCHEMA) -> Staging:
    return Staging(deals.path, run_id, "ID", ["CHANGED"], schema=schema)


def test_small_batches_make_large_row_groups(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_module, "GROUP_ROWS", 100)
    staged = deals.stage(*[rows(range(start, start + 7)) for start in range(0, 700, 7)])
    (part,) = staged.parts
    with pq.ParquetFile(deals.path / part.path) as file:
        groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        codec = file.metadata.row_group(0).column(0).compression
    assert (sum(groups), max(groups), codec) == (700, 100, "ZSTD")
    assert len(groups) <= 14


def test_wide_rows_are_not_held_back_for_long(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_module, "GROUP_BYTES", 10_000)
    staged = deals.stage(*[rows([each], TITLE="x" * 6_000) for each in range(6)])
    with pq.ParquetFile(deals.path / staged.parts[0].path) as file:
        assert file.num_row_groups == 3


def test_a_part_knows_rows_size_statistics_and_closed_stretches(deals: Deals, small_parts: None) -> None:
    staging = started(deals)
    staging.add(rows(range(1, 6)), [(0, 5)])
    staging.add(rows(range(6, 12), CHANGED=NOON + timedelta(microseconds=1)), [(5, 8), (8, 11)])
    staging.add(rows([12, 13], CHANGED=None))
    staged = staging.close()
    first, last = staged.parts
    assert [(part.path, part.rows) for part in staged.parts] == [
        ("part-r1-00000.parquet", 11),
        ("part-r1-00001.parquet", 2),
    ]
    assert (first.closed, last.closed) == (((0, 5), (5, 8), (8, 11)), ())
    assert first.size == (deals.path / first.path).stat().st_size
    assert first.stats == {
        "numRecords": 11,
        "minValues": {"ID": 1, "CHANGED": "2026-08-21T12:00:00.000000Z"},
        "maxValues": {"ID": 11, "CHANGED": "2026-08-21T12:00:00.000001Z"},
        "nullCount": {"ID": 0, "CHANGED": 0},
    }
    assert last.stats["nullCount"] == {"ID": 0, "CHANGED": 2}
    assert set(last.stats["minValues"]) == {"ID"}


def test_statistics_reach_the_table(deals: Deals, small_parts: None) -> None:
    deals.full(rows(range(10)), rows(range(10, 20)))
    files = pa.table(deals.delta().get_add_actions(flatten=True)).to_pylist()
    assert {(each["min.ID"], each["max.ID"], each["num_records"]) for each in files} == {(0, 9, 10), (10, 19, 10)}
    assert {each["max.CHANGED"] for each in files} == {NOON}


def test_a_new_field_begins_a_new_part(deals: Deals) -> None:
    wide = with_columns(pa.field("CITY", pa.string(), nullable=False))
    staged = deals.stage(rows([1]), rows([2], schema=wide, CITY="Perm"), rows([3]))
    assert [part.rows for part in staged.parts] == [1, 2]
    assert staged.schema.names == [*SCHEMA.names, "CITY"]
    assert staged.schema.field("CITY").nullable
    assert len({part.columns for part in staged.parts}) == 2
    cities = pa.concat_tables(staged.tables()).column("CITY").to_pylist()
    assert cities == [None, "Perm", None]


def test_types_are_those_that_delta_stores(deals: Deals) -> None:
    loose = with_columns(pa.field("CHANGED", pa.timestamp("ms", "Europe/Moscow")), pa.field("TITLE", pa.large_string()))
    staged = deals.stage(rows([1], schema=loose))
    assert (staged.schema.field("CHANGED").type, staged.schema.field("TITLE").type) == (STAMP, pa.string())
    (table,) = staged.tables()
    assert table.column("CHANGED").to_pylist() == [NOON]


def test_a_column_cannot_change_its_type_within_a_read(deals: Deals) -> None:
    staging = started(deals)
    staging.add(rows([1]))
    with pytest.raises(StreamError, match="'TITLE' changed its type"):
        staging.add(rows([2], schema=with_columns(pa.field("TITLE", pa.int64())), TITLE=1))
    staging.discard()


@pytest.mark.parametrize("run_id", ["", "a/b", "a b", "..", "x" * 81, "ü"])
def test_a_run_id_is_part_of_a_file_name(deals: Deals, run_id: str) -> None:
    with pytest.raises(ValueError, match="not a run id"):
        started(deals, run_id)


# --- reading the manifest back ----------------------------------------------------------------------------------------


def test_pending_parts_can_be_read_back(deals: Deals, small_parts: None) -> None:
    staging = started(deals)
    staging.add(rows(range(10)), [(0, 9)])
    assert [part.rows for part in unfinished(deals.path)["r1"].parts] == [10]
    staging.add(rows(range(10, 15)), [(9, 14)])
    assert len(unfinished(deals.path)["r1"].parts) == 1
    staged = staging.close()
    assert unfinished(deals.path)["r1"].parts == staged.parts
    forget(deals.path, "r1")
    assert unfinished(deals.path) == {}


DAMAGE = [(0, 0), (1, 1), (2, 2)]  # number of the damaged part, sound parts


@pytest.mark.parametrize(("number", "sound"), DAMAGE)
@pytest.mark.parametrize("kind", ["missing", "cut"])
def test_parts_end_before_the_first_damaged_one(
    deals: Deals, small_parts: None, kind: str, number: int, sound: int
) -> None:
    parts = deals.stage(rows(range(10)), rows(range(10, 20)), rows(range(20, 30))).parts
    damaged = deals.path / parts[number].path
    if kind == "missing":
        damaged.unlink()
    else:
        os.truncate(damaged, parts[number].size - 1)
    assert unfinished(deals.path)["run-1"].parts == parts[:sound]


def test_half_a_line_in_the_manifest_is_no_part(deals: Deals, small_parts: None) -> None:
    parts = deals.stage(rows(range(10)), rows(range(10, 20))).parts
    manifest = deals.path / STAGING / "run-1" / "parts.jsonl"
    manifest.write_text(manifest.read_text()[:-20])
    assert unfinished(deals.path)["run-1"].parts == parts[:1]


# --- tidying up -------------------------------------------------------------------------------------------------------


def test_discard_leaves_nothing(deals: Deals, small_parts: None) -> None:
    staging = started(deals)
    staging.add(rows(range(25)))
    staging.add(rows(range(25, 27)))
    staging.discard()
    assert not deals.path.exists()


def test_discard_spares_the_table(deals: Deals) -> None:
    deals.full(rows([1]))
    before = deals.files()
    staging = started(deals)
    staging.add(rows([2]))
    staging.close()
    staging.discard()
    assert (deals.files(), list(deals.read())) == (before, [1])


def test_sweep_removes_what_dead_runs_left(deals: Deals, small_parts: None) -> None:
    deals.full(rows([1]))
    before = deals.files()
    started(deals, "dead").add(rows(range(30)))
    deals.stage(rows([5]), spool=True)
    assert sweep(deals.path) == ("dead", "run-2")
    assert (deals.files(), list(deals.read())) == (before, [1])
    assert sweep(deals.path) == ()


def test_sweep_spares_a_run_that_is_alive(deals: Deals) -> None:
    deals.full(rows([1]))
    deals.stage(rows([2]))
    deals.stage(rows([3]))
    assert sweep(deals.path, keep_run="run-2") == ("run-3",)
    assert list(unfinished(deals.path)) == ["run-2"]
    assert "part-run-2-00000.parquet" in deals.files()


def test_sweep_spares_what_was_written_lately(deals: Deals) -> None:
    deals.stage(rows([2]))
    now = datetime.now(UTC)
    assert sweep(deals.path, older_than=now - timedelta(hours=1)) == ()
    assert sweep(deals.path, older_than=now + timedelta(hours=1)) == ("run-1",)
    assert not deals.path.exists()


def test_sweep_does_not_mistake_a_longer_run_id(deals: Deals) -> None:
    started(deals, "a").close()
    longer = started(deals, "a-b")
    longer.add(rows([1]))
    longer.close()
    assert sweep(deals.path, keep_run="a-b") == ("a",)
    assert len(unfinished(deals.path)["a-b"].parts) == 1


def test_sweep_spares_files_of_every_version(deals: Deals) -> None:
    """A run that died between its commit and its tidying up; afterwards another run replaced its rows."""
    for number in (1, 2):
        staged = deals.stage(rows([number]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("b24lake.lake.replacing.tidy", lambda *_: None)
            commit_full(deals.path, deals.owner, staged, deals.commit())
    assert list(unfinished(deals.path)) == ["run-1", "run-2"]
    assert sweep(deals.path) == ("run-1", "run-2")
    assert list(deals.read()) == [2]
    first = deals.delta()
    first.load_as_version(0)
    assert first.to_pyarrow_table().column("ID").to_pylist() == [1]


def test_vacuum_spares_staged_spools_and_committed_parts(deals: Deals) -> None:
    deals.full(rows([1]))
    staged = deals.stage(rows([2]), spool=True)
    deals.delta().vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)
    assert commit_merge(deals.path, deals.owner, staged, deals.commit()).inserted == 1
    assert sorted(deals.read()) == [1, 2]


def test_whoever_is_interrupted_while_rows_are_held_holds_them_once(
    deals: Deals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*batch: Any) -> None:
        hold(*batch)
        raise KeyboardInterrupt

    staging = Staging(deals.path, "r1", "ID", schema=SCHEMA, facts={"clock": NOON.isoformat()})
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(staging_module, "hold", interrupted)
        staging.add(rows(range(1, 801)), [(0, 800)])
    assert staging.leave()
    left = unfinished(deals.path)["r1"]
    assert (left.rows, left.closed) == (800, ((0, 800),))


# --- size -------------------------------------------------------------------------------------------------------------


def test_a_full_disk_ends_the_run(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    staging = started(deals)
    staging.add(rows([1]))
    with pytest.raises(StopError, match="No space left on device"):
        staging.close()


def test_memory_does_not_grow_with_the_rows(deals: Deals) -> None:
    """200,000 rows of 40 text columns are about 400 MB of Arrow; staged and committed, they take a part of that."""
    texts = [pa.field(f"UF_{number}", pa.string()) for number in range(40)]
    schema = pa.schema([SCHEMA.field("ID"), *texts])
    generator = random.Random(1)
    words = [pa.array([f"{generator.getrandbits(160):040x}" for _ in range(2_500)]) for _ in range(4)]

    def batch(start: int) -> pa.Table:
        columns = [words[(start // 2_500 + number) % 4] for number in range(40)]
        return pa.table([pa.array(range(start, start + 2_500), pa.int64()), *columns], schema=schema)

    deals.full(batch(1_000_000))
    process = psutil.Process()
    before = peak = process.memory_info().rss
    staging = started(deals, "big", schema=schema)
    for start in range(0, 200_000, 2_500):
        staging.add(batch(start), [(start - 1, start + 2_499)])
        peak = max(peak, process.memory_info().rss)
    counts = commit_full(deals.path, deals.owner, staging.close(), deals.commit(), deletions=Deletions(accept=True))
    peak = max(peak, process.memory_info().rss)
    assert (counts.rows, counts.inserted) == (200_000, 200_000)
    assert (peak - before) / 1e6 < 200

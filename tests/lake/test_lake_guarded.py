"""SQL in a process of its own: the same answers, and an end to every query."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from lake_rows import Deals, rows

from b24lake.errors import StreamError, UsageError
from b24lake.lake.guarded import MEMORY_BYTES, MODULE, guarded_query, guarded_stream
from b24lake.lake.query import query

GB = 1024**3
ENDLESS = (
    "SELECT a.ID % 7 AS g, count(*) AS n FROM raw.bitrix24_deals a, raw.bitrix24_deals b, raw.bitrix24_deals c"
    " GROUP BY a.ID % 7"
)


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if MODULE in each.cmdline()]


@pytest.fixture
def lake(deals: Deals) -> Path:
    deals.full(rows([1, 2, 3]), rows([4], _misfits=[("SUM", "a lot")]))
    return deals.lake


@pytest.fixture
def large(deals: Deals) -> Path:
    deals.full(rows(range(6_000)))
    return deals.lake


ANSWERED = [
    "SELECT * FROM raw.bitrix24_deals ORDER BY ID",
    "SELECT 'имя;\n' AS a, NULL AS b",
    "SELECT ID FROM raw.bitrix24_deals WHERE ID > 100",
    "SELECT a.ID, count(*) AS n FROM raw.bitrix24_deals a JOIN raw.bitrix24_deals b ON a.ID <= b.ID GROUP BY a.ID"
    " ORDER BY a.ID",
]


@pytest.mark.parametrize("sql", ANSWERED)
def test_the_answer_is_that_of_the_query_itself(lake: Path, sql: str) -> None:
    assert guarded_query(lake, sql, limit=100).equals(query(lake, sql))


def test_a_relative_lake_and_a_limit(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lake.parent)
    (lake.parent / "json.py").write_text("raise SystemExit('not a module of ours')")
    assert guarded_query(Path(lake.name), "SELECT ID FROM raw.bitrix24_deals", limit=3).num_rows == 3


def test_rows_are_limited_where_they_arise(lake: Path) -> None:
    assert guarded_query(lake, "SELECT value FROM generate_series(1, 1000000000000)", limit=5).num_rows == 5


REFUSED = [
    ("SELECT * FROM raw.bitrix24_deal", r"did you mean raw\.bitrix24_deals"),
    ("DROP TABLE raw.bitrix24_deals", "Only reading is allowed"),
    ("SELECT id FROM raw.bitrix24_deals", "No field named id"),
    ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "nested too deeply"),
    ("SELECT " + "+".join(["1"] * 100_000), "ended its process|nested too deeply"),
]


@pytest.mark.parametrize(("sql", "said"), REFUSED)
def test_a_refusal_is_told_as_in_process(lake: Path, sql: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        guarded_query(lake, sql, limit=5)


def test_another_error_keeps_its_class(lake: Path, deals: Deals) -> None:
    for log in (deals.path / "_delta_log").iterdir():
        log.write_text("{")
    with pytest.raises(StreamError, match="cannot be read"):
        guarded_query(lake, "SELECT * FROM raw.bitrix24_deals", limit=5)


def test_time_is_limited(large: Path) -> None:
    began = time.monotonic()
    with pytest.raises(UsageError, match=r"stopped after 2 seconds.*--timeout"):
        guarded_query(large, ENDLESS, limit=5, seconds=2)
    assert time.monotonic() - began < 4
    assert children() == []


LONG = "(SELECT ID, repeat(TITLE, {}) AS t FROM raw.bitrix24_deals)"
HUNGRY = [
    "SELECT array_agg(repeat(a.TITLE, 1000)) FROM raw.bitrix24_deals a, raw.bitrix24_deals b",
    f"SELECT max(a.t || b.t) FROM {LONG.format(50_000)} a JOIN {LONG.format(50_000)} b ON a.ID = b.ID",
]


@pytest.mark.parametrize("sql", HUNGRY)
def test_memory_is_limited(large: Path, sql: str) -> None:
    with pytest.raises(UsageError, match="more memory than there is for one: 1 GB"):
        guarded_query(large, sql, limit=5, seconds=60, memory_bytes=GB)
    assert children() == []


MANY = "SELECT ID + 10000 * value AS n, repeat(TITLE, 150) AS t FROM raw.bitrix24_deals, generate_series(0, 49)"


@pytest.mark.parametrize("limit", [None, 7])
@pytest.mark.slow
def test_what_does_not_fit_into_memory_is_sorted_on_disk(
    large: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: int | None
) -> None:
    """400 MB are more than a sort may hold of 1 GB, which is a third."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sql = f"SELECT n FROM ({MANY}) ORDER BY t DESC, n DESC"
    found = guarded_query(large, sql, limit=limit, seconds=100, memory_bytes=GB)
    titles = sorted(range(6_000), key=lambda number: f"deal {number}deal", reverse=True)
    expected = [number + 10_000 * turn for number in titles for turn in reversed(range(50))]
    assert found.column("n").to_pylist() == expected[:limit]
    assert list(tmp_path.glob("b24lake-*")) == []


def test_rows_can_be_read_as_they_come(large: Path) -> None:
    sql = "SELECT value FROM generate_series(1, 1000000000000)"
    with guarded_stream(large, sql, limit=None, seconds=60) as answer:
        assert answer.schema.names == ["value"]
        assert sum(next(answer.batches).num_rows for _ in range(3)) > 0
        assert len(children()) == 1
    assert children() == []


def test_a_fault_among_the_rows_is_told_where_they_are_read(large: Path) -> None:
    sql = "SELECT 1 / (value - 500000) AS x FROM generate_series(1, 1000000)"
    with (
        guarded_stream(large, sql, limit=None, seconds=60) as answer,
        pytest.raises(UsageError, match="Divide by zero"),
    ):
        for _ in answer.batches:
            pass


def test_time_also_ends_an_answer_that_is_being_read(large: Path) -> None:
    sql = "SELECT value FROM generate_series(1, 1000000000000)"
    with (
        pytest.raises(UsageError, match="stopped after 2 seconds"),
        guarded_stream(large, sql, limit=None, seconds=2) as answer,
    ):
        for _ in answer.batches:
            pass


def test_rows_come_with_what_their_columns_mean(large: Path) -> None:
    found = guarded_query(large, "SELECT * FROM raw.bitrix24_deals", limit=5)
    assert found.num_rows == 5
    assert found.schema.field("TITLE").metadata == {b"comment": b"Title"}


def test_the_usual_query_needs_far_less_memory_than_it_may_have(large: Path) -> None:
    sql = "SELECT TITLE, sum(SUM) AS s FROM raw.bitrix24_deals GROUP BY TITLE ORDER BY s, TITLE"
    assert guarded_query(large, sql, limit=10, memory_bytes=MEMORY_BYTES // 8).num_rows == 10


def test_the_child_does_not_outlive_its_parent(large: Path) -> None:
    program = "import sys; from pathlib import Path; from b24lake.lake.guarded import guarded_query as q;"
    program += f" q(Path({json.dumps(str(large))}), {json.dumps(ENDLESS)}, limit=5)"
    with subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(large)}) as parent:
        child = _child_of(parent.pid)
        parent.kill()
    assert psutil.wait_procs([child], timeout=5)[1] == []


def _child_of(pid: int) -> psutil.Process:
    """The child, when it has had the time to begin its query."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = psutil.Process(pid).children()
        if found and found[0].cpu_times().user > 0.5:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no child")

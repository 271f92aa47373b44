"""SQL in a process of its own: the same answers, and an end to every query."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from lake_rows import Deals, rows

from b24lake.errors import StreamError, UsageError
from b24lake.lake.guarded import MEMORY_BYTES, MODULE, guarded_query
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


HUNGRY = [
    "SELECT array_agg(repeat(a.TITLE, 1000)) FROM raw.bitrix24_deals a, raw.bitrix24_deals b",
    "SELECT a.* FROM raw.bitrix24_deals a, raw.bitrix24_deals b ORDER BY a.TITLE || b.TITLE",
]


@pytest.mark.parametrize("sql", HUNGRY)
def test_memory_is_limited(large: Path, sql: str) -> None:
    with pytest.raises(UsageError, match="more memory than there is for one: 1 GB"):
        guarded_query(large, sql, limit=5, seconds=60, memory_bytes=GB)
    assert children() == []


def test_the_usual_query_needs_far_less_memory_than_it_may_have(large: Path) -> None:
    sql = "SELECT TITLE, sum(SUM) AS s FROM raw.bitrix24_deals GROUP BY TITLE ORDER BY s, TITLE"
    assert guarded_query(large, sql, limit=10, memory_bytes=MEMORY_BYTES // 8).num_rows == 10


def test_the_child_does_not_outlive_its_parent(large: Path) -> None:
    program = "import sys; from pathlib import Path; from b24lake.lake.guarded import guarded_query as q;"
    program += f" q(Path({json.dumps(str(large))}), {json.dumps(ENDLESS)}, limit=5)"
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
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

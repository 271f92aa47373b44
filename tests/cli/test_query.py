"""`b24lake query` as a process: it can be stopped, and says when it had to stop."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

import psutil
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from running import Lake, Ran, command, environment

Run = Callable[..., Ran]
ENDLESS = "SELECT a.ID % 7 AS g, count(*) AS n FROM raw.numbers a, raw.numbers b, raw.numbers c GROUP BY a.ID % 7"


@pytest.fixture(autouse=True)
def numbers(lake: Lake) -> None:
    """A table raw.numbers of 6,000 rows."""
    write_deltalake(str(lake.path / "raw" / "numbers"), pa.table({"ID": list(range(6_000))}))


def test_a_query_is_answered_and_cut(b24lake: Run) -> None:
    ran = b24lake("query", "SELECT ID FROM raw.numbers ORDER BY ID", "--limit", "2", "--json")
    assert (ran.code, ran.json["rows"], ran.json["truncated"]) == (0, [{"ID": 0}, {"ID": 1}], True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_running_query_can_be_stopped(lake: Lake, number: signal.Signals) -> None:
    process = subprocess.Popen(
        command("query", ENDLESS),
        env=environment(lake),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    child = _busy_child(process.pid)
    began = time.monotonic()
    process.send_signal(number)
    out, said = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in said
    assert time.monotonic() - began < 3
    assert not child.is_running()


def _busy_child(pid: int) -> psutil.Process:
    """The process of the query, when it is at work."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = psutil.Process(pid).children()
        if found and found[0].cpu_times().user > 0.5:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no child")


def test_a_query_ends_after_its_time(b24lake: Run) -> None:
    began = time.monotonic()
    ran = b24lake("query", ENDLESS, "--timeout", "2s", "--json")
    assert time.monotonic() - began < 20
    assert (ran.code, ran.json["status"]) == (2, "failed")
    assert "stopped after 2 seconds" in ran.err


WRONG = [
    (("SELECT 1", "--timeout", "0"), "between a second and a day"),
    (("SELECT 1", "--timeout", "2d"), "between a second and a day"),
    (("SELECT 1", "--timeout", "soon"), "not a duration"),
    (("SELECT " + "(" * 3_000 + "1" + ")" * 3_000,), "nested too deeply"),
    (("SELECT * FROM raw.number",), "did you mean raw.numbers"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_a_mistake_is_told_without_a_traceback(b24lake: Run, words: tuple[str, ...], said: str) -> None:
    ran = b24lake("query", *words)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.said


def test_an_answer_too_wide_for_the_terminal_is_shown_row_by_row(b24lake: Run) -> None:
    columns = ", ".join(f"ID AS a_long_name_{number}" for number in range(20))
    shown = b24lake("query", f"SELECT {columns} FROM raw.numbers ORDER BY ID LIMIT 2").out
    lines = [line.split() for line in shown.splitlines()]
    assert lines[:2] == [["row", "1"], ["a_long_name_0", "0"]]
    assert lines[21:23] == [["row", "2"], ["a_long_name_0", "1"]]


def test_values_are_shown_as_what_they_are(b24lake: Run) -> None:
    sql = (
        "SELECT true AS b, NULL AS n, [1, NULL] AS l, map(['a'], [1.50]) AS m, struct(1, 'x') AS s,"
        " CAST(1.50 AS DECIMAL(38, 9)) AS d, DATE '2026-01-02' AS day,"
        " TIMESTAMP '2026-01-02T03:04:05.600Z' AS t"
    )
    shown = b24lake("query", sql).out.splitlines()[1]
    wanted = 'true null [1,null] {"a":1.5} {"c0":1,"c1":"x"} 1.5 2026-01-02 2026-01-02 03:04:05.600000'
    assert " ".join(shown.split()) == wanted
    document = b24lake("query", sql, "--json").json
    assert document["rows"][0] | {"t": ""} == {
        "b": True, "n": None, "l": [1, None], "m": {"a": 1.5}, "s": {"c0": 1, "c1": "x"}, "d": 1.5, "day": "2026-01-02",
        "t": "",
    }  # fmt: skip
    types = {column["name"]: column["type"] for column in document["columns"]}
    assert (types["d"], types["l"], types["t"]) == ("decimal(38,9)", "array<long>", "timestamp")


def test_earlier_versions_are_read(b24lake: Run, lake: Lake) -> None:
    write_deltalake(str(lake.path / "raw" / "numbers"), pa.table({"ID": [6_000]}), mode="append")
    sql = "SELECT (SELECT count(*) FROM raw.numbers VERSION AS OF 0) AS before, count(*) AS now FROM raw.numbers"
    assert b24lake("query", sql, "--json").json["rows"] == [{"before": 6_000, "now": 6_001}]
    ran = b24lake("query", "SELECT * FROM raw.numbers VERSION AS OF 9")
    assert (ran.code, "There is no version 9 of raw.numbers" in ran.err) == (2, True)

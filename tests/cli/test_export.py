"""`b24lake export` as a process: whole files or none."""

from __future__ import annotations

import csv
import gzip
import json
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from running import Lake, Ran, command, environment

Run = Callable[..., Ran]
ENDLESS = "SELECT value, 'a text that makes it long' AS t FROM generate_series(1, 1000000000000)"
FIRST, ALL = list(range(3_000)), list(range(6_000))


@pytest.fixture(autouse=True)
def numbers(lake: Lake) -> None:
    """A table raw.numbers: 3,000 rows in version 0, 6,000 in version 1."""
    folder = str(lake.path / "raw" / "numbers")
    for start in (0, 3_000):
        ids = list(range(start, start + 3_000))
        write_deltalake(folder, pa.table({"ID": ids, "NAME": [f"name {each}" for each in ids]}), mode="append")


def ids(file: Path) -> list[int]:
    """The ids in a file, in order."""
    if file.suffix == ".parquet":
        return sorted(pq.read_table(file).column("ID").to_pylist())
    held = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    lines = held.decode().splitlines()
    if ".csv" in file.suffixes:
        return sorted(int(row["ID"]) for row in csv.DictReader(lines))
    rows = json.loads(held) if file.suffix == ".json" else map(json.loads, lines)
    return sorted(row["ID"] for row in rows)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.json", "a.ndjson", "a.parquet"])
def test_a_table_becomes_a_file(b24lake: Run, tmp_path: Path, name: str) -> None:
    ran = b24lake("export", "numbers", str(tmp_path / name), "--json")
    assert (ran.code, ran.json["rows"], ran.json["bytes"]) == (0, 6_000, (tmp_path / name).stat().st_size)
    assert ids(tmp_path / name) == ALL


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("raw.numbers", "{file}", "--as-of", "0"), FIRST),
        (("raw.numbers", "{file}", "--as-of", "2100-01-01"), ALL),
        (("raw.numbers", "{file}", "--as-of", "0", "--limit", "10"), FIRST[:10]),
        (("raw.numbers", "{file}", "--columns", "ID"), ALL),
        (("--sql", "SELECT ID FROM raw.numbers WHERE ID < 5", "{file}"), ALL[:5]),
        (("--sql", "SELECT ID FROM raw.numbers VERSION AS OF 0 WHERE ID > 2990", "{file}"), FIRST[2991:]),
    ],
)
def test_what_is_exported_can_be_chosen(b24lake: Run, tmp_path: Path, words: tuple[str, ...], expected: Any) -> None:
    target = tmp_path / "a.csv"
    ran = b24lake("export", *(word.format(file=target) for word in words))
    assert (ran.code, ran.err) == (0, "")
    assert f"{len(expected):,} rows" in ran.out
    assert ids(target) == expected


def test_a_dash_is_stdout(b24lake: Run) -> None:
    ran = b24lake("export", "--sql", "SELECT 1 AS a, NULL AS b", "-", "--format", "csv")
    assert (ran.code, ran.out, ran.err) == (0, "a,b\n1,\n", "")


WRONG = [
    (("raw.numbers",), "Name a table"),
    (("raw.numbers", "a.csv", "--sql", "SELECT 1"), "no table to name"),
    (("raw.number", "a.csv"), "did you mean raw.numbers"),
    (("raw.numbers", "a.xlsx"), "does not say which format"),
    (("raw.numbers", "-"), "--format"),
    (("raw.numbers", "-", "--format", "csv", "--json"), "cannot both go to stdout"),
    (("raw.numbers", "a.csv", "--columns", "NONSENSE"), "NONSENSE"),
    (("raw.numbers", "a.csv", "--as-of", "7"), "There is no version 7"),
    (("raw.numbers", "a.csv", "--as-of", "2001-01-01"), "does not go back to 2001-01-01"),
    (("raw.numbers", "a.csv", "--as-of", "soon"), "neither a version nor a time"),
    (("raw.numbers", "a.csv", "--limit", "-1"), "--limit"),
    (("raw.numbers", "nowhere/a.csv"), "no folder nowhere"),
    (("raw.numbers", "there.csv"), "is there already"),
    (("--sql", "DROP TABLE raw.numbers", "a.csv"), "Only reading is allowed"),
    (("--sql", "SELECT 1", "a.csv", "--as-of", "1"), "are for a table"),
    (("--sql", "SELECT 1 / (ID - 5000) AS x FROM raw.numbers", "a.csv"), "Divide by zero"),
    (("--sql", ENDLESS, "a.csv", "--timeout", "2s"), "stopped after 2 seconds"),
    (("--sql", "SELECT INTERVAL '1 month' AS i", "a.parquet"), "cast it in SQL"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_a_mistake_is_told_and_leaves_no_file(
    b24lake: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "there.csv").write_text("before")
    ran = b24lake("export", *words)
    assert (ran.code, "Traceback" in ran.said) == (2, False)
    assert said in " ".join(ran.err.split())
    assert [each.name for each in folder.iterdir()] == ["there.csv"]
    assert (folder / "there.csv").read_text() == "before"


def test_a_file_can_be_replaced(b24lake: Run, tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("before")
    assert b24lake("export", "raw.numbers", str(target), "--overwrite").code == 0
    assert ids(target) == ALL


def test_a_full_disk_is_told_and_leaves_nothing(lake: Lake, tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    target = tmp_path / "full" / "a.csv"
    target.parent.mkdir()
    done = subprocess.run(
        command("export", "raw.numbers", str(target)),
        env=environment(lake),
        preexec_fn=small_files,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, list(target.parent.iterdir())) == (1, [])
    assert f"Cannot write {target}" in done.stderr
    assert "free some space" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_an_export_can_be_stopped(lake: Lake, tmp_path: Path, number: signal.Signals, name: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    process = subprocess.Popen(
        command("export", "--sql", ENDLESS, str(folder / name)),
        env=environment(lake),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _wait_for_rows(folder)
    child = psutil.Process(process.pid).children()[0]
    process.send_signal(number)
    out, said = process.communicate(timeout=10)
    assert (process.returncode, out, b"Traceback" in said) == (130, b"", False)
    assert list(folder.iterdir()) == []
    assert not child.is_running()


def _wait_for_rows(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if any(each.stat().st_size for each in folder.iterdir()):
            return
        time.sleep(0.05)
    raise AssertionError("nothing is written")


def test_whoever_reads_stdout_may_stop(lake: Lake) -> None:
    process = subprocess.Popen(
        command("export", "--sql", ENDLESS, "-", "--format", "ndjson"),
        env=environment(lake),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stdout.readline() == b'{"value":1,"t":"a text that makes it long"}\n'
    process.stdout.close()
    process.wait(timeout=10)
    assert process.stderr
    with process.stderr as said:
        assert said.read() == b""
    assert process.returncode == 1

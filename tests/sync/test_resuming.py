"""A run that was cut off is gone on with: nothing is lost, nothing comes twice, and little is asked for again."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import deltalake
import pytest

from b24lake.sandbox import Server
from b24lake.sync.report import RunReport
from running import Lake, command, environment

DEALS = 12_000
SLOW = {"deals": DEALS, "deal_fields": 50, "page_ms": 6.0, "operating_limit": 0, "users": 3_000}


def start(server: Server, lake: Lake, stream: str = "deals") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command("sync", server.url, "-s", stream, "--json"),
        env=environment(lake),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def kill_after(batches: int, server: Server, lake: Lake, stream: str = "deals") -> None:
    """Begin to read and kill the process when so many batches are on disk."""
    run = start(server, lake, stream)
    staging = Path(lake.table(stream)) / "_staging"
    while len(list(staging.glob("*/*.held"))) < batches:
        assert run.poll() is None, "the run was too quick to be killed"
        time.sleep(0.005)
    run.kill()
    run.communicate()


def go_on(server: Server, lake: Lake, stream: str = "deals", **options: Any) -> tuple[RunReport, int]:
    """Run again; returns the report and the rows that the run found read before."""
    report = lake.sync(server.url, stream, **options)
    told = [note for note in report.notes if "goes on behind" in note]
    return report, int(told[0].split("behind ")[1].split()[0].replace(",", "")) if told else 0


def ids_and_titles(lake: Lake) -> dict[int, str]:
    table = deltalake.DeltaTable(lake.table("deals")).to_pyarrow_table(columns=["ID", "TITLE"]).to_pylist()
    assert len({row["ID"] for row in table}) == len(table)
    return {row["ID"]: row["TITLE"] for row in table}


def truth(server: Server) -> dict[int, str]:
    return {int(row["ID"]): row["TITLE"] for row in server.portal.truth("deals")}


def one_folder(lake: Lake, stream: str = "deals") -> Path:
    (folder,) = (Path(lake.table(stream)) / "_staging").iterdir()
    return folder


def parts_on_disk(lake: Lake, stream: str = "deals") -> set[str]:
    return {each.name for each in Path(lake.table(stream)).glob("part-*")}


def test_a_killed_run_is_gone_on_with(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**SLOW)
    kill_after(2, server, lake)
    asked = server.portal.counters.requests
    report, before = go_on(server, lake)
    assert 1_000 <= before < DEALS
    assert server.portal.counters.requests - asked < 14
    assert (report.status, report.streams[0].rows_read) == ("success", DEALS)
    assert ids_and_titles(lake) == truth(server)
    assert not (Path(lake.table("deals")) / "_staging").exists()
    assert len(parts_on_disk(lake)) == len(deltalake.DeltaTable(lake.table("deals")).file_uris())


def test_it_can_be_killed_again_and_again(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**SLOW)
    for _kill in range(3):
        kill_after(2 + _kill, server, lake)
    report, before = go_on(server, lake)
    assert before >= 2_000
    assert report.status == "success"
    assert ids_and_titles(lake) == truth(server)


def test_what_changed_meanwhile_is_asked_for_once_more(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**SLOW)
    kill_after(3, server, lake)
    first, *_rest, last = sorted(truth(server))
    server.portal.change("deals", first, {"TITLE": "changed meanwhile"})
    server.portal.change("deals", last, {"TITLE": "changed as well"})
    created = server.portal.create("deals", {"TITLE": "created meanwhile"})
    report, before = go_on(server, lake)
    assert before > 0
    found = ids_and_titles(lake)
    assert found == truth(server)
    assert (found[first], found[created]) == ("changed meanwhile", "created meanwhile")
    assert deltalake.DeltaTable(lake.table("deals")).version() <= 1
    assert len(parts_on_disk(lake)) == len(deltalake.DeltaTable(lake.table("deals")).file_uris())
    assert report.streams[0].rows_inserted == DEALS + 1


def test_the_bookmark_is_from_when_the_first_rows_were_asked_for(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**SLOW)
    kill_after(1, server, lake)
    clock = json.loads((one_folder(lake) / "read.json").read_text())["clock"]
    time.sleep(1.1)
    report, _before = go_on(server, lake, overlap=timedelta(0))
    bookmark = report.streams[0].bookmark
    assert bookmark is not None
    assert abs(_seconds(bookmark) - _seconds(clock)) < 0.002


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def age(lake: Lake, began: str, stream: str = "deals") -> None:
    file = one_folder(lake, stream) / "read.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "began": began}))


def test_a_read_of_yesterday_is_begun_anew(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**SLOW)
    kill_after(1, server, lake)
    age(lake, "2026-01-01T00:00:00+00:00")
    report, before = go_on(server, lake)
    assert (report.status, before) == ("success", 0)
    assert ids_and_titles(lake) == truth(server)
    assert not (Path(lake.table("deals")) / "_staging").exists()


@pytest.mark.parametrize("what", ["columns", "fingerprint", "since", "version", "read.json"])
def test_a_read_about_something_else_is_begun_anew(serve: Callable[..., Server], lake: Lake, what: str) -> None:
    server = serve(**SLOW)
    kill_after(1, server, lake)
    file = one_folder(lake) / "read.json"
    told = json.loads(file.read_text())
    file.write_text("{" if what == "read.json" else json.dumps({**told, what: "another"}))
    report, before = go_on(server, lake)
    assert (report.status, before) == ("success", 0)
    assert ids_and_titles(lake) == truth(server)


def test_a_new_field_begins_the_read_anew(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**SLOW)
    kill_after(1, server, lake)
    server.portal.set_field("deals", "UF_CRM_NEW", "string")
    report, before = go_on(server, lake)
    assert (report.status, before) == ("success", 0)


def test_without_a_replication_key_only_a_young_read_is_gone_on_with(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**SLOW, gzip=True)
    kill_after(1, server, lake, "users")
    long_ago = (one_folder(lake, "users") / "read.json").stat().st_mtime - 3600
    age(lake, datetime.fromtimestamp(long_ago, UTC).isoformat(), "users")
    report, before = go_on(server, lake, "users")
    assert (report.streams[0].rows_read, before) == (3_000, 0)


def test_damaged_batches_are_asked_for_again(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**SLOW)
    kill_after(3, server, lake)
    files = sorted(one_folder(lake).glob("*.held"))
    files[0].write_bytes(files[0].read_bytes()[:-9])
    files[1].write_bytes(b"")
    report, _before = go_on(server, lake)
    assert report.status == "success"
    assert ids_and_titles(lake) == truth(server)


def test_a_cancelled_run_says_what_it_keeps(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**SLOW)
    run = start(server, lake)
    while not list((Path(lake.table("deals")) / "_staging").glob("*/*.held")):
        time.sleep(0.005)
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=20)
    document = json.loads(out)
    assert document["status"] == "canceled"
    assert "rows read so far are kept" in document["notes"][0]
    report, before = go_on(server, lake)
    assert f"{before:,}" in document["notes"][0]
    assert (report.status, ids_and_titles(lake)) == ("success", truth(server))


def test_an_incremental_read_is_gone_on_with(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**SLOW)
    lake.sync(server.url, "deals")
    for key in truth(server):
        server.portal.change("deals", key, {"TITLE": f"second {key}"})
    kill_after(2, server, lake)
    report, before = go_on(server, lake)
    assert before >= 1_000
    assert (report.status, report.streams[0].rows_updated) == ("success", DEALS)
    assert ids_and_titles(lake) == truth(server)


@pytest.mark.slow
def test_killed_at_twenty_moments(serve: Callable[..., Server], tmp_path: Path) -> None:
    """Whenever it dies: the next run ends with the portal's rows, and both asked little more than one would have."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    server = serve(**{**SLOW, "deals": 20_000, "page_ms": 12.0})
    whole = Lake(tmp_path / "whole", tmp_path / "home")
    began = time.monotonic()
    start(server, whole).communicate()
    seconds, alone = time.monotonic() - began, server.portal.counters.requests
    for moment in range(20):
        lake = Lake(tmp_path / f"lake-{moment}", tmp_path / f"home-{moment}")
        before = server.portal.counters.requests
        run = start(server, lake)
        time.sleep(chance.uniform(0, seconds))
        run.kill()
        run.communicate()
        told = f"seed {seed}, kill {moment}"
        assert lake.sync(server.url, "deals").status == "success", told
        assert ids_and_titles(lake) == truth(server), told
        assert server.portal.counters.requests - before <= 1.05 * alone + 10, told
        assert len(parts_on_disk(lake)) == len(deltalake.DeltaTable(lake.table("deals")).file_uris()), told

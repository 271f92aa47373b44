"""A lake in an object store: what a run leaves there equals what it leaves on a disk, whatever happens on the way."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import pytest

from b24lake.sandbox import Server
from b24lake.sync.report import RunReport
from object_store import KEY, SECRET, ObjectStore
from running import Lake, Ran, command, environment, run

OPTIONS = {"deal_contacts": True, "deal_comments": True, "deal_products": True}
COUNTS = ("status", "sync_type", "rows_read", "rows_inserted", "rows_updated", "rows_deleted", "schema_changes")
Row = dict[str, Any]


def rows(lake: Lake, stream: str) -> list[Row]:
    """By key, without the times of the runs."""
    table = deltalake.DeltaTable(lake.table(stream)).to_pyarrow_table().drop_columns(["_synced_at"])
    key = next(name for name in ("ID", "id") if name in table.column_names)
    found = [{**row, "_deleted_at": row.get("_deleted_at") is not None} for row in table.to_pylist()]
    return sorted(found, key=lambda row: str(row[key]))


def same(one: RunReport, other: RunReport) -> None:
    """Both runs did the same."""
    for line, beside in zip(one.streams, other.streams, strict=True):
        assert {name: getattr(line, name) for name in COUNTS} == {name: getattr(beside, name) for name in COUNTS}


def same_tables(near: Lake, far: Lake, report: RunReport) -> None:
    for line in report.streams:
        here, there = deltalake.DeltaTable(near.table(line.name)), deltalake.DeltaTable(far.table(line.name))
        assert here.schema() == there.schema(), line.name
        assert rows(near, line.name) == rows(far, line.name), line.name


def leftovers(store: ObjectStore, lake: Lake) -> list[str]:
    """Objects that belong to no version of a table."""
    known = set()
    for key in store.keys(lake.path.key):
        table, log, _ = key.partition("/_delta_log/")
        known |= {key} if log else set()
        if log and f"s3://lake/{table}" not in known:
            names = deltalake.DeltaTable(f"s3://lake/{table}").file_uris()
            known |= {f"s3://lake/{table}", *(name.removeprefix("s3://lake/") for name in names)}
    return [key for key in store.keys(lake.path.key) if key not in known and not key.endswith("layers.json")]


def test_every_stream_is_as_on_a_disk(serve: Callable[..., Server], lake: Lake, far_lake: Lake) -> None:
    server = serve()
    near, far = lake.sync(server.url, **OPTIONS), far_lake.sync(server.url, **OPTIONS)
    assert (near.status, far.status, len(far.streams)) == ("success", "success", 28)
    same(near, far)
    same_tables(lake, far_lake, far)


@pytest.mark.slow
def test_changes_deletions_and_drift_are_as_on_a_disk(
    serve: Callable[..., Server], lake: Lake, far_lake: Lake, store: ObjectStore
) -> None:
    server = serve()
    portal, names = server.portal, ("deals", "deal_products", "deal_fields", "users")

    def both(**options: Any) -> None:
        near, far = (one.sync(server.url, *names, **OPTIONS, **options) for one in (lake, far_lake))
        assert (near.status, far.status) == ("success", "success")
        same(near, far)
        same_tables(lake, far_lake, far)

    both()
    first, second, third, *_ = (int(row["ID"]) for row in portal.truth("deals"))
    portal.change("deals", first, {"TITLE": "changed"})
    portal.create("deals", {"TITLE": "created"})
    portal.delete("deals", second)
    portal.set_field("deals", "UF_CRM_NEW", "string")
    portal.change("deals", third, {"UF_CRM_NEW": "filled"})
    both()
    both(full=True, deleted="mark")
    assert [row["ID"] for row in rows(far_lake, "deals") if row["_deleted_at"]] == [second]
    portal.change("deals", first, {"TITLE": "changed again"})
    both(full=True)
    assert second not in {row["ID"] for row in rows(far_lake, "deals")}
    assert store.uploads() == 0
    versions = deltalake.DeltaTable(far_lake.table("deals")).version()
    assert versions == deltalake.DeltaTable(lake.table("deals")).version()


SLOW = {"deals": 40_000, "deal_fields": 50, "page_ms": 4.0, "operating_limit": 0}


def test_a_killed_run_is_gone_on_with_on_another_machine(
    serve: Callable[..., Server], far_lake: Lake, store: ObjectStore, tmp_path: Path
) -> None:
    server = serve(**SLOW)
    killed = subprocess.Popen(
        command("sync", server.url, "-s", "deals", "--json"),
        env=environment(far_lake),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not any(key.endswith(".held") for key in store.keys(far_lake.path.key)):
        assert killed.poll() is None, "the run was too quick to be killed"
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    asked = server.portal.counters.requests
    other = Lake(far_lake.path, tmp_path / "home of another machine")
    report = other.sync(server.url, "deals")
    (note,) = (note for note in report.notes if "goes on behind" in note)
    before = int(note.split("behind ")[1].split()[0].replace(",", ""))
    assert 10_000 <= before < 40_000
    assert server.portal.counters.requests - asked < 22
    assert (report.status, report.streams[0].rows_read) == ("success", 40_000)
    assert {row["ID"]: row["TITLE"] for row in rows(far_lake, "deals")} == {
        int(row["ID"]): row["TITLE"] for row in server.portal.truth("deals")
    }
    assert leftovers(store, far_lake) == []


def test_two_machines_at_once_leave_every_row_once(
    serve: Callable[..., Server], far_lake: Lake, store: ObjectStore, tmp_path: Path
) -> None:
    server = serve(deals=6_000, deal_fields=50)
    first = min(int(row["ID"]) for row in server.portal.truth("deals"))
    machines = [Lake(far_lake.path, tmp_path / f"home {number}") for number in range(2)]
    for _round in range(2):
        server.portal.change("deals", first, {"TITLE": f"round {_round}"})
        runs = [
            subprocess.Popen(
                command("sync", server.url, "-s", "deals", "-s", "users", "--full", "--json"),
                env=environment(machine),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for machine in machines
        ]
        told = [json.loads(run.communicate(timeout=120)[0]) for run in runs]
        assert "success" in {one["status"] for one in told}
        for line in (line for one in told for line in one["streams"]):
            assert line["status"] == "success" or "let only one run at a time" in line["error"]
        held = rows(far_lake, "deals")
        assert sorted(row["ID"] for row in held) == sorted(int(row["ID"]) for row in server.portal.truth("deals"))
        assert next(row["TITLE"] for row in held if row["ID"] == first) == f"round {_round}"


SYNC, TABLES, QUERY = ("sync", "URL"), ("tables",), ("query", "SELECT 1 FROM raw.bitrix24_deals")
WRONG = [  # a command, environment variables instead of the right ones, what is told
    (SYNC, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "the store does not answer: http://127.0.0.1:9"),
    (QUERY, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "the store does not answer: http://127.0.0.1:9"),
    (SYNC, {"AWS_ALLOW_HTTP": "false"}, "AWS_ALLOW_HTTP=true"),
    (SYNC, {"B24LAKE_LAKE": "s3://no-such-bucket/lake"}, "there is no such bucket"),
    (TABLES, {"B24LAKE_LAKE": "s3://no-such-bucket/lake"}, "there is no such bucket"),
    (QUERY, {"B24LAKE_LAKE": "gs://bucket/lake"}, "gs: addresses are not supported"),
]


@pytest.mark.parametrize(("words", "wrong", "said"), WRONG)
def test_a_store_that_cannot_be_used_is_a_clear_error(
    serve: Callable[..., Server],
    far_lake: Lake,
    store: ObjectStore,
    words: tuple[str, ...],
    wrong: dict[str, str],
    said: str,
) -> None:
    url = serve().url
    ran = run(far_lake, *(url if word == "URL" else word for word in words), env=wrong)
    assert ran.code == (2 if "gs:" in said else 1)
    assert said in ran.err
    assert ran.err.count("Error:") == 1
    assert SECRET not in ran.said
    assert store.keys(far_lake.path.key) == []


def test_keys_may_be_in_a_file(far_lake: Lake, store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    env = {"HOME": str(tmp_path), "AWS_PROFILE": "work", "AWS_EC2_METADATA_DISABLED": "true"}
    without = {name: text for name, text in environment(far_lake, env).items() if not name.startswith("AWS_S")}
    without.pop("AWS_ACCESS_KEY_ID")

    def listed() -> Ran:
        done = subprocess.run(command("tables"), capture_output=True, text=True, env=without, timeout=60)
        return Ran(done.returncode, done.stdout, done.stderr)

    (tmp_path / ".aws" / "credentials").write_text("[other]\naws_access_key_id = a\naws_secret_access_key = b\n")
    assert "no credentials were found" in listed().err
    (tmp_path / ".aws" / "credentials").write_text("[work]\naws_access_key_id = a\naws_secret_access_key = b\n")
    assert listed().code == 0


def test_a_cancelled_run_keeps_what_it_has_read(
    serve: Callable[..., Server], far_lake: Lake, store: ObjectStore
) -> None:
    server = serve(**SLOW)
    canceled = subprocess.Popen(
        command("sync", server.url, "-s", "deals", "--json"),
        env=environment(far_lake),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    while not any(key.endswith(".held") for key in store.keys(far_lake.path.key)):
        assert canceled.poll() is None, "the run was too quick to be canceled"
        time.sleep(0.01)
    canceled.send_signal(signal.SIGINT)
    document = json.loads(canceled.communicate(timeout=60)[0])
    assert document["status"] == "canceled"
    assert "rows read so far are kept" in document["notes"][0]
    report = far_lake.sync(server.url, "deals")
    assert report.status == "success", report.streams[0].error
    assert len(rows(far_lake, "deals")) == 40_000
    assert leftovers(store, far_lake) == []


def test_a_store_that_fails_in_the_middle_ends_the_run_and_loses_nothing(
    serve: Callable[..., Server], far_lake: Lake, store: ObjectStore
) -> None:
    server = serve()
    far_lake.sync(server.url, "deals", "leads")
    before = rows(far_lake, "deals")
    portal_id = before[0]["ID"]
    server.portal.change("deals", portal_id, {"TITLE": "changed"})
    store.fault("PUT .*_delta_log", "AccessDenied", 403)
    report = far_lake.sync(server.url, "deals", "leads", full=True)
    assert {line.name: line.status for line in report.streams}["deals"] == "failed"
    assert "the credentials do not allow it" in str(report.error)
    assert KEY not in str(report.error)
    store.fault("")
    assert rows(far_lake, "deals") == before
    report = far_lake.sync(server.url, "deals", "leads", full=True)
    assert report.status == "success"
    assert rows(far_lake, "deals")[0]["TITLE"] == "changed"
    assert store.uploads() == 0


def test_a_store_that_is_busy_is_asked_again(serve: Callable[..., Server], far_lake: Lake, store: ObjectStore) -> None:
    server = serve()
    store.fault("PUT", "SlowDown", 503, times=3)
    assert far_lake.sync(server.url, "deals").status == "success"
    assert len(rows(far_lake, "deals")) == 260


def test_the_commands_work_on_it(serve: Callable[..., Server], far_lake: Lake, tmp_path: Path) -> None:
    server = serve()
    far_lake.sync(server.url, "deals", "users")

    def told(*words: str) -> Any:
        ran = run(far_lake, *words, "--json")
        assert ran.code == 0, ran.err
        return ran.json

    listed = told("tables")
    assert listed["lake"] == str(far_lake.path)
    assert {"raw.bitrix24_deals", "raw.bitrix24_users"} <= {one["table"] for one in listed["tables"]}
    assert told("query", "SELECT count(*) AS n FROM raw.bitrix24_deals")["rows"] == [{"n": 260}]
    assert told("show", "bitrix24_deals")["info"]["rows"] == 260

"""What a run does when something is wrong, changed, or interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import deltalake
import pytest

from b24lake.errors import StopError, UsageError
from b24lake.portal.webhook import parse
from b24lake.sandbox import Server
from b24lake.sync.home import Home, lock_name, portal_id
from running import Lake, command, environment


def test_streams_without_a_scope_are_locked_and_do_not_fail_the_run(serve: Callable[..., Server], lake: Lake) -> None:
    report = lake.sync(serve(scopes=("user",)).url)
    states = {line.name: line.status for line in report.streams}
    assert states.pop("users") == "success"
    assert set(states.values()) == {"locked"}
    assert (report.status, report.exit_code) == ("success", 0)
    assert "scope crm" in next(line.error for line in report.streams if line.name == "deals")
    assert all("tick" in line.error for line in report.streams if line.status == "locked")
    assert sorted(path.name for path in (lake.path / "raw").iterdir()) == ["bitrix24_users"]


def test_a_webhook_without_any_scope_reads_nothing_and_says_so(serve: Callable[..., Server], lake: Lake) -> None:
    report = lake.sync(serve(scopes=()).url)
    assert (report.status, report.exit_code) == ("failed", 1)
    assert {line.status for line in report.streams} == {"locked"}


@pytest.mark.parametrize(("method", "stream"), [("crm.lead.list", "leads"), ("crm.status.list", "status_list")])
@pytest.mark.parametrize("after", [0, 1])
def test_a_stream_forbidden_in_the_middle_of_a_run_fails_alone(
    serve: Callable[..., Server], lake: Lake, method: str, stream: str, after: int
) -> None:
    server = serve(leads=5000, threshold=0)
    server.portal.fault("no_access", method=method, after=60 * after if stream == "leads" else 0)
    report = lake.sync(server.url, stream, "deals", "users")
    states = {line.name: line.status for line in report.streams}
    assert states == {stream: "failed", "deals": "success", "users": "success"}
    assert report.status == "partial"
    assert "ACCESS_DENIED" in next(line.error or "" for line in report.streams if line.name == stream)
    assert not deltalake.DeltaTable.is_deltatable(lake.table(stream))


def test_a_run_says_that_its_owner_may_not_see_everything(serve: Callable[..., Server], lake: Lake) -> None:
    assert any("not an administrator" in note for note in lake.sync(serve(admin=False).url, "users").notes)
    other = Lake(lake.path / "other", lake.home)
    assert other.sync(serve().url, "users").notes == []


@pytest.mark.parametrize(
    ("streams", "status", "states"),
    [
        (("deals", "users"), "partial", ["failed", "success"]),
        (("deals",), "failed", ["failed"]),
        (("deal*", "users"), "success", ["locked", "locked", "locked", "success"]),
        (("deal*",), "failed", ["locked", "locked", "locked"]),
    ],
)
def test_a_locked_stream_fails_only_if_it_was_named(
    serve: Callable[..., Server], lake: Lake, streams: tuple[str, ...], status: str, states: list[str]
) -> None:
    report = lake.sync(serve(scopes=("user",)).url, *streams)
    assert (report.status, [line.status for line in report.streams]) == (status, states)


def test_a_wrong_code_stops_the_run_and_leaves_nothing(serve: Callable[..., Server], lake: Lake) -> None:
    with pytest.raises(StopError, match="NO_AUTH_FOUND"):
        lake.sync(serve().url.replace("sandboxcode", "wrongcode99"))
    assert not (lake.path / "raw").exists()


def test_an_unknown_stream_names_the_nearest(serve: Callable[..., Server], lake: Lake) -> None:
    with pytest.raises(UsageError, match="deals"):
        lake.sync(serve().url, "deal")


def test_the_table_of_another_portal_is_refused(serve: Callable[..., Server], lake: Lake) -> None:
    lake.sync(serve().url, "departments")
    with pytest.raises(UsageError, match="prefix"):
        lake.sync(serve().url, "departments")
    assert deltalake.DeltaTable(lake.table("departments")).version() <= 1


def test_another_replication_key_is_a_full_read(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "activities")
    assert lake.sync(server.url, "activities").streams[0].rows_read == 0
    changed = lake.sync(server.url, "activities", replication_keys={"activities": "LAST_UPDATED"})
    assert changed.streams[0].rows_read == 170
    assert (
        lake.sync(server.url, "activities", replication_keys={"activities": "LAST_UPDATED"}).streams[0].rows_read == 0
    )


def test_a_full_table_stream_is_always_read_in_full(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    seen = []
    for _ in range(2):
        (line,) = lake.sync(server.url, "deals", sync_types={"deals": "FULL_TABLE"}).streams
        seen.append((line.rows_read, line.rows_inserted, line.rows_updated))
    assert seen == [(260, 260, None), (260, 0, 0)]


def test_a_second_run_without_changes_writes_no_version_of_any_table(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    names = [line.name for line in lake.sync(server.url).streams]
    versions = {name: deltalake.DeltaTable(lake.table(name)).version() for name in names}
    assert lake.sync(server.url).status == "success"
    assert {name: deltalake.DeltaTable(lake.table(name)).version() for name in names} == versions


def test_a_read_that_loses_most_rows_is_stopped(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "contacts")
    for raw in list(server.portal.truth("contacts")):
        server.portal.delete("contacts", int(raw["ID"]))
    stopped = lake.sync(server.url, "contacts", full=True)
    assert stopped.status == "failed"
    assert "--accept-deletions" in (stopped.streams[0].error or "")
    assert lake.sync(server.url, "contacts", full=True, accept_deletions=True).streams[0].rows_deleted == 120


def test_a_second_run_at_the_same_time_says_who_holds_the_portal(serve: Callable[..., Server], lake: Lake) -> None:
    server, home = serve(), Home(lake.home).ready()
    address = server.url.split("/")[2]
    with home.lock(f"portal-{portal_id(address)}", "the portal"), pytest.raises(StopError, match=str(os.getpid())):
        lake.sync(server.url, "deals")
    with home.lock(f"table-{lock_name(Path(lake.table('deals')))}", "a table"), pytest.raises(StopError, match="table"):
        lake.sync(server.url, "deals")
    assert lake.sync(server.url, "deals").status == "success"


def test_a_moved_portal_keeps_its_tables(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "departments")
    moved = serve()
    Home(lake.home).moved(parse(server.url), parse(moved.url))
    for url in (moved.url, server.url):
        report = lake.sync(url, "departments")
        assert report.status == "success"
        assert bool(report.notes) is (url == server.url)
    assert server.portal.counters.requests == 3


@pytest.mark.parametrize("first", [True, False], ids=["first read", "second read"])
def test_kill_9_leaves_the_table_as_it_was(serve: Callable[..., Server], lake: Lake, first: bool) -> None:
    server = serve(deals=20_000, deal_fields=50)
    if not first:
        lake.sync(server.url, "deals")
    before = None if first else deltalake.DeltaTable(lake.table("deals")).version()
    run = subprocess.Popen(
        command("sync", server.url, "-s", "deals", "--full"), env=environment(lake), stdout=subprocess.DEVNULL
    )
    staging = Path(lake.table("deals")) / "_staging"
    deadline = time.monotonic() + 60
    while not any(staging.glob("*/*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    if first:
        assert not deltalake.DeltaTable.is_deltatable(lake.table("deals"))
    else:
        assert deltalake.DeltaTable(lake.table("deals")).version() == before
    (line,) = lake.sync(server.url, "deals", full=True).streams
    assert (line.status, line.rows_read) == ("success", 20_000)
    assert not staging.exists()


def test_no_file_ever_holds_the_secret(serve: Callable[..., Server], lake: Lake) -> None:
    lake.sync(serve(code="s3cr3tc0d3f0rt35t").url)
    files = [file for place in (lake.path, lake.home) for file in place.rglob("*") if file.is_file()]
    assert len(files) > 30
    assert not [file for file in files if b"s3cr3tc0d3f0rt35t" in file.read_bytes()]

"""Smart processes come and go, between runs and in the middle of one; some may not be read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import deltalake
import pytest

from b24lake.errors import UsageError
from b24lake.portal.webhook import parse
from b24lake.sandbox import Server
from b24lake.sync.home import Home
from b24lake.sync.options import Options
from b24lake.sync.planning import plan
from b24lake.sync.report import RunReport
from running import Lake


def states(report: RunReport) -> dict[str, str]:
    return {line.name: line.status for line in report.streams}


def ids(lake: Lake, stream: str) -> set[int]:
    return set(deltalake.DeltaTable(lake.table(stream)).to_pyarrow_table(columns=["id"])["id"].to_pylist())


def test_a_new_smart_process_is_read_by_the_next_run(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    assert "spa_1034" not in states(lake.sync(server.url, "spa_*"))
    server.portal.create_type(1034, "Repairs")
    born = [server.portal.create("spa_1034", {"TITLE": f"Repair {number}"}) for number in range(60)]
    report = lake.sync(server.url, "spa_*")
    assert states(report)["spa_1034"] == states(report)["spa_fields_1034"] == "success"
    assert ids(lake, "spa_1034") == set(born)
    types = deltalake.DeltaTable(lake.table("spa_types")).to_pyarrow_table()
    assert "Repairs" in types["title"].to_pylist()


@pytest.mark.parametrize("streams", [(), ("spa_*",), ("spa_156", "spa_fields_156", "users")], ids=str)
def test_the_table_of_a_smart_process_that_is_gone_stays(
    serve: Callable[..., Server], lake: Lake, streams: tuple[str, ...]
) -> None:
    server = serve()
    lake.sync(server.url)
    before = {name: ids(lake, name) for name in ("spa_156",)}
    versions = {name: deltalake.DeltaTable(lake.table(name)).version() for name in ("spa_156", "spa_fields_156")}
    server.portal.delete_type(156)
    report = lake.sync(server.url, *streams)
    assert (states(report)["spa_156"], states(report)["spa_fields_156"]) == ("skipped", "skipped")
    assert report.status == "success"
    assert "no smart process 156 any more" in next(
        line.error or "" for line in report.streams if line.name == "spa_156"
    )
    assert [note for note in report.notes if note.startswith("spa_156:") and "its table stays" in note]
    assert {name: ids(lake, name) for name in before} == before
    assert {name: deltalake.DeltaTable(lake.table(name)).version() for name in versions} == versions


def test_the_plan_tells_that_a_smart_process_is_gone(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "spa_*")
    server.portal.delete_type(156)
    planned = plan(parse(server.url), Options(lake=lake.path, streams=("spa_*",)), Home(lake.home))
    found = {one.name: one.status for one in planned.streams}
    assert (found["spa_156"], found["spa_128"]) == ("skipped", "planned")


def test_a_run_that_only_names_what_is_gone_has_read_nothing(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "spa_156")
    server.portal.delete_type(156)
    report = lake.sync(server.url, "spa_156")
    assert (report.status, states(report)) == ("failed", {"spa_156": "skipped"})


@pytest.mark.parametrize("place", ["nowhere", "another portal", "another stream", "damaged"])
def test_only_tables_of_this_portal_speak_of_earlier_smart_processes(
    serve: Callable[..., Server], lake: Lake, place: str
) -> None:
    server = serve()
    if place == "another portal":
        other = serve()
        other.portal.create_type(1034)
        lake.sync(other.url, "spa_1034")
    elif place != "nowhere":
        lake.sync(server.url, "spa_128")
        shutil.copytree(lake.table("spa_128"), lake.table("spa_1034"))
        if place == "damaged":
            for file in Path(lake.table("spa_1034"), "_delta_log").iterdir():
                file.write_text("{}")
    with pytest.raises(UsageError, match="There is no stream 'spa_1034'"):
        lake.sync(server.url, "spa_1034")


def test_a_portal_that_names_no_smart_processes_has_not_lost_them(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url)
    server.portal.set(missing_methods=("crm.type.list", "crm.enum.ownertype"))
    report = lake.sync(server.url)
    assert {states(report)[name] for name in ("spa_types", "spa_128", "spa_fields_156")} == {"locked"}
    assert report.status == "success"
    server.portal.set(missing_methods=(), scopes=("user",))
    report = lake.sync(server.url)
    assert {states(report)[name] for name in ("spa_types", "spa_128", "spa_fields_156")} == {"locked"}
    assert "scope crm" in next(line.error or "" for line in report.streams if line.name == "spa_128")


@pytest.mark.parametrize("after", [1, 2, 60])
def test_a_smart_process_deleted_in_the_middle_is_skipped_and_the_others_go_on(
    serve: Callable[..., Server], lake: Lake, after: int
) -> None:
    server = serve(spa_128=6000, threshold=0)
    server.portal.plan("drop", "spa_128", after=after, unit="page", method="crm.item.list")
    report = lake.sync(server.url, "spa_128", "deals")
    assert states(report) == {"spa_128": "skipped", "deals": "success"}
    assert report.status == "success"
    assert not deltalake.DeltaTable.is_deltatable(lake.table("spa_128"))
    assert [note for note in report.notes if note.startswith("spa_128: The portal has no smart process 128 any more")]


def test_an_employee_who_may_not_list_smart_processes_reads_those_they_may(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve(admin=False, forbidden_types=(156,), more_types=60)
    report = lake.sync(server.url, "spa_*")
    locked = {name for name, status in states(report).items() if status == "locked"}
    assert locked == {"spa_156", "spa_fields_156"}
    assert report.status == "success"
    types = set(deltalake.DeltaTable(lake.table("spa_types")).to_pyarrow_table()["entityTypeId"].to_pylist())
    assert types == {128, 1032, *range(1034, 1154, 2)}
    assert any("is not an administrator" in note for note in report.notes)


def test_a_portal_that_does_not_send_its_own_names_fills_the_same_columns(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve()
    lake.sync(server.url, "spa_128", "spa_fields_128")
    before = deltalake.DeltaTable(lake.table("spa_128")).to_pyarrow_table().sort_by("id").to_pylist()
    fields = deltalake.DeltaTable(lake.table("spa_fields_128")).to_pyarrow_table()["id"].to_pylist()
    server.portal.set(original_names=False)
    report = lake.sync(server.url, "spa_128", "spa_fields_128", full=True)
    assert [line.schema_changes for line in report.streams] == [[], []]
    after = deltalake.DeltaTable(lake.table("spa_128")).to_pyarrow_table().sort_by("id").to_pylist()
    assert [{**row, "_synced_at": None} for row in after] == [{**row, "_synced_at": None} for row in before]
    again = deltalake.DeltaTable(lake.table("spa_fields_128")).to_pyarrow_table()["id"].to_pylist()
    assert sorted(again) == sorted(fields)

"""Options of a run, from the command line to the table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import deltalake
import pytest

from b24lake.errors import UsageError
from b24lake.sandbox import Server
from b24lake.sync.options import Options
from running import Lake, Ran


def test_calls_look_back_for_days_and_others_for_minutes(serve: Callable[..., Server], lake: Lake) -> None:
    report = lake.sync(serve().url, "calls", "deals", calls_look_back=timedelta(days=3))
    bookmarks = {one.name: datetime.fromisoformat(one.bookmark or "") for one in report.streams}
    assert abs(datetime.now(UTC) - timedelta(days=3) - bookmarks["calls"]) < timedelta(minutes=1)
    assert abs(datetime.now(UTC) - timedelta(minutes=5) - bookmarks["deals"]) < timedelta(minutes=1)


def test_a_negative_look_back_is_refused(lake: Lake) -> None:
    with pytest.raises(UsageError, match="look-back"):
        Options(lake=lake.path, calls_look_back=timedelta(days=-1))


def test_the_command_line_switches_everything_on(
    serve: Callable[..., Server], lake: Lake, b24lake: Callable[..., Ran]
) -> None:
    server = serve()
    switches = ["--deal-contacts", "--deal-comments", "--deal-products", "--deal-categories", "0, 1"]
    words = [server.url, *switches, "--calls-look-back", "1d", "--json"]
    planned = b24lake("plan", *words)
    assert planned.code == 0, planned.said
    ran = b24lake("sync", *words)
    assert ran.code == 0, ran.said
    lines: dict[str, dict[str, Any]] = {one["name"]: one for one in ran.json["streams"]}
    assert {one["name"] for one in planned.json["streams"]} == lines.keys() >= {"deal_comments", "deal_products"}
    assert {one["status"] for one in lines.values()} <= {"success", "empty"}
    table = deltalake.DeltaTable(lake.table("deals")).to_pyarrow_table(columns=["CATEGORY_ID", "CONTACT_IDS"])
    assert set(table.column("CATEGORY_ID").to_pylist()) == {0, 1}
    assert table.column("CONTACT_IDS").null_count < table.num_rows


def test_each_table_has_the_name_that_was_chosen(
    serve: Callable[..., Server], lake: Lake, b24lake: Callable[..., Ran]
) -> None:
    url = serve().url
    ran = b24lake("sync", url, "-s", "users", "-s", "departments", "--table", "users=employees", "--json")
    assert {one["name"]: one["table"] for one in ran.json["streams"]} == {
        "users": "raw.employees",
        "departments": "raw.bitrix24_departments",
    }
    assert {path.name for path in (lake.path / "raw").iterdir()} == {"employees", "bitrix24_departments"}
    again = b24lake("plan", url, "-s", "users", "--table", "users=employees", "--json")
    assert again.json["streams"][0]["table"] == "raw.employees"


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        (["users=BITRIX24_departments"], "would both go into"),
        (["usrs=x"], "There is no stream 'usrs'"),
        (["users=a/b"], "cannot be the name of a table"),
        (["users"], "needs NAME=VALUE"),
    ],
)
def test_a_table_that_cannot_be_is_refused_before_anything_is_read(
    serve: Callable[..., Server], lake: Lake, b24lake: Callable[..., Ran], tables: list[str], says: str
) -> None:
    words = [word for table in tables for word in ("--table", table)]
    ran = b24lake("sync", serve().url, "-s", "users", "-s", "departments", *words)
    assert (ran.code, says in ran.err) == (2, True), ran.err
    assert not (lake.path / "raw").exists()


def test_a_smart_process_that_is_gone_is_skipped_also_before_it_has_a_table(
    serve: Callable[..., Server], lake: Lake
) -> None:
    report = lake.sync(serve().url, "users", "spa_1099", tables={"spa_1099": "repairs"})
    assert {one.name: one.status for one in report.streams} == {"users": "success", "spa_1099": "skipped"}
    assert report.status == "success"

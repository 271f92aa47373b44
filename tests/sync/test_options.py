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

"""A small lake for queries of the web app: plain Delta tables, some of them with odd names."""

from __future__ import annotations

import time
from typing import Any

import psutil
import pyarrow as pa
from deltalake import write_deltalake
from web_site import Web

from b24lake.lake.guarded import MODULE

ENDLESS = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) AS n FROM t"
ODD = '<b>odd</b> "name"'


def filled(web: Web) -> Web:
    """The app over a lake with two tables."""
    lake = web.site.here.lake
    label = {b"comment": b"What it is <i>worth</i>"}
    deals = pa.table(
        {
            "ID": pa.array([1, 2, 3], pa.int64()),
            "TITLE": ["Window", None, ""],
            "SUM": pa.array(["10.50", "-2", None]).cast(pa.decimal128(38, 9)),
            "TAGS": pa.array([["a", "b"], None, []], pa.list_(pa.string())),
        },
        schema=pa.schema(
            [
                pa.field("ID", pa.int64()),
                pa.field("TITLE", pa.string()),
                pa.field("SUM", pa.decimal128(38, 9), metadata=label),
                pa.field("TAGS", pa.list_(pa.string())),
            ]
        ),
    )
    write_deltalake(str(lake / "raw" / "deals"), deals)
    odd = pa.table({"order": [1], ODD: ["<script>alert(1)</script>"], "formula": ["=1+1"]})
    write_deltalake(str(lake / "raw" / "my table"), odd)
    return web


def run(web: Web, sql: str, **form: Any) -> dict[str, Any]:
    """What the explorer answers."""
    answer = web.post("/query/run", {"sql": sql, **form})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def children() -> list[psutil.Process]:
    """The queries that are at work."""
    found = []
    for each in psutil.Process().children():
        try:
            found += [each] if MODULE in each.cmdline() and each.status() != psutil.STATUS_ZOMBIE else []
        except psutil.Error:
            continue
    return found


def wait_for(count: int) -> None:
    deadline = time.monotonic() + 30
    while len(children()) != count:
        assert time.monotonic() < deadline
        time.sleep(0.05)

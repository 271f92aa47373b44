"""Tables and SQL over the JSON API, and tokens that know the tables of some sources only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from people import bearer, token
from query_lake import ENDLESS, filled, wait_for
from web_site import Web

API = "/api/v1"


@pytest.fixture
def lake(web: Web) -> Web:
    return filled(web)


def ask(web: Web, sql: str, **more: Any) -> Any:
    return web.client.post(f"{API}/query", json={"sql": sql, **more}).json()


def test_tables_are_listed_and_described(lake: Web) -> None:
    found = lake.get(f"{API}/tables").json()["tables"]
    assert [(one["name"], one["kind"], one["rows"]) for one in found] == [
        ("raw.deals", "table", 3),
        ("raw.my table", "table", 1),
    ]
    table = lake.get(f"{API}/tables/raw/deals").json()
    assert table["columns"][2] == {
        "name": "SUM",
        "type": "decimal(38,9)",
        "comment": "What it is <i>worth</i>",
        "nullable": True,
    }
    assert lake.get(f"{API}/tables/raw/nothing").status_code == 404
    assert lake.get(f"{API}/tables/raw/nothing_readable").status_code == 404


def test_a_query_answers_with_types_and_rows(lake: Web) -> None:
    assert ask(lake, "SELECT ID, TITLE, SUM, TAGS FROM raw.deals ORDER BY ID", limit=2) == {
        "columns": [
            {"name": "ID", "type": "long"},
            {"name": "TITLE", "type": "string"},
            {"name": "SUM", "type": "decimal(38,9)"},
            {"name": "TAGS", "type": "array<string>"},
        ],
        "rows": [
            {"ID": 1, "TITLE": "Window", "SUM": 10.5, "TAGS": ["a", "b"]},
            {"ID": 2, "TITLE": None, "SUM": -2, "TAGS": None},
        ],
        "truncated": True,
    }
    assert ask(lake, "SELECT ID FROM raw.deals WHERE ID > 5") == {
        "columns": [{"name": "ID", "type": "long"}],
        "rows": [],
        "truncated": False,
    }


def test_a_query_that_cannot_be_is_an_error_with_its_place(lake: Web) -> None:
    for sql, said in (
        ("SELECT ID,\n nope FROM raw.deals", "in line 2, column 2"),
        ("SELECT 'abc", "in line 1, column 8"),
        ("DELETE FROM raw.deals", "Only reading"),
        ("SELECT * FROM read_parquet('s3://x/y')", "not allowed in FROM"),
        (ENDLESS, "stopped after 1 seconds"),
    ):
        answer = lake.client.post(f"{API}/query", json={"sql": sql, "seconds": 1 if sql == ENDLESS else 60})
        error = answer.json()["error"]
        assert answer.status_code == 400, sql
        assert said in f"{error['what']} {error['why']}"
    wait_for(0)
    for body in ({}, {"sql": "SELECT 1", "limit": 0}, {"sql": "x" * 100_001}, {"sql": "SELECT 1", "other": 1}):
        assert lake.client.post(f"{API}/query", json=body).status_code == 422


def test_a_token_for_a_source_knows_its_tables_alone(start: Callable[..., Web]) -> None:
    web = filled(start(login=True))
    web.source("crm")  # its table is raw.crm_deals
    write_deltalake(str(web.site.here.lake / "raw" / "crm_deals"), pa.table({"ID": [1]}))
    shown = bearer(token(web.site, "read", sources=["crm"]))
    found = web.get(f"{API}/tables", headers=shown).json()["tables"]
    assert [one["name"] for one in found] == ["raw.crm_deals"]
    assert web.get(f"{API}/tables/raw/crm_deals", headers=shown).status_code == 200
    assert web.get(f"{API}/tables/raw/deals", headers=shown).status_code == 404
    for sql, status in (
        ("SELECT count(*) AS n FROM raw.crm_deals", 200),
        ("SELECT count(*) AS n FROM raw.deals", 400),
        ("SELECT 1 FROM raw.crm_deals WHERE ID IN (SELECT ID FROM raw.deals)", 400),
        ("SELECT * FROM raw.deals VERSION AS OF 0", 400),
    ):
        assert web.client.post(f"{API}/query", json={"sql": sql}, headers=shown).status_code == status, sql

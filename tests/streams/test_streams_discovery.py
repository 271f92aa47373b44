"""What a portal has, asked over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pytest

from b24lake.errors import StopError
from b24lake.portal.budget import Budget
from b24lake.portal.connection import Connection
from b24lake.portal.limits import PLANS, Plan
from b24lake.portal.webhook import parse
from b24lake.sandbox import Portal, Server, Settings
from b24lake.streams.definitions import STREAMS
from b24lake.streams.discovery import Discovery, discover
from b24lake.streams.selection import select

Ask = Callable[..., Discovery]


@contextmanager
def connected(server: Server) -> Iterator[Connection]:
    connection = Connection(parse(server.url), Budget(PLANS["standard"]))
    try:
        yield connection
    finally:
        connection.close()


def discovered(**settings: Any) -> tuple[Discovery, Server]:
    with Server(Portal(Settings(deals=20, **settings))) as server, connected(server) as connection:
        return discover(connection), server


def locked(found: Discovery) -> set[str]:
    return {name for name, one in found.streams.items() if one.locked}


def test_an_administrator_with_every_scope_finds_everything_with_one_request() -> None:
    found, server = discovered()
    assert (set(found.streams), locked(found)) == (set(STREAMS), set())
    assert server.portal.counters.requests == 1
    assert (found.probe.owner, found.probe.admin) == ("1", True)
    assert {"crm", "user", "department"} <= found.probe.scopes


def test_columns_come_from_the_portal_with_type_and_label() -> None:
    found, server = discovered(deal_fields=80)
    deals = {column.name: column for column in found.streams["deals"].columns}
    assert deals["OPPORTUNITY"].type == pa.decimal128(38, 9)
    assert deals["DATE_MODIFY"].type == pa.timestamp("us", "UTC")
    assert deals["TITLE"].label
    assert sum(name.startswith("UF_CRM_") for name in deals) > 10
    rows = {key for row in server.portal.truth("deals") for key in row}
    assert rows <= set(deals)


@pytest.mark.parametrize("stream", STREAMS)
def test_every_stream_has_its_key_first(stream: str) -> None:
    found, _server = discovered()
    assert found.streams[stream].columns[0].name == STREAMS[stream].key


@pytest.mark.parametrize(
    ("scopes", "open_"),
    [
        (("user",), {"users"}),
        (("user_basic",), {"users"}),
        (("user_brief",), {"users"}),
        (("department",), {"departments"}),
        (("crm",), set(STREAMS) - {"users", "departments"}),
        (("telephony",), set()),
    ],
)
def test_a_missing_scope_locks_its_streams_and_says_which(scopes: tuple[str, ...], open_: set[str]) -> None:
    found, _server = discovered(scopes=scopes)
    assert set(STREAMS) - locked(found) == open_
    assert all(
        f"scope {' or '.join(STREAMS[name].scopes)}" in str(found.streams[name].locked) for name in locked(found)
    )


def test_a_webhook_without_any_scope_reads_nothing() -> None:
    found, _server = discovered(scopes=())
    assert locked(found) == set(STREAMS)
    assert all(one.found.locked for one in select(found.streams))


def test_an_employee_who_is_no_administrator_is_known_as_one() -> None:
    found, _server = discovered(admin=False)
    assert found.probe.admin is False
    assert "deals" not in locked(found)


@pytest.mark.parametrize("minutes", [180, -300, 0, 345])
def test_the_zone_of_the_portal_is_told(minutes: int) -> None:
    found, _server = discovered(server_offset=minutes)
    offset = found.probe.zone.utcoffset(None)
    assert offset is not None
    assert offset.total_seconds() == minutes * 60


def test_a_wrong_code_ends_the_run() -> None:
    with Server(Portal(Settings(deals=5))) as server:
        wrong = parse(server.url.replace(server.portal.settings.code, "wrong"))
        connection = Connection(wrong, Budget(PLANS["standard"]))
        with pytest.raises(StopError, match="NO_AUTH_FOUND"):
            discover(connection)
        connection.close()


@pytest.mark.parametrize("method", ["crm.deal.fields", "batch"])
def test_a_method_that_rests_is_waited_for(method: str) -> None:
    with Server(Portal(Settings(deals=20))) as server:
        server.portal.fault("operation_limit", method=method, next=2)
        pauses: list[float] = []
        connection = Connection(parse(server.url), Budget(PLANS["standard"]), sleep=pauses.append)
        found = discover(connection)
        connection.close()
        assert locked(found) == set()
        assert len(pauses) == 2


def test_a_method_that_rests_for_ever_is_locked_in_the_end() -> None:
    with Server(Portal(Settings(deals=20))) as server:
        server.portal.set(threshold=0)
        server.portal.fault("operation_limit", method="crm.deal.fields")
        pauses: list[float] = []
        connection = Connection(parse(server.url), Budget(Plan(10**6, 10**6)), sleep=pauses.append)
        found = discover(connection)
        connection.close()
        assert locked(found) == {"deals", "deal_fields"}
        assert 500 < sum(pauses) < 1200

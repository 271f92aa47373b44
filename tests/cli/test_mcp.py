"""`b24lake mcp`: the real command, asked over its stdin and stdout by the SDK's own client."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client

from agent_client import alone
from b24lake.sandbox import Server
from running import Lake, Ran, command, environment

ENDLESS = (
    "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b, generate_series(1, 100000) c"
)


def talk(lake: Lake, tmp_path: Path, does: Callable[[Client], Awaitable[Any]], *words: str) -> tuple[Any, str]:
    """What `does` gives with a client of `b24lake mcp WORDS`, and what the command wrote to stderr."""
    program, *arguments = command("mcp", *words)
    server = StdioServerParameters(command=program, args=arguments, env=environment(lake))

    async def asked() -> Any:
        with (tmp_path / "said").open("w") as said:
            async with Client(stdio_client(server, errlog=said)) as client:
                return await does(client)

    found = alone(asked)
    return found, (tmp_path / "said").read_text()


def test_a_client_lists_describes_and_queries(lake: Lake, serve: Callable[..., Server], tmp_path: Path) -> None:
    lake.sync(serve().url, "deals", "departments")

    async def does(client: Client) -> dict[str, Any]:
        tools = [each.name for each in (await client.list_tools()).tools]
        listed = await client.call_tool("list_tables", {})
        described = await client.call_tool("describe_table", {"table": "raw.bitrix24_departments"})
        counted = await client.call_tool("query", {"sql": "SELECT count(*) AS n FROM raw.bitrix24_deals"})
        writes = await client.call_tool("query", {"sql": "INSERT INTO raw.bitrix24_deals VALUES (1)"})
        endless = await client.call_tool("query", {"sql": ENDLESS, "timeout_seconds": 1})
        sources = await client.call_tool("list_sources", {})
        page = await client.read_resource("b24lake://connector")
        return {**locals(), "page": page.contents[0].text}  # type: ignore[union-attr]

    found, said = talk(lake, tmp_path, does)
    assert "query" in found["tools"]
    tables = [each["table"] for each in found["listed"].structured_content["tables"]]
    assert tables == ["raw.bitrix24_deals", "raw.bitrix24_departments"]
    assert "NAME" in found["described"].content[0].text
    assert found["counted"].structured_content["rows"] == [[260]]
    assert found["writes"].is_error
    assert "Only reading" in found["writes"].content[0].text
    assert found["endless"].is_error
    assert "was stopped after" in found["endless"].content[0].text
    assert found["sources"].structured_content["sources"] == []
    assert found["page"].startswith("# Bitrix24 as a data source")
    assert "Traceback" not in said


def test_a_client_may_be_limited_to_tables(lake: Lake, serve: Callable[..., Server], tmp_path: Path) -> None:
    lake.sync(serve().url, "deals", "departments")

    async def does(client: Client) -> tuple[Any, Any]:
        sql = "SELECT * FROM (SELECT * FROM raw.bitrix24_deals)"
        return await client.call_tool("list_tables", {}), await client.call_tool("query", {"sql": sql})

    (listed, query), _ = talk(lake, tmp_path, does, "--tables", "*_departments")
    assert [each["table"] for each in listed.structured_content["tables"]] == ["raw.bitrix24_departments"]
    assert query.is_error
    assert "may be read here" in query.content[0].text


def test_an_error_before_the_first_message_is_one_line(b24lake: Callable[..., Ran]) -> None:
    ran = b24lake("mcp", "--tables", "a/b")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Error: '*.a/b' names no tables")


@pytest.mark.parametrize("line", ["", "nonsense", "[]", '{"jsonrpc": "2.0", "id": 1}', "\x00", "{" * 2000])
def test_stdout_holds_the_protocol_and_nothing_else(lake: Lake, line: str) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    sent = f"{json.dumps(hello)}\n{line}\n"
    done = subprocess.run(command("mcp"), input=sent, capture_output=True, text=True, env=environment(lake), timeout=60)
    answers = [json.loads(each) for each in done.stdout.splitlines()]
    assert done.returncode == 0
    assert next(each for each in answers if each.get("id") == 7)["result"]["serverInfo"]["name"] == "b24lake"
    assert all(each["jsonrpc"] == "2.0" for each in answers)

"""The pages about streams are written from the tables of streams, and the tables say what is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from b24lake.portal.budget import Budget
from b24lake.portal.connection import Connection
from b24lake.portal.limits import PLANS
from b24lake.portal.webhook import parse
from b24lake.sandbox import Portal, Server, Settings
from b24lake.streams.about import ABOUT, SPA, SPA_FIELDS
from b24lake.streams.definitions import STREAMS, Stream
from b24lake.streams.discovery import Discovery, discover
from b24lake.streams.documentation import catalogue, model_page, pages, streams_page, vendor_page
from b24lake.streams.relations import DESCRIBES, RELATIONS, Relation
from b24lake.streams.scopes import SCOPES

DOCS = Path(__file__).parents[2] / "docs"
SAMPLE = {SPA: "spa_128", SPA_FIELDS: "spa_fields_128"}  # a stream of the sandbox for each family


@pytest.fixture(scope="module")
def discovery() -> Discovery:
    with Server(Portal(Settings(deals=20, threshold=0))) as server:
        connection = Connection(parse(server.url), Budget(PLANS["standard"]))
        found = discover(connection)
        connection.close()
        return found


@pytest.mark.parametrize("page", pages())
def test_the_written_pages_are_those_of_the_tables(page: str) -> None:
    assert (DOCS / page).read_text("utf-8") == pages()[page], "run `make docs`"


@pytest.mark.parametrize("page", ["index.md", "../README.md"])
def test_the_pages_are_linked(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    assert [name for name in pages() if f"{name})" not in text] == []


def test_the_readme_names_every_stream() -> None:
    text = (DOCS / "../README.md").read_text("utf-8")
    assert [one.name for one in catalogue() if f"`{one.name}`" not in text] == []


def test_every_stream_is_described_and_no_other() -> None:
    assert set(ABOUT) == {one.name for one in catalogue()} == {*STREAMS, SPA, SPA_FIELDS}


@pytest.mark.parametrize("stream", catalogue(), ids=lambda one: one.name)
def test_the_page_tells_keys_scope_method_and_cost_of_each_stream(stream: Stream) -> None:
    entry = streams_page().partition(f"<b>{stream.name}</b>")[2].partition("</details>")[0]
    told = [f"`{stream.key}`", f"`{stream.method}`", vendor_page(stream), stream.cost, *stream.sync_types]
    told += [f"`{scope}`" for scope in stream.scopes] + [f"`{key}`" for key in stream.replication_keys]
    assert [text for text in told if text not in entry] == []
    assert re.fullmatch(r"https://apidocs\.bitrix24\.com/api-reference/[\w./-]+\.html", vendor_page(stream))


@pytest.mark.parametrize("stream", catalogue(), ids=lambda one: one.name)
def test_key_columns_are_columns_of_the_stream(discovery: Discovery, stream: Stream) -> None:
    columns = {column.name for column in discovery.streams[SAMPLE.get(stream.name, stream.name)].columns}
    assert set(ABOUT[stream.name].key_columns) - columns == set()


@pytest.mark.parametrize("one", RELATIONS, ids=lambda one: f"{one.stream}.{one.column} to {one.to}")
def test_a_relation_leads_from_a_column_to_a_column(discovery: Discovery, one: Relation) -> None:

    there = {
        name: {column.name for column in discovery.streams[SAMPLE.get(name, name)].columns}
        for name in (one.stream, one.to)
    }
    wanted = {one.column, one.by} - {""}
    assert one.when or wanted <= there[one.stream]
    assert one.to_column in there[one.to]


def test_every_stream_has_its_place_in_the_model() -> None:
    related = {name for one in RELATIONS for name in (one.stream, one.to)} | {*DESCRIBES, *DESCRIBES.values()}
    assert related == {one.name for one in catalogue()}
    assert all(f'["{one.name}"]' in model_page() for one in catalogue())


def test_every_scope_that_a_stream_needs_is_explained() -> None:
    assert {scope for stream in STREAMS.values() for scope in stream.scopes} <= set(SCOPES)
    assert SCOPES["department"].also == "departments"

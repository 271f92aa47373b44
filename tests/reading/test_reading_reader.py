"""Streams read side by side over HTTP, compared with what the portal holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from relay import Commands, Relay, Sections, between, refuse

from b24lake.errors import StopError, StreamError
from b24lake.portal.budget import Budget
from b24lake.portal.connection import Connection
from b24lake.portal.limits import Plan
from b24lake.portal.webhook import parse
from b24lake.reading.reader import Ended, Reader, Restarted, Rows
from b24lake.reading.schedule import Ask
from b24lake.sandbox import Portal, Server, Settings
from b24lake.streams.discovery import Discovery, discover

SIZES = {
    "deals": 3300,
    "leads": 400,
    "contacts": 700,
    "companies": 51,
    "activities": 1200,
    "products": 100,
    "users": 60,
}
STREAMS = ["deals", "leads", "contacts", "companies", "activities", "users", "departments"]
NO_LIMIT = Plan(10**9, 10.0**9)


@dataclass
class Read:
    """What reading brought, by stream."""

    batches: dict[str, list[pa.RecordBatch]] = field(default_factory=dict)
    ended: dict[str, StreamError | None] = field(default_factory=dict)
    restarts: list[str] = field(default_factory=list)

    def rows(self, stream: str) -> list[dict[str, Any]]:
        return sorted(
            (row for batch in self.batches.get(stream, []) for row in batch.to_pylist()), key=lambda row: row["ID"]
        )

    def ids(self, stream: str) -> list[int]:
        return [row["ID"] for row in self.rows(stream)]


@contextmanager
def reading(portal: Portal, relay: Relay | None = None, **options: Any) -> Iterator[tuple[Discovery, Reader]]:
    with ExitStack() as stack:
        url = stack.enter_context(Server(portal)).url
        url = stack.enter_context(between(url, relay)) if relay else url
        connection = Connection(parse(url), Budget(NO_LIMIT), sleep=lambda _seconds: None)
        try:
            found = discover(connection)
            yield found, Reader(connection, zone=found.probe.zone, **options)
        finally:
            connection.close()


def read(found: Discovery, reader: Reader, streams: list[str], since: datetime | None = None) -> Read:
    asks = [
        Ask(one.stream, one.columns, next(iter(one.stream.replication_keys), None), since)
        for one in (found.streams[name] for name in streams)
    ]
    brought = Read()
    for event in reader.read(asks):
        if isinstance(event, Rows):
            brought.batches.setdefault(event.name, []).append(event.batch)
        elif isinstance(event, Restarted):
            brought.restarts.append(event.name)
            brought.batches.pop(event.name, None)
        elif isinstance(event, Ended):
            assert event.name not in brought.ended
            brought.ended[event.name] = event.error
    return brought


def sandbox(**settings: Any) -> Portal:
    return Portal(Settings(**{**SIZES, "threshold": 0, **settings}))


def truth(portal: Portal, table: str) -> list[dict[str, Any]]:
    return list(portal.truth(table))


def assert_like_truth(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Keys, texts and times, worked out from the raw rows on their own; nothing set aside as a misfit."""
    assert [row["ID"] for row in rows] == [int(raw["ID"]) for raw in expected]
    for row, raw in zip(rows, expected, strict=True):
        assert not row["_misfits"]
        for name in ("TITLE", "NAME", "COMMENTS", "STAGE_ID", "CURRENCY_ID", "LAST_NAME", "SUBJECT", "EMAIL"):
            if isinstance(raw.get(name), str):
                assert row[name] == (raw[name] or None)
        for name in ("DATE_CREATE", "DATE_MODIFY", "LAST_UPDATED"):
            if raw.get(name):
                assert row[name] == datetime.fromisoformat(raw[name]).astimezone(UTC)
        if raw.get("PHONE"):
            assert row["PHONE"] == raw["PHONE"]
        if raw.get("OPPORTUNITY"):
            assert str(row["OPPORTUNITY"].normalize()) == str(type(row["OPPORTUNITY"])(raw["OPPORTUNITY"]).normalize())


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("offset", [180, -300])
def test_rows_of_streams_read_side_by_side_equal_the_portals(concurrency: int, offset: int) -> None:
    portal = sandbox(server_offset=offset)
    with reading(portal, concurrency=concurrency) as (found, reader):
        brought = read(found, reader, STREAMS)
    assert brought.ended == dict.fromkeys(STREAMS)
    for stream in STREAMS:
        assert_like_truth(brought.rows(stream), truth(portal, stream))
        stats = reader.stats[stream]
        assert (stats.rows, stats.misfits) == (len(truth(portal, stream)), 0)
        assert stats.started is not None


@pytest.mark.parametrize(
    "settings", [{"id_gap": 40.0, "id_start": 10_000_000}, {"count_minus_one": False}, {"gzip": True}]
)
@pytest.mark.parametrize("operating", ["present", "zero", "absent"])
def test_every_kind_of_portal_is_read_whole(settings: dict[str, Any], operating: str) -> None:
    portal = sandbox(operating=operating, **settings)
    with reading(portal) as (found, reader):
        brought = read(found, reader, ["deals", "companies"])
    for stream in ("deals", "companies"):
        assert brought.ids(stream) == [int(row["ID"]) for row in truth(portal, stream)]


def test_field_definitions_and_dictionaries_are_read_as_well() -> None:
    portal = sandbox()
    streams = ["deal_fields", "status_list", "product", "lead_fields"]
    with reading(portal) as (found, reader):
        brought = read(found, reader, streams)
    assert brought.ended == dict.fromkeys(streams)
    fields = {row["id"] for batch in brought.batches["deal_fields"] for row in batch.to_pylist()}
    assert fields == {column.source for column in found.streams["deals"].columns}
    assert len(brought.ids("product")) == SIZES["products"]


def test_an_empty_stream_ends_without_rows_and_without_error() -> None:
    with reading(sandbox(deals=0)) as (found, reader):
        brought = read(found, reader, ["deals"])
    assert (brought.ended, brought.batches) == ({"deals": None}, {})


@pytest.mark.parametrize("offset", [180, -300])
def test_since_brings_what_changed_and_nothing_else(offset: int) -> None:
    now = [1_767_300_000.0]
    portal = Portal(Settings(**SIZES, threshold=0, server_offset=offset), now=lambda: now[0])
    changed = [int(row["ID"]) for row in truth(portal, "deals")][5:3000:100]
    for key in changed:
        portal.change("deals", key, {"TITLE": f"New {key}"})
    created = portal.create("deals", {"TITLE": "Latest"})
    since = datetime.fromtimestamp(now[0], UTC) - timedelta(minutes=5)
    with reading(portal) as (found, reader):
        brought = read(found, reader, ["deals", "leads"], since)
    assert brought.ids("deals") == [*changed, created]
    assert brought.rows("deals")[0]["TITLE"] == f"New {changed[0]}"
    assert (brought.ids("leads"), brought.restarts, brought.ended) == ([], [], {"deals": None, "leads": None})
    assert not reader.stats["deals"].filter_ignored


class Ignores(Relay):
    """A portal that ignores a change filter whose value has one of the `signs`."""

    def __init__(self, *signs: str) -> None:
        self.pattern = re.compile(rf"&?filter\[%3E%3DDATE_MODIFY\]=[^&]*(?:{'|'.join(signs)})[^&]*")

    def asked(self, commands: Commands) -> Commands:
        return {key: self.pattern.sub("", command) for key, command in commands.items()}


@pytest.mark.parametrize(
    ("relay", "restarts", "whole"),
    [(None, 0, False), (Ignores("T"), 1, False), (Ignores("T", "%20"), 2, True)],
)
@pytest.mark.parametrize("minutes", [180, -300])
def test_a_filter_that_is_ignored_is_written_otherwise_and_then_left_out(
    relay: Relay | None, restarts: int, whole: bool, minutes: int
) -> None:
    portal = sandbox(server_offset=minutes)
    moments = sorted(datetime.fromisoformat(row["DATE_MODIFY"]) for row in truth(portal, "deals"))
    since = moments[len(moments) // 2]
    with reading(portal, relay) as (found, reader):
        brought = read(found, reader, ["deals", "users"], since)
    expected = [
        int(row["ID"]) for row in truth(portal, "deals") if whole or datetime.fromisoformat(row["DATE_MODIFY"]) >= since
    ]
    assert brought.ids("deals") == expected
    assert brought.restarts == ["deals"] * restarts
    assert reader.stats["deals"].filter_ignored is whole
    assert reader.stats["deals"].rows == len(expected)
    assert len(brought.ids("users")) == SIZES["users"]


class Denies(Relay):
    """A portal whose leads cannot be read."""

    def asked(self, commands: Commands) -> Commands:
        return {key: re.sub("^crm.lead.list", "no.such.method", command) for key, command in commands.items()}


def test_a_stream_that_fails_does_not_hold_up_the_others() -> None:
    with reading(sandbox(), Denies()) as (found, reader):
        brought = read(found, reader, ["deals", "leads", "contacts"])
    assert isinstance(brought.ended.pop("leads"), StreamError)
    assert brought.ended == {"deals": None, "contacts": None}
    assert len(brought.ids("deals")) == SIZES["deals"]


def test_reading_may_be_broken_off_at_any_time() -> None:
    with reading(sandbox()) as (found, reader):
        events = reader.read([Ask(found.streams[name].stream, found.streams[name].columns) for name in STREAMS])
        assert next(events)
        events.close()  # type: ignore[attr-defined]
        assert reader.connection.counters.requests < 40


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now, self.naps = 1_767_300_000.0, 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.naps += seconds


class Strained(Relay):
    """A portal that reports much operating time for deals, up to a moment of its clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.calm_at = clock, clock.now + seconds

    def told(self, commands: Commands, sections: Sections) -> None:
        for key, time in dict(sections["result_time"]).items():
            if commands[key].startswith("crm.deal.list") and self.clock.now < self.calm_at:
                time |= {"operating": 300.0, "operating_reset_at": self.calm_at}


def test_a_method_above_the_threshold_rests_and_its_rest_is_counted() -> None:
    clock = Clock()
    portal = Portal(Settings(**SIZES, threshold=0), now=lambda: clock.now)
    with reading(portal, Strained(clock, 120), clock=lambda: clock.now, sleep=clock.sleep) as (found, reader):
        brought = read(found, reader, ["deals", "leads"])
    assert brought.ended == {"deals": None, "leads": None}
    assert len(brought.ids("deals")) == SIZES["deals"]
    stats = reader.stats["deals"]
    assert (stats.rests, reader.stats["leads"].rests) == (1, 0)
    assert 120 <= stats.rest_seconds <= 122
    assert 120 <= clock.naps <= 123


class Blocks(Relay):
    """A portal that blocks deals for a minute from the second request for them on, command by command."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.requests, self.blocked_until = clock, 0, 0.0

    def told(self, commands: Commands, sections: Sections) -> None:
        deals = [key for key, command in commands.items() if command.startswith("crm.deal.list")]
        self.requests += bool(deals)
        self.blocked_until = self.blocked_until or (self.clock.now + 60 if self.requests == 2 else 0.0)
        for key in deals[2:] if self.clock.now < self.blocked_until else ():
            refuse(sections, key, "OPERATION_TIME_LIMIT")


def test_a_blocked_method_is_asked_again_after_its_rest() -> None:
    clock = Clock()
    portal = Portal(Settings(**SIZES, threshold=0), now=lambda: clock.now)
    with reading(portal, Blocks(clock), clock=lambda: clock.now, sleep=clock.sleep) as (found, reader):
        brought = read(found, reader, ["deals", "leads"])
    assert brought.ended == {"deals": None, "leads": None}
    assert len(brought.ids("deals")) == SIZES["deals"]
    assert reader.stats["deals"].rests >= 1
    assert 60 <= clock.naps <= 700


class Overloaded(Relay):
    """A portal that leaves every command of some requests unanswered, without an error."""

    def __init__(self, silent: range) -> None:
        self.requests, self.silent = 0, silent

    def told(self, commands: Commands, sections: Sections) -> None:
        self.requests += bool(commands)
        if self.requests in self.silent:
            for name in sections:
                sections[name] = []


def test_an_overloaded_portal_is_asked_later_and_later() -> None:
    clock = Clock()
    portal = Portal(Settings(**SIZES, threshold=0), now=lambda: clock.now)
    relay = Overloaded(range(3, 7))  # the first two requests are the discovery
    with reading(portal, relay, clock=lambda: clock.now, sleep=clock.sleep) as (found, reader):
        brought = read(found, reader, ["deals"])
    assert brought.ended == {"deals": None}
    assert brought.ids("deals") == [int(raw["ID"]) for raw in truth(portal, "deals")]
    assert clock.naps == pytest.approx(0.5 + 1 + 2 + 4)


class Slow(Relay):
    """A portal that manages so many commands in its time, and of some methods not even one."""

    def __init__(self, most: int, never: str = "nothing") -> None:
        self.most, self.never, self.sizes = most, never, list[int]()

    def overlong(self, commands: Commands) -> bool:
        self.sizes.append(len(commands))
        return len(commands) > self.most or any(command.startswith(self.never) for command in commands.values())


def test_a_request_that_takes_too_long_is_asked_in_smaller_ones() -> None:
    clock = Clock()
    portal = Portal(Settings(**SIZES, threshold=0), now=lambda: clock.now)
    slow = Slow(20)
    with reading(portal, slow, clock=lambda: clock.now, sleep=clock.sleep) as (found, reader):
        brought = read(found, reader, ["deals", "leads"])
    assert brought.ended == {"deals": None, "leads": None}
    assert brought.ids("deals") == [int(raw["ID"]) for raw in truth(portal, "deals")]
    assert sum(size > 20 for size in slow.sizes) < 0.4 * len(slow.sizes)


def test_a_method_that_always_takes_too_long_ends_its_stream_alone() -> None:
    clock = Clock()
    portal = Portal(Settings(**SIZES, threshold=0), now=lambda: clock.now)
    with reading(portal, Slow(50, "crm.deal.list"), clock=lambda: clock.now, sleep=clock.sleep) as (found, reader):
        brought = read(found, reader, ["departments", "users", "deals"])
    assert brought.ended["users"] is None
    assert isinstance(brought.ended["deals"], StreamError)


def test_a_portal_that_never_answers_in_time_ends_the_run() -> None:
    clock = Clock()
    portal = Portal(Settings(**SIZES, threshold=0), now=lambda: clock.now)
    slow = Slow(50)
    with reading(portal, slow, clock=lambda: clock.now, sleep=clock.sleep) as (found, reader):
        slow.most = 0
        with pytest.raises(StopError, match="again and again"):
            read(found, reader, ["deals", "leads"])
    assert len(slow.sizes) < 40


def test_a_stream_that_is_dropped_is_asked_for_no_more() -> None:
    portal = sandbox(deals=9_000)
    with reading(portal) as (found, reader):
        asks = [Ask(one.stream, one.columns) for one in (found.streams["deals"], found.streams["leads"])]
        after: list[str] = []
        for event in reader.read(asks):
            after.append(event.name)
            if event.name == "deals":
                reader.drop("deals")
    assert after.count("deals") == 1
    assert after[-1] == "leads"
    assert reader.stats["deals"].commands < 60 < 9_000 / 50

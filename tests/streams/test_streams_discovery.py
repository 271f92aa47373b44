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
from b24lake.portal.probe import invisible
from b24lake.portal.webhook import parse
from b24lake.sandbox import Portal, Server, Settings
from b24lake.sandbox.data.dictionaries import categories
from b24lake.streams.definitions import STREAMS
from b24lake.streams.discovery import Discovery, discover
from b24lake.streams.readers import read_by
from b24lake.streams.selection import select
from b24lake.streams.universal import UNIVERSAL, described, has_names

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


SPA = {f"{family}_{number}" for family in ("spa", "spa_fields") for number in (128, 156, 1032)}
CRM = {name for name, stream in STREAMS.items() if stream.scopes == ("crm",)} | SPA


def test_an_administrator_with_every_scope_finds_everything_with_two_requests() -> None:
    found, server = discovered()
    assert (set(found.streams), locked(found)) == ({*STREAMS, *SPA}, set())
    assert len(found.streams) == 22 + 2 * 3
    assert server.portal.counters.requests == 2
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
        (("crm",), CRM),
        (("telephony",), {"calls"}),
        (("imopenlines",), {"open_lines"}),
    ],
)
def test_a_missing_scope_locks_its_streams_and_says_which(scopes: tuple[str, ...], open_: set[str]) -> None:
    found, _server = discovered(scopes=scopes)
    assert set(found.streams) - locked(found) == open_
    for name in locked(found):
        told, missing = str(found.streams[name].locked), STREAMS[name].scopes
        assert found.streams[name].lock == "scope"
        assert f"scope {' or '.join(missing)} is missing" in told
        assert all(f"({scope}" in told for scope in missing), "the name on Bitrix24's screens, and the code"


def test_both_spellings_of_department_are_named() -> None:
    found, _server = discovered(scopes=("crm",))
    assert "department, elsewhere called departments" in str(found.streams["departments"].locked)


def test_a_webhook_without_any_scope_reads_nothing() -> None:
    found, _server = discovered(scopes=())
    assert locked(found) == set(STREAMS)
    assert all(one.found.locked for one in select(found.streams))


def test_an_employee_who_is_no_administrator_is_known_as_one() -> None:
    found, _server = discovered(admin=False)
    assert found.probe.admin is False
    assert "is not an administrator" in invisible(found.probe)
    assert locked(found) == set()
    assert {"spa_128", "spa_fields_1032"} <= set(found.streams), "known by name from the list of all types"
    assert invisible(discovered()[0].probe) == ""


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
        assert found.streams["deals"].lock == "other"
        assert 500 < sum(pauses) < 1200


# --- smart processes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("admin", [True, False])
@pytest.mark.parametrize(("more", "requests"), [(0, 2), (27, 2), (49, 4)])
def test_many_smart_processes_take_few_requests(more: int, requests: int, admin: bool) -> None:
    found, server = discovered(more_types=more, admin=admin, threshold=0)
    numbers = {128, 156, 1032, *range(1034, 1034 + 2 * more, 2)}
    named = {f"{family}_{number}" for number in numbers for family in ("spa", "spa_fields")}
    assert set(found.streams) == {*STREAMS, *named}
    assert found.knows_types
    assert server.portal.counters.requests <= requests


def test_a_page_of_types_that_is_refused_is_made_up_for() -> None:
    with Server(Portal(Settings(deals=20, threshold=0, more_types=70))) as server, connected(server) as connection:
        server.portal.fault("no_access", method="crm.type.list", after=1)
        found = discover(connection)
    assert len([name for name in found.streams if name.startswith("spa_fields_")]) == 73
    assert found.knows_types


def test_a_portal_that_tells_no_smart_processes_is_not_believed_to_have_none() -> None:
    found, _server = discovered(missing_methods=("crm.type.list", "crm.enum.ownertype"))
    assert set(found.streams) == set(STREAMS)
    assert not found.knows_types


def test_a_smart_process_that_one_may_not_read_is_locked_and_says_so() -> None:
    found, _server = discovered(forbidden_types=(156,), admin=False)
    assert locked(found) == {"spa_156", "spa_fields_156"}
    assert {found.streams[name].lock for name in locked(found)} == {"rights"}


def test_custom_fields_have_their_own_names_on_old_portals_as_well() -> None:
    found, old = discovered()[0], discovered(original_names=False)[0]
    names = [{column.name for column in one.streams["spa_128"].columns} for one in (found, old)]
    assert names[0] == names[1]
    assert any(name.startswith("UF_CRM_4_") for name in names[0])
    assert any(column.source.startswith("ufCrm4") for column in old.streams["spa_128"].columns)


# --- portals that say little, or no -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["scope", "method.get"])
@pytest.mark.parametrize("how", ["missing", "unknown"])
def test_a_portal_that_does_not_tell_what_one_may_is_believed_to_allow_it(method: str, how: str) -> None:
    unknown = (method,) if how == "unknown" else ()
    with Server(Portal(Settings(deals=20, threshold=0, missing_methods=unknown))) as server:
        if how == "missing":
            server.portal.fault("missing_keys", method=method)
        connection = Connection(parse(server.url), Budget(PLANS["standard"]), sleep=lambda _: None)
        found = discover(connection)
        connection.close()
    assert locked(found) == set()
    assert found.probe.tells_scopes is (method != "scope")


def test_a_portal_that_tells_no_scopes_still_says_no_to_single_streams() -> None:
    found, _server = discovered(scopes=("user",), missing_methods=("scope",))
    assert "users" not in locked(found)
    assert {found.streams[name].lock for name in locked(found)} == {"scope"}
    assert {"deals", "calls", "open_lines"} <= locked(found)


@pytest.mark.parametrize(
    ("method", "streams"),
    [
        ("voximplant.statistic.get", {"calls"}),
        ("imopenlines.config.list.get", {"open_lines"}),
        ("crm.lead.fields", {"leads", "lead_fields"}),
    ],
)
def test_what_the_plan_does_not_have_is_told_from_what_is_forbidden(method: str, streams: set[str]) -> None:
    found, _server = discovered(missing_methods=(method,))
    assert locked(found) == streams
    assert {found.streams[name].lock for name in streams} == {"plan"}
    with Server(Portal(Settings(deals=20))) as server, connected(server) as connection:
        server.portal.fault("no_access", method="crm.lead.fields")
        assert discover(connection).streams["leads"].lock == "rights"


@pytest.mark.parametrize("entity", ["deal", "product", "activity"])
def test_a_portal_that_describes_no_fields_locks_what_cannot_do_without_them(entity: str) -> None:
    with Server(Portal(Settings(deals=20))) as server, connected(server) as connection:
        server.portal.fault("empty_result", method=f"crm.{entity}.fields")
        found = discover(connection)
    stream = {"deal": "deals", "product": "product", "activity": "activities"}[entity]
    assert locked(found) == {stream, f"{entity}_fields"}
    assert "describes no fields" in str(found.streams[stream].locked)


def test_a_field_of_an_unknown_type_is_text() -> None:
    with Server(Portal(Settings(deals=20))) as server, connected(server) as connection:
        server.portal.set_field("deals", "UF_CRM_COLOUR", "rest_77_colour", title="Colour")
        columns = {column.name: column for column in discover(connection).streams["deals"].columns}
    assert (columns["UF_CRM_COLOUR"].type, columns["UF_CRM_COLOUR"].kind) == (pa.string(), "rest_77_colour")


def test_a_portal_too_slow_for_one_large_batch_is_asked_in_smaller_ones() -> None:
    with Server(Portal(Settings(deals=20, threshold=0, more_types=20))) as server:
        server.portal.fault("gateway_timeout", commands=10)
        connection = Connection(parse(server.url), Budget(Plan(10**6, 10**6)), sleep=lambda _: None)
        found = discover(connection)
        connection.close()
    assert locked(found) == set()
    assert len(found.streams) == 22 + 2 * 23


# --- the two readers of the core CRM, and funnels ---------------------------------------------------------------------

CORE = {
    "leads": 1, "lead_fields": 1, "deals": 2, "deal_fields": 2, "contacts": 3, "contact_fields": 3,
    "companies": 4, "company_fields": 4,
}  # fmt: skip


def test_both_ways_to_read_the_core_are_found_with_the_same_two_requests() -> None:
    found, server = discovered()
    assert found.universal.keys() == CORE.keys()
    assert server.portal.counters.requests == 2
    for name, universal in found.universal.items():
        classic = found.streams[name]
        assert universal.locked is None
        assert (classic.stream.reader, universal.stream.reader) == ("classic", "universal")
        assert universal.stream.params["entityTypeId"] == CORE[name]
        assert universal.column(universal.stream.key) == classic.stream.key
        assert [universal.column(key) for key in universal.stream.replication_keys] == [
            *classic.stream.replication_keys
        ]
        for attribute in ("name", "title", "group", "scopes", "paging", "option", "sync_types"):
            assert getattr(universal.stream, attribute) == getattr(classic.stream, attribute)


def test_columns_have_the_classic_names_also_where_custom_fields_do_not_keep_theirs() -> None:
    for settings in ({}, {"original_names": False}):
        found, _server = discovered(**settings)
        names = {column.name for column in found.universal["deals"].columns}
        assert {column.name for column in found.streams["deals"].columns} <= names


def test_a_portal_that_tells_no_classic_names_cannot_be_read_in_the_universal_way() -> None:
    stream = UNIVERSAL["deals"]
    assert stream.translation
    assert not has_names(described({"id": {"type": "integer"}}, {}, stream.translation))


@pytest.mark.parametrize(
    ("missing", "universal"),
    [
        ((), set()),
        (("crm.deal.list",), {"deals"}),
        (("crm.lead.fields",), {"leads", "lead_fields"}),
        (("crm.contact.list", "crm.contact.fields", "crm.item.list"), {"contact_fields"}),
        (("crm.deal.list", "crm.item.fields"), set()),
    ],
)
def test_the_universal_reader_takes_over_what_the_classic_one_cannot_read_any_more(
    missing: tuple[str, ...], universal: set[str]
) -> None:
    found = read_by(discovered(missing_methods=missing)[0], "classic")
    assert {
        name for name, one in found.streams.items() if name in CORE and one.stream.reader == "universal"
    } == universal
    assert {name for name, one in found.streams.items() if one.note} == universal


@pytest.mark.parametrize("fault", ["no_access", "missing_keys"])
def test_a_list_that_is_forbidden_or_silent_is_not_taken_over(fault: str) -> None:
    with Server(Portal(Settings(deals=20, threshold=0))) as server:
        server.portal.fault(fault, method="crm.deal.fields")
        connection = Connection(parse(server.url), Budget(Plan(10**6, 10**6)), sleep=lambda _: None)
        found = read_by(discover(connection), "classic")
        connection.close()
    assert locked(found) == {"deals", "deal_fields"}


def test_every_core_stream_is_read_by_the_reader_that_was_chosen() -> None:
    found = read_by(discovered()[0], "universal")
    assert {name for name, one in found.streams.items() if one.stream.reader == "universal"} == CORE.keys()
    assert not any(one.note for one in found.streams.values())


def test_funnels_stand_among_the_choices_of_their_field() -> None:
    found, server = discovered()
    funnels = {one["id"]: one["name"] for one in categories(2) or []}
    assert found.funnels == funnels
    items = [{"ID": str(id_), "VALUE": name} for id_, name in sorted(funnels.items())]
    for one in (found.streams, found.universal):
        assert one["deal_fields"].stream.choices == {"crm_category": items}
        assert not one["contact_fields"].stream.choices
    (only,) = categories(128) or []
    choices = found.streams["spa_fields_128"].stream.choices
    assert choices == {"crm_category": [{"ID": str(only["id"]), "VALUE": only["name"]}]}
    assert server.portal.counters.requests == 2


@pytest.mark.parametrize(("more", "told"), [(22, True), (23, False)])
def test_funnels_of_smart_processes_are_told_where_that_takes_no_further_request(more: int, told: bool) -> None:
    found, server = discovered(more_types=more, threshold=0)
    assert bool(found.streams["spa_fields_128"].stream.choices) is told
    assert found.streams["deal_fields"].stream.choices
    assert server.portal.counters.requests == 2


def test_a_portal_that_tells_no_funnels_has_fields_all_the_same() -> None:
    missing = ("crm.category.list", "crm.dealcategory.list", "crm.dealcategory.default.get")
    found, _server = discovered(missing_methods=missing)
    assert (found.funnels, locked(found)) == ({}, set())
    assert not found.streams["deal_fields"].stream.choices

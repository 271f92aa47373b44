"""The table of streams says what the requirements say."""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import get_args

import pytest

from b24lake.errors import LockedError, UsageError
from b24lake.streams import definitions
from b24lake.streams.definitions import STREAMS, Paging, Stream
from b24lake.streams.discovery import Found
from b24lake.streams.fields import arrow_type
from b24lake.streams.selection import FULL_TABLE, INCREMENTAL, select
from b24lake.streams.smart import SmartType, entity_type_of, streams_of

# name: key, replication keys with the default first, scopes
CONTRACT = {
    "activities": ("ID", ("CREATED", "LAST_UPDATED"), ("crm",)),
    "activity_fields": ("id", (), ("crm",)),
    "calls": ("ID", ("CALL_START_DATE",), ("telephony",)),
    "companies": ("ID", ("DATE_MODIFY",), ("crm",)),
    "company_fields": ("id", (), ("crm",)),
    "contacts": ("ID", ("DATE_MODIFY",), ("crm",)),
    "contact_fields": ("id", (), ("crm",)),
    "deal_comments": ("ID", (), ("crm",)),
    "deal_fields": ("id", (), ("crm",)),
    "deal_products": ("ID", (), ("crm",)),
    "deals": ("ID", ("DATE_MODIFY",), ("crm",)),
    "deal_stage_history": ("ID", ("ID",), ("crm",)),
    "departments": ("ID", (), ("department",)),
    "lead_fields": ("id", (), ("crm",)),
    "leads": ("ID", ("DATE_MODIFY",), ("crm",)),
    "lead_stage_history": ("ID", ("ID",), ("crm",)),
    "open_lines": ("ID", (), ("imopenlines",)),
    "product": ("ID", ("TIMESTAMP_X",), ("crm",)),
    "product_fields": ("id", (), ("crm",)),
    "spa_types": ("id", (), ("crm",)),
    "status_list": ("ID", (), ("crm",)),
    "users": ("ID", (), ("user", "user_basic", "user_brief")),
}
GROUPS = {"CRM", "field definitions", "smart processes", "users and structure", "telephony", "open lines"}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_keeps_the_contract(stream: Stream) -> None:
    assert (stream.key, stream.replication_keys, stream.scopes) == CONTRACT[stream.name]


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_a_row_is_well_formed(stream: Stream) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", stream.name)
    assert re.fullmatch(r"[a-z.]+", stream.method)
    assert stream.title
    assert stream.group in GROUPS
    assert re.fullmatch(r"api-reference/[\w./-]+\.md", stream.docs)
    assert stream.paging in get_args(Paging)
    assert (stream.paging == "children") == bool(stream.parent) == bool(stream.parent_key)
    assert stream.paging != "fields" or (not stream.describe and stream.declared)
    assert stream.describe or stream.declared
    assert "start" not in stream.params
    assert all(arrow_type(kind.removesuffix("[]"), code, many=False) for code, kind in stream.declared.items())


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_incremental_is_preset_where_there_is_a_replication_key(stream: Stream) -> None:
    expected = (INCREMENTAL, FULL_TABLE) if stream.replication_keys or stream.parent else (FULL_TABLE,)
    assert stream.sync_types == expected


def test_the_22_streams_are_there_in_the_order_of_their_names() -> None:
    assert [*STREAMS] == sorted(CONTRACT)
    assert len(STREAMS) == 22
    assert all(name == stream.name for name, stream in STREAMS.items())
    assert {*definitions.GROUPS} == GROUPS


@pytest.mark.parametrize(
    ("number", "names"), [(128, ("spa_128", "spa_fields_128")), (1256, ("spa_1256", "spa_fields_1256"))]
)
def test_a_smart_process_has_two_streams(number: int, names: tuple[str, str]) -> None:
    items, fields = streams_of(SmartType(number, "Purchase"))
    assert (items.name, fields.name) == names
    assert (items.key, items.replication_keys, items.scopes) == ("id", ("updatedTime",), ("crm",))
    assert (fields.key, fields.replication_keys, fields.sync_types) == ("id", (), (FULL_TABLE,))
    assert items.params["select"] == ["*"], "names of standard fields do not go with useOriginalUfNames"
    assert [entity_type_of(name) for name in names] == [number, number]


@pytest.mark.parametrize(
    "name", ["deals", "spa_types", "spa_", "spa_fields_", "spa_12", "spa_127", "spa_128x", "spa_0x80"]
)
def test_other_names_are_no_smart_process(name: str) -> None:
    assert entity_type_of(name) is None


# --- selection --------------------------------------------------------------------------------------------------------

FOUND = MappingProxyType({name: Found(stream) for name, stream in STREAMS.items()})
VISIBLE = sorted(name for name, stream in STREAMS.items() if not stream.option)
FIELDS = sorted(name for name in STREAMS if name.endswith("_fields"))


@pytest.mark.parametrize(
    ("patterns", "names", "exact"),
    [
        ([], VISIBLE, []),
        (["*"], VISIBLE, []),
        (["deals"], ["deals"], ["deals"]),
        (["*_fields"], FIELDS, []),
        (["deal*", "deals"], [name for name in VISIBLE if name.startswith("deal")], ["deals"]),
        (["users", "deals", "users"], ["deals", "users"], ["deals", "users"]),
        (["[du]*s"], [name for name in VISIBLE if re.fullmatch(r"[du].*s", name)], []),
    ],
)
def test_names_and_globs_choose_streams(patterns: list[str], names: list[str], exact: list[str]) -> None:
    chosen = select(FOUND, patterns)
    assert sorted(one.name for one in chosen) == names
    assert sorted(one.name for one in chosen if one.exact) == exact


@pytest.mark.parametrize("name", ["deal_comments", "deal_products"])
def test_a_stream_is_hidden_until_its_setting_is_on(name: str) -> None:
    assert [one.name for one in select(FOUND, ["deal_*"], switched_on=[name]) if one.name == name] == [name]
    with pytest.raises(UsageError, match=f"switched off.*--{name.replace('_', '-')}"):
        select(FOUND, [name])


@pytest.mark.parametrize(
    ("pattern", "near"),
    [("deal", "deals"), ("Deals", "deals"), ("USERS", "users"), ("contract", "contacts"), ("leeds", "leads")],
)
def test_a_wrong_name_is_answered_with_the_nearest(pattern: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"no stream '{pattern}'.*did you mean .*{near}"):
        select(FOUND, [pattern])


@pytest.mark.parametrize("pattern", ["zzz", "zzz*", "", "deals "])
def test_a_glob_that_matches_nothing_is_an_error(pattern: str) -> None:
    with pytest.raises(UsageError, match="There is no stream"):
        select(FOUND, [pattern])


def test_each_stream_gets_its_preset_sync_type_and_key() -> None:
    chosen = {one.name: (one.sync_type, one.replication_key) for one in select(FOUND)}
    assert chosen["deals"] == (INCREMENTAL, "DATE_MODIFY")
    assert chosen["activities"] == (INCREMENTAL, "CREATED")
    assert chosen["users"] == (FULL_TABLE, None)


def test_sync_type_and_key_can_be_chosen() -> None:
    (chosen,) = select(
        FOUND,
        ["activities"],
        sync_types={"activities": "full_table"},
        replication_keys={"activities": "LAST_UPDATED"},
    )
    assert (chosen.sync_type, chosen.replication_key) == (FULL_TABLE, "LAST_UPDATED")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sync_types": {"users": INCREMENTAL}}, "no field by which its changes"),
        ({"sync_types": {"deals": "SOMETIMES"}}, "INCREMENTAL or FULL_TABLE"),
        ({"sync_types": {"deels": FULL_TABLE}}, "did you mean"),
        ({"replication_keys": {"deals": "ID"}}, "choose DATE_MODIFY"),
        ({"replication_keys": {"users": "TIMESTAMP_X"}}, "always read in full"),
        ({"replication_keys": {"nothing": "ID"}}, "There is no stream"),
    ],
)
def test_options_that_a_stream_does_not_have_are_refused(options: dict[str, dict[str, str]], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        select(FOUND, **options)  # type: ignore[arg-type]


def test_a_locked_stream_is_chosen_like_any_other() -> None:
    locked = {**FOUND, "deals": replace(FOUND["deals"], locked=LockedError("no"))}
    (chosen,) = select(locked, ["deals"])
    assert (chosen.exact, chosen.found.locked is not None) == (True, True)

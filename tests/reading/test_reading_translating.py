"""Rows of the universal methods get the columns of the classic lists."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from b24lake.errors import StreamError
from b24lake.reading.decode import Decoder
from b24lake.reading.translating import told_apart
from b24lake.streams.fields import columns
from b24lake.streams.universal import UNIVERSAL, described

MANY = 200  # rows of JSON that are cut into columns without parsing them
FLAG = {"type": "boolean", "upperName": "HAS_PHONE"}
FIELDS = {
    "id": {"type": "integer", "upperName": "ID"},
    "name": {"type": "string", "upperName": "NAME"},
    "hasPhone": FLAG,
    "updatedBy": {"type": "user", "upperName": "UPDATED_BY"},
    "fm": {"type": "crm_multifield", "isMultiple": True, "upperName": "FM"},
    "companies": {"type": "crm_company", "isMultiple": True, "upperName": "COMPANIES"},
    "email": {"type": "string", "upperName": "EMAIL"},
}


def decoder() -> Decoder:
    stream = UNIVERSAL["contacts"]
    built = columns(FIELDS, stream.declared, key=stream.key, translation=stream.translation)
    return Decoder(built, stream.key, UTC, translation=stream.translation)


def decoded(*rows: dict[str, Any], times: int = 1) -> list[dict[str, Any]]:
    """The rows as the table has them; as JSON where they are many."""
    many = [{**row, "id": number} for number, row in enumerate(rows * times, 1)]
    sent = many if times == 1 else [Raw(json.dumps(row).encode()) for row in many]
    found: list[dict[str, Any]] = decoder().batch(sent).to_pylist()
    return found


def phone(id_: int, value: str, kind: str = "PHONE") -> dict[str, Any]:
    return {"id": id_, "valueType": "WORK", "value": value, "typeId": kind}


def struct(id_: int, value: str, kind: str = "PHONE") -> dict[str, str]:
    return {"ID": str(id_), "VALUE_TYPE": "WORK", "VALUE": value, "TYPE_ID": kind}


@pytest.mark.parametrize("times", [1, MANY], ids=["parsed", "cut"])
def test_multi_fields_are_told_apart_and_keep_their_order(times: int) -> None:
    first, second, *_ = decoded(
        {
            "fm": [phone(7, "+2"), phone(3, "a@b.c", "EMAIL"), phone(1, "+1")],
            "name": "A",
            "hasPhone": "Y",
            "updatedBy": 5,
        },
        {"fm": [], "name": "", "hasPhone": "N", "updatedBy": 0},
        times=times,
    )
    assert first["PHONE"] == [struct(7, "+2"), struct(1, "+1")]
    assert first["EMAIL"] == [struct(3, "a@b.c", "EMAIL")]
    assert (first["WEB"], first["NAME"], first["HAS_PHONE"], first["MODIFY_BY_ID"]) == (None, "A", True, 5)
    assert {second[name] for name in ("PHONE", "EMAIL", "WEB", "IM", "LINK", "NAME", "MODIFY_BY_ID")} == {None}


@pytest.mark.parametrize("times", [1, MANY], ids=["parsed", "cut"])
def test_what_says_again_what_others_say_gets_no_column(times: int) -> None:
    sent = {"fm": [phone(1, "+1")], "phone": "+1", "phoneWork": "+1", "email": "", "entityTypeId": 3, "address": None}
    row = decoded(sent, times=times)[0]
    assert set(row) == {"ID", "NAME", "HAS_PHONE", "MODIFY_BY_ID", "PHONE", "EMAIL", "WEB", "IM", "LINK", "_misfits"}


def test_a_key_that_nobody_knows_is_text_under_its_own_name() -> None:
    (row,) = decoded({"fm": [], "newThing": {"a": 1}, "ufLogo": 4})
    assert (row["newThing"], row["ufLogo"]) == ('{"a":1}', "4")


@pytest.mark.parametrize("times", [1, MANY], ids=["parsed", "cut"])
@pytest.mark.parametrize("value", ["+1", 5, [1, 2], [{"value": "+1"}], [phone(1, "+1"), {"typeId": 3}], {"a": "b"}])
def test_what_is_no_list_of_multi_fields_stays_as_it_is(value: Any, times: int) -> None:
    row = decoded({"fm": value}, {"fm": []}, times=times)[0]
    assert row["PHONE"] is None
    assert row["fm"] == (value if isinstance(value, str) else json.dumps(value, separators=(",", ":")))


def test_multi_fields_of_a_kind_that_nobody_knows_are_kept_beside_the_others() -> None:
    (row,) = decoded({"fm": [phone(1, "+1"), phone(2, "+2", "FAX")]})
    assert (row["PHONE"], json.loads(row["FAX"])) == ([struct(1, "+1")], [phone(2, "+2", "FAX")])


def test_a_list_with_gaps_arrives_as_an_object() -> None:
    (row,) = decoded({"fm": {"0": phone(1, "+1"), "2": phone(2, "+2")}})
    assert row["PHONE"] == [struct(1, "+1"), struct(2, "+2")]


def test_phones_that_are_missing_although_there_are_some_are_noticed() -> None:
    with pytest.raises(StreamError, match=r"no phones and e-mails .*--reader classic"):
        decoded({"name": "A", "hasPhone": "N"}, {"name": "B", "hasPhone": "Y"})
    assert len(decoded({"name": "A", "hasPhone": "N"})) == 1
    assert len(decoded({"name": "A", "hasPhone": "Y", "fm": []})) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["typeId", "0", "value"]), inner),
    max_leaves=6,
)


@given(st.lists(JSON, max_size=5))
def test_nothing_is_lost_whatever_comes(values: list[Any]) -> None:
    parts = told_apart(values, "fm")
    assert all(len(rows) == len(values) for rows in parts.values())
    for row, value in enumerate(values):
        kept = [rows[row] for rows in parts.values() if rows[row] is not None]
        whole = [value] if kept and parts.get("fm", [None] * len(values))[row] is value else None
        items = list(value.values()) if isinstance(value, dict) else value
        if value is None or value is False or value in ("", [], {}):
            assert not kept
        elif kept != whole:
            assert sorted((item for each in kept for item in each), key=repr) == sorted(items, key=repr)


def test_the_classic_method_has_the_last_word_on_types_and_labels() -> None:
    stream = UNIVERSAL["contacts"]
    assert stream.translation
    classic = {
        "HAS_PHONE": {"type": "char", "title": "Has phone"},
        "MODIFY_BY_ID": {"type": "user", "title": "Changed by"},
        "PHONE": {"type": "crm_multifield", "isMultiple": True, "title": "Phone"},
        "ADDRESS": {"type": "string", "title": "Address"},
    }
    told = described(FIELDS, classic, stream.translation)
    built = {one.name: one for one in columns(told, stream.declared, key="id", translation=stream.translation)}
    assert (built["HAS_PHONE"].kind, built["HAS_PHONE"].label, built["HAS_PHONE"].source) == (
        "char",
        "Has phone",
        "hasPhone",
    )
    assert (built["MODIFY_BY_ID"].label, built["PHONE"].label, built["PHONE"].many) == ("Changed by", "Phone", True)
    assert "ADDRESS" not in built
    assert next(iter(built)) == "ID"

"""Descriptors -> columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24lake.streams.fields import (
    ITEM,
    MULTIFIELD,
    Column,
    arrow_type,
    columns,
    descriptor_rows,
    distinct,
    schema,
    undeclared,
)

SAMPLES = Path(__file__).parents[1] / "samples"
TEXT, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
MONEY, MOMENT = pa.decimal128(38, 9), pa.timestamp("us", "UTC")


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_bytes())["result"]


def many(item: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", item))


@pytest.mark.parametrize(
    ("kind", "single"),
    [
        *[(kind, INT) for kind in ("integer", "user", "employee", "enumeration", "location", "department")],
        *[(f"crm_{kind}", INT) for kind in ("category", "lead", "deal", "contact", "company", "quote", "entity")],
        *[(kind, INT) for kind in ("iblock_element", "iblock_section")],
        *[(kind, BOOL) for kind in ("char", "boolean")],
        *[(kind, TEXT) for kind in ("string", "text", "crm_status", "crm_currency", "money", "url", "address", "crm")],
        *[(kind, TEXT) for kind in ("file", "resourcebooking", "object", "diskfile", "attached_diskfile")],
        *[(kind, TEXT) for kind in ("crm_activity_binding", "crm_activity_communication", "recurring_params")],
        *[
            (kind, TEXT)
            for kind in ("product_file", "product_property", "productproperty", "rest_12_colour", "", "new")
        ],
        ("crm_enum_ownertype", pa.int32()),
        ("crm_enum_activitytype", pa.int32()),
        ("double", FLOAT),
        ("date", pa.date32()),
        ("datetime", MOMENT),
    ],
)
def test_every_declared_type_has_a_landing_type(kind: str, single: pa.DataType) -> None:
    assert arrow_type(kind, "X", many=False) == single
    assert arrow_type(kind, "X", many=True) == many(single)


@pytest.mark.parametrize(("kind", "item"), [("crm_multifield", MULTIFIELD), ("items", ITEM)])
def test_multi_fields_and_choices_are_lists_of_objects_in_any_case(kind: str, item: pa.DataType) -> None:
    assert arrow_type(kind, "X", many=False) == arrow_type(kind, "X", many=True) == many(item)


@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        *[(code, "double", MONEY) for code in ("OPPORTUNITY", "TAX_VALUE", "REVENUE", "COST", "OPPORTUNITY_ACCOUNT")],
        *[(code, "double", MONEY) for code in ("PRICE", "PRICE_NETTO", "PRICE_EXCLUSIVE")],
        *[(code, "double", FLOAT) for code in ("QUANTITY", "DISCOUNT_RATE", "LIST_PRICE", "UF_CRM_1", "COSTS")],
        *[(code, "double", FLOAT) for code in ("UF_CRM_BANK_ACCOUNT", "UF_PRICE")],
        ("OPPORTUNITY", "string", TEXT),
        ("PRICE", "integer", INT),
    ],
)
def test_money_is_decimal_in_standard_fields_with_money_names(code: str, kind: str, expected: pa.DataType) -> None:
    assert arrow_type(kind, code, many=False) == expected


@pytest.mark.parametrize(
    ("descriptor", "label"),
    [
        ({"type": "string", "title": "Name"}, "Name"),
        ({"type": "string", "title": "CODE", "listLabel": "In lists", "formLabel": "In forms"}, "In lists"),
        ({"type": "string", "title": "CODE", "listLabel": "", "formLabel": "In forms"}, "In forms"),
        ({"type": "string", "title": "CODE", "listLabel": None, "filterLabel": "In filters"}, "In filters"),
        ({"type": "string", "title": "CODE"}, ""),
        ({"type": "string"}, ""),
        ("Label alone", "Label alone"),
    ],
)
def test_the_human_label_becomes_the_comment(descriptor: Any, label: str) -> None:
    (_key, column) = columns({"CODE": descriptor}, {}, key="ID")
    assert column.label == label
    comment = (schema([column]).field("CODE").metadata or {}).get(b"comment", b"").decode()
    assert comment == label


@pytest.mark.parametrize(
    ("multiple", "is_list"),
    [
        (True, True),
        ("Y", True),
        (1, True),
        ("1", True),
        (False, False),
        ("N", False),
        (0, False),
        (None, False),
        ("", False),
        ([], False),
        ({}, False),
    ],
)
def test_multiple_is_read_in_every_form(multiple: Any, *, is_list: bool) -> None:
    (_key, column) = columns({"UF": {"type": "integer", "isMultiple": multiple}}, {}, key="ID")
    assert (column.many, column.type) == (is_list, many(INT) if is_list else INT)


@pytest.mark.parametrize("described", [None, [], {}, False, "text"])
def test_a_portal_that_describes_nothing_leaves_what_is_declared(described: Any) -> None:
    found = columns(described, {"NAME": "string", "UF_DEPARTMENT": "department[]"}, key="ID")
    assert [(column.name, column.kind, column.many) for column in found] == [
        ("ID", "integer", False),
        ("NAME", "string", False),
        ("UF_DEPARTMENT", "department", True),
    ]


@pytest.mark.parametrize("descriptor", [{}, {"title": "x"}, {"type": None}, {"type": ""}, None, 5, []])
def test_a_poor_descriptor_is_a_text_column_but_an_id_stays_a_number(descriptor: Any) -> None:
    found = columns({"NAME": descriptor}, {}, key="ID")
    assert [(column.name, column.type) for column in found] == [("ID", INT), ("NAME", TEXT)]


def test_what_is_declared_wins_over_a_mere_label() -> None:
    found = columns({"ID": "ID", "ACTIVE": "Active", "CITY": "City"}, {"ID": "integer", "ACTIVE": "boolean"}, key="ID")
    assert [(column.name, column.type, column.label) for column in found] == [
        ("ID", INT, "ID"),
        ("ACTIVE", BOOL, "Active"),
        ("CITY", TEXT, "City"),
    ]


def test_the_key_comes_first_and_is_never_missing() -> None:
    assert [one.name for one in columns({"A": {}, "ID": {"type": "integer"}}, {}, key="ID")] == ["ID", "A"]
    assert [one.name for one in columns({"A": {}}, {}, key="id")] == ["id", "A"]


@pytest.mark.parametrize(
    ("codes", "held", "names"),
    [
        (["A", "B"], {}, ["A", "B"]),
        (["Id", "ID", "id"], {}, ["Id", "ID__2", "id__3"]),
        (["a", "A__2", "A"], {}, ["a", "A__2", "A__3"]),
        (["a"], {"A": ""}, ["a__2"]),
        (["a"], {"A": "A"}, ["a__2"]),
        (["A"], {"a": "a", "A__2": "A"}, ["A__2"]),
        (["A", "a"], {"a": "a", "A__2": "A"}, ["A__2", "a"]),
        (["aA", "AA"], {"AA": "AA"}, ["aA__2", "AA"]),
        (["A__2"], {"a": "a", "A__2": "A"}, ["A__2__2"]),
        (["_misfits", "_MISFITS"], {"_misfits": ""}, ["_misfits__2", "_MISFITS__3"]),
        (["ПОЛЕ", "поле"], {}, ["ПОЛЕ", "поле__2"]),
    ],
)
def test_names_that_differ_only_in_case_are_told_apart(
    codes: list[str], held: dict[str, str], names: list[str]
) -> None:
    built = distinct([undeclared(code) for code in codes], held)
    assert [column.name for column in built] == names
    assert [column.source for column in built] == codes
    assert [column.code or column.name for column in built] == codes
    assert distinct(built, held) == built


CODES = st.sampled_from(["A", "a", "B", "b", "A__2", "a__2", "_misfits", "UF_1", "uf_1", "UF_1__2"])


@given(st.lists(st.lists(CODES, unique=True), max_size=6))
def test_a_field_has_the_same_column_whatever_comes_and_goes_beside_it(reads: list[list[str]]) -> None:
    held: dict[str, str] = {"_misfits": ""}
    for codes in reads:
        built = distinct([undeclared(code) for code in codes], held)
        now = {column.name: column.source for column in built}
        assert len({name.casefold() for name in {*held, *now}}) == len({*held, *now}), "two fields in one column"
        assert not any(held.get(name, code) != code for name, code in now.items())
        kept = {code: name for name, code in held.items()}
        assert all(kept.get(column.source, column.name) == column.name for column in built)
        held |= now


def test_a_key_that_nobody_declared_is_text() -> None:
    assert undeclared("FACE_ID") == Column("FACE_ID", "FACE_ID", "", TEXT)


DESCRIBED = {
    "official/crm.deal.fields.json": {
        "ID": INT, "TITLE": TEXT, "OPPORTUNITY": MONEY, "CATEGORY_ID": INT, "BEGINDATE": pa.date32(),
        "DATE_MODIFY": MOMENT, "CLOSED": BOOL, "ASSIGNED_BY_ID": INT, "CONTACT_IDS": many(INT), "STAGE_ID": TEXT,
    },
    "official/crm.lead.fields.json": {
        "ID": INT, "PHONE": many(MULTIFIELD), "EMAIL": many(MULTIFIELD), "HAS_PHONE": BOOL, "BIRTHDATE": pa.date32(),
        "DATE_CLOSED": MOMENT, "OPPORTUNITY": MONEY,
    },
    "official/crm.contact.fields.json": {"ID": INT, "PHOTO": TEXT, "COMPANY_IDS": many(INT), "WEB": many(MULTIFIELD)},
    "official/crm.company.fields.json": {"ID": INT, "REVENUE": MONEY, "LOGO": TEXT, "IS_MY_COMPANY": BOOL},
    "official/crm.activity.fields.json": {
        "ID": INT, "OWNER_ID": INT, "OWNER_TYPE_ID": pa.int32(), "COMPLETED": BOOL, "CREATED": MOMENT,
        "RESULT_SUM": FLOAT, "SETTINGS": TEXT,
    },
    "captured/crm_lead_fields_success.json": {"ID": INT, "PHONE": many(MULTIFIELD), "DATE_MODIFY": MOMENT},
    "official/crm.status.fields.json": {"ID": INT, "NAME": TEXT, "SORT": INT},
}  # fmt: skip


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_sample_gives_a_sensible_schema(name: str) -> None:
    found = {column.name: column for column in columns(sample(name), {}, key="ID")}
    assert {code: found[code].type for code in DESCRIBED[name]} == DESCRIBED[name]
    assert set(found) == set(sample(name))
    assert all(column.source == column.name for column in found.values())


@pytest.mark.parametrize(("name", "count"), [("official/user.fields.json", 62), ("captured/user_fields.json", 64)])
def test_a_list_of_labels_gives_text_columns_with_comments(name: str, count: int) -> None:
    found = columns(sample(name), {}, key="ID")
    assert len(found) == count
    assert {column.type for column in found if column.name != "ID"} == {TEXT}
    assert next(column for column in found if column.name == "NAME").label


def test_descriptors_become_rows_with_their_code_as_id() -> None:
    described = {
        "UF_CRM_1": {"type": "enumeration", "id": "else", "items": [{"ID": "1", "VALUE": "a"}]},
        "UF_CRM_2": {"type": "enumeration", "items": {"7": {"ID": "7", "VALUE": "b"}, "9": "odd"}},
        "NAME": "Name",
    }
    assert descriptor_rows(described) == [
        {"id": "UF_CRM_1", "type": "enumeration", "items": [{"ID": "1", "VALUE": "a"}]},
        {"id": "UF_CRM_2", "type": "enumeration", "items": [{"ID": "7", "VALUE": "b"}]},
        {"id": "NAME", "title": "Name"},
    ]
    assert descriptor_rows([]) == []

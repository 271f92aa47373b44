"""Every declared type of the vendor's docs, as both families of methods spell and send it, parsed and cut alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

import expected
from b24lake.reading import decode
from b24lake.reading.decode import MISFITS, Decoder
from b24lake.streams.fields import columns

MOSCOW = timezone(timedelta(hours=3))
NOON = datetime(2024, 8, 30, 9, tzinfo=UTC)
DAY = date(2024, 8, 30)
FILE = {"id": 7, "showUrl": "/show?a=1&b=2", "downloadUrl": "/d?é"}
FILE_TEXT = '{"id":7,"showUrl":"/show?a=1&b=2","downloadUrl":"/d?é"}'
ITEM_FILE = {"id": 7, "url": "/u", "urlMachine": "/m"}
ITEM_FILE_TEXT = '{"id":7,"url":"/u","urlMachine":"/m"}'
PHONE = {"ID": "5", "VALUE_TYPE": "WORK", "VALUE": "+7 495", "TYPE_ID": "PHONE"}
ITEM_PHONE = {"id": 5, "valueType": "WORK", "value": "+7 495", "typeId": "PHONE"}

# declared type -> as classic methods send it, as universal methods do, as it lands
# fmt: off
SENT: list[tuple[str, Any, Any, Any]] = [
    ("integer", "37", 37, 37),
    ("double", "19999.99", 19999.99, 19999.99),
    ("string", "a", "a", "a"),
    ("text", "[b]a[/b]", "[b]a[/b]", "[b]a[/b]"),
    ("char", "Y", "Y", True),
    ("char", "N", "N", False),
    ("boolean", True, "Y", True),
    ("boolean", "0", "N", False),
    ("boolean", 1, True, True),
    ("date", "2024-08-30T03:00:00+03:00", "2024-08-29T19:00:00-05:00", DAY),
    ("datetime", "2024-08-30T12:00:00+03:00", "2024-08-30T09:00:00+00:00", NOON),
    ("crm_status", "NEW", "C1:NEW", ...),
    ("crm_currency", "RUB", "RUB", "RUB"),
    ("crm_category", "0", 0, 0),
    *[(kind, "9", 9, 9) for kind in ("crm_lead", "crm_deal", "crm_contact", "crm_company", "crm_quote", "crm_entity")],
    *[(kind, "9", 9, 9) for kind in ("user", "employee", "enumeration", "location", "department")],
    *[(kind, "9", 9, 9) for kind in ("iblock_element", "iblock_section")],
    ("money", "300|EUR", "300|EUR", "300|EUR"),
    ("url", "https://a.b/?q=1", "https://a.b/?q=1", "https://a.b/?q=1"),
    ("address", "Lenina 1|55.75;37.61|5", "Lenina 1|55.75;37.61|5", "Lenina 1|55.75;37.61|5"),
    ("file", FILE, FILE, FILE_TEXT),
    ("file", ITEM_FILE, ITEM_FILE, ITEM_FILE_TEXT),
    ("crm_enum_ownertype", "2", 2, 2),
    ("crm_enum_activitystatus", "0", 0, 0),
    ("crm", "CO_3", "T80_6", ...),
    ("crm", "12", 12, "12"),
    ("resourcebooking", "17", 17, "17"),
    ("resourcebooking", {"from": 1}, {"from": 1}, '{"from":1}'),
    ("object", {"a": [1, None]}, {"a": [1, None]}, '{"a":[1,null]}'),
    ("crm_activity_binding", {"OWNER_ID": "2"}, {"OWNER_ID": "2"}, '{"OWNER_ID":"2"}'),
    ("crm_activity_communication", {"ENTITY_SETTINGS": {"a": 1}}, {"ENTITY_SETTINGS": {"a": 1}},
     '{"ENTITY_SETTINGS":{"a":1}}'),
    ("diskfile", {"id": 1, "url": "/x"}, {"id": 1, "url": "/x"}, '{"id":1,"url":"/x"}'),
    ("attached_diskfile", {"id": 1}, {"id": 1}, '{"id":1}'),
    ("recurring_params", {"MODE": 1}, {"MODE": 1}, '{"MODE":1}'),
    ("product_file", {"id": "1"}, {"id": "1"}, '{"id":"1"}'),
    ("product_property", {"valueId": "9", "value": "x"}, {"value": "x", "valueId": 9}, ...),
    ("productproperty", {"valueId": "9", "value": "x"}, {"value": "x", "valueId": 9}, ...),
    ("rest_12_colour", "red", "red", "red"),
    ("a type of tomorrow", "x", {"y": 1}, ...),
    ("", 18446744073709551616, 18446744073709551616, "18446744073709551616"),
]
# fmt: on
EMPTY = [None, "", False, [], {}]


def decoder(kind: str, code: str = "X", *, many: bool = False, **more: Any) -> Decoder:
    return Decoder(columns({code: {"type": kind, "isMultiple": many, **more}}, {}, key="ID"), "ID", MOSCOW)


@contextmanager
def all_rows_cut() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decode, "_MANY", 1)
        yield


def landed(values: list[Any], one: Decoder, code: str = "X") -> tuple[list[Any], list[str | None]]:
    """How values land and which misfits are kept: the same by the parsed and by the cut path."""
    rows = [{"ID": str(place), code: value} for place, value in enumerate(values, 1)]
    batch = one.batch([dict(row) for row in rows])
    with all_rows_cut():
        cut = one.batch([Raw(json.dumps(row).encode()) for row in rows])
    assert cut.equals(batch)
    kept = [dict(each or ()).get(code) for each in batch[MISFITS].to_pylist()]
    return batch[code].to_pylist(), kept


def as_json(value: Any) -> Any:
    """An object in the text of an object column."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, dict) else value


@pytest.mark.parametrize(("kind", "classic", "universal", "wanted"), SENT)
def test_both_families_send_what_lands_alike(kind: str, classic: Any, universal: Any, wanted: Any) -> None:
    """`...` stands for text as it was sent."""
    singles = [as_json(value) if wanted is ... else wanted for value in (classic, universal)]
    assert landed([classic, None, universal], decoder(kind)) == ([singles[0], None, singles[1]], [None] * 3)
    many = decoder(kind, many=True)
    assert pa.types.is_list(many.columns[1].type)
    lists = [[classic, universal], [classic], classic, {"4": universal}]
    expected_ = [singles, singles[:1], singles[:1], singles[1:]]
    if isinstance(classic, dict):
        lists[3], expected_[3] = [universal], singles[1:]
    assert landed(lists, many) == (expected_, [None] * 4)


@pytest.mark.parametrize("kind", [*dict.fromkeys(kind for kind, *_ in SENT), "crm_multifield"])
@pytest.mark.parametrize("many", [False, True], ids=["single", "multiple"])
def test_every_kind_of_empty_is_null(kind: str, *, many: bool) -> None:
    is_flag = kind in {"char", "boolean"} and not many
    empties = [value for value in EMPTY if not (is_flag and value is False)]
    several = [[None], [""], ["", None, [], {}]] if many else []
    empties = [*empties, *several]
    assert landed(empties, decoder(kind, many=many)) == ([None] * len(empties), [None] * len(empties))


@pytest.mark.parametrize("kind", ["crm_lead", "crm_contact", "crm_entity", "user", "employee", "location"])
def test_zero_is_no_link(kind: str) -> None:
    assert landed(["0", 0, "00"], decoder(kind)) == ([None] * 3, [None] * 3)


@pytest.mark.parametrize("kind", ["integer", "enumeration", "crm_category", "crm_enum_ownertype"])
def test_zero_is_a_number(kind: str) -> None:
    assert landed(["0", 0], decoder(kind)) == ([0, 0], [None] * 2)


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("OPPORTUNITY", {}),
        ("opportunity", {"upperName": "OPPORTUNITY"}),
        ("priceBrutto", {"upperName": "PRICE_BRUTTO"}),
    ],
)
def test_sums_of_money_are_decimals_in_both_families(code: str, more: dict[str, Any]) -> None:
    one = decoder("double", code, **more)
    assert landed(["19999.99", 19999.99, 0], one, code)[0] == [Decimal("19999.99"), Decimal("19999.99"), Decimal(0)]


@pytest.mark.parametrize("code", ["UF_CRM_1_OPPORTUNITY", "UF_CRM_PRICE", "QUANTITY"])
def test_other_numbers_are_floats(code: str) -> None:
    assert landed(["19999.99", 7], decoder("double", code), code)[0] == [19999.99, 7.0]


def test_multi_fields_are_lists_of_objects_in_both_spellings() -> None:
    values = [[PHONE], [ITEM_PHONE], [PHONE, ITEM_PHONE], PHONE, {"0": PHONE}]
    wanted = [[PHONE], [PHONE], [PHONE, PHONE], [PHONE], [PHONE]]
    assert landed(values, decoder("crm_multifield")) == (wanted, [None] * 5)
    odd = {"VALUE": "a", "value": "b"}
    assert landed([[odd]], decoder("crm_multifield"))[1] == [json.dumps([odd], separators=(",", ":"))]


# --- any value at all -------------------------------------------------------------------------------------------------

KINDS = [*dict.fromkeys(kind for kind, *_ in SENT), "crm_multifield", "items"]
NUMBERS = st.integers(-(2**66), 2**66) | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.sampled_from(
    [
        *["Y", "N", "0", "1", "-0", "0x1F", "nan", "inf", "true", "0000-00-00", "24.08.2023 13:19:39", "2024-08-30"],
        *["1e999", "300|EUR", "1_0", " 5 ", "5.0", "2024-08-30T03:00:00+03:00", "2024-08-30 12:00:00", "\\u0434", '"'],
    ]
)
TEXTS = (
    st.text(max_size=6)
    | WORDS
    | st.from_regex(r"[-+]?[0-9]{1,22}([.][0-9]{0,12})?([eE][-+]?[0-9]{1,3})?", fullmatch=True)
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
PARTS = st.fixed_dictionaries({}, optional=dict.fromkeys((*PHONE, *ITEM_PHONE), SCALARS))
JSON = st.recursive(
    SCALARS | PARTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.just("7"), inner, max_size=3),
    max_leaves=6,
)
TABLES = st.tuples(st.sampled_from(KINDS), st.sampled_from(["X", "PRICE"]), st.booleans(), st.lists(JSON, min_size=1))


def check(kind: str, code: str, many: bool, values: list[Any]) -> None:
    """Nothing raises, both paths agree, and every value is in its column, kept as a misfit, or nothing."""
    one = decoder(kind, code, many=many)
    found, kept = landed(values, one, code)
    for value, here, misfit in zip(values, found, kept, strict=True):
        assert misfit is None or expected.same_json(misfit, value), (value, misfit)
        assert misfit is not None or expected.holds(here, value, kind, code, many=one.columns[1].many), (value, here)


@settings(max_examples=300)
@given(TABLES)
def test_no_value_raises_and_none_is_lost(table: tuple[str, str, bool, list[Any]]) -> None:
    check(*table)


@pytest.mark.slow
@settings(max_examples=5_000)
@given(TABLES)
def test_no_value_raises_and_none_is_lost_many_times(table: tuple[str, str, bool, list[Any]]) -> None:
    check(*table)


# --- values as portals have them --------------------------------------------------------------------------------------

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
ZONES = st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))
IDS = st.integers(0, 10**12)
SUMS = st.decimals(-(10**12), 10**12, places=2)


def either(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A number as both families send it."""
    return values.map(str) | values


OF_KIND: dict[str, st.SearchStrategy[Any]] = {
    "integer": either(IDS | st.integers(-(10**9), 10**9)),
    "double": SUMS.map(str) | SUMS.map(float),
    "char": st.sampled_from("YN"),
    "boolean": st.sampled_from([True, False, "1", "0", 1, 0, "Y", "N"]),
    "date": st.builds(
        lambda day, zone: datetime(day.year, day.month, day.day, tzinfo=UTC).astimezone(zone).isoformat(),
        st.dates(date(2000, 1, 1), date(2040, 1, 1)),
        ZONES,
    )
    | st.dates().map(str),
    "datetime": st.builds(lambda moment, zone: moment.astimezone(zone).isoformat(), MOMENTS, ZONES),
    "crm_multifield": st.fixed_dictionaries({key: st.text(min_size=1, max_size=5) for key in PHONE}),
    "object": st.dictionaries(st.text(alphabet="abc"), st.text() | st.integers(-9, 9) | st.none(), max_size=3),
    **dict.fromkeys(("crm_enum_ownertype", "crm_enum_activitystatus"), either(st.integers(0, 2000))),
    **dict.fromkeys(sorted(expected.NUMBERS - {"integer"}), either(IDS)),
}
USUAL = st.sampled_from([*dict.fromkeys(kind for kind, *_ in SENT), "crm_multifield"])


@st.composite
def usual_tables(draw: st.DrawFn) -> tuple[str, str, bool, list[Any]]:
    kind, many = draw(USUAL), draw(st.booleans())
    values = OF_KIND.get(kind, st.text(max_size=9))
    several = st.lists(values, max_size=3) if many or kind == "crm_multifield" else values
    empties = st.sampled_from([None, "", [], {}] if kind in {"boolean", "char"} else EMPTY)
    code = draw(st.sampled_from(["X", "PRICE"])) if kind == "double" else "X"
    return kind, code, many, draw(st.lists(several | empties, min_size=1, max_size=9))


def check_usual(kind: str, code: str, many: bool, values: list[Any]) -> None:
    """The oracle, which knows the rules but not the decoder, says what lands."""
    one = decoder(kind, code, many=many)
    many = one.columns[1].many
    wanted = [expected.value(value, kind, code, many=many) for value in values]
    assert landed(values, one, code) == (wanted, [None] * len(values))


@settings(max_examples=300)
@given(usual_tables())
def test_usual_values_land_as_the_rules_say(table: tuple[str, str, bool, list[Any]]) -> None:
    check_usual(*table)


@pytest.mark.slow
@settings(max_examples=5_000)
@given(usual_tables())
def test_usual_values_land_as_the_rules_say_many_times(table: tuple[str, str, bool, list[Any]]) -> None:
    check_usual(*table)

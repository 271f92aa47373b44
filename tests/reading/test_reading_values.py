"""Values of every declared type and every kind of emptiness."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24lake.reading.values import as_text, decode
from b24lake.streams.fields import Column, arrow_type

MOSCOW = timezone(timedelta(hours=3))
NEW_YORK = timezone(timedelta(hours=-5))
LINKS = ["crm_lead", "crm_deal", "crm_contact", "crm_company", "crm_quote", "crm_entity", "user", "employee"]
LINKS += ["location", "iblock_element", "iblock_section", "department"]
TEXTS = ["string", "crm_status", "crm_currency", "money", "url", "address", "crm", "file", "rest_1_x", ""]
NUMBERS = ["integer", "enumeration", "crm_category", "crm_enum_ownertype"]
KINDS = [*LINKS, *TEXTS, *NUMBERS, "double", "char", "boolean", "date", "datetime", "crm_multifield", "items"]


def column(kind: str, *, many: bool = False, name: str = "X") -> Column:
    is_list = many or kind in {"crm_multifield", "items"}
    return Column(name, name, kind, arrow_type(kind, name, many=many), is_list)


def read(value: Any, of: Column, zone: Any = MOSCOW) -> tuple[Any, str | None]:
    """One value between two others -> how it landed, and what was kept as a misfit."""
    array, misfits = decode([None, value, None], of, zone)
    assert array.type == of.type
    assert [array[0].as_py(), array[2].as_py()] == [None, None]
    assert set(misfits) <= {1}
    return array[1].as_py(), misfits.get(1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("empty", [None, "", [], {}, False], ids=repr)
def test_empties_of_every_kind_are_null(kind: str, *, many: bool, empty: Any) -> None:
    one = column(kind, many=many)
    if empty is False and not one.many and kind in {"boolean", "char"}:
        return  # there, false is a value: see below
    assert read(empty, one) == (None, None)


CASES: list[tuple[str, Any, Any]] = [
    *[(kind, "37", 37) for kind in (*LINKS, *NUMBERS)],
    *[(kind, 37, 37) for kind in (*LINKS, *NUMBERS)],
    *[(kind, zero, None) for kind in LINKS for zero in ("0", 0)],
    *[(kind, zero, 0) for kind in NUMBERS for zero in ("0", 0)],
    ("integer", "-5", -5),
    ("integer", "+5", 5),
    ("integer", " 5 ", 5),
    ("integer", "5.00", 5),
    ("integer", 5.0, 5),
    ("integer", "9223372036854775807", 2**63 - 1),
    ("integer", True, ...),
    ("integer", "5.5", ...),
    ("integer", "9223372036854775808", ...),
    ("integer", "1_000", ...),
    ("integer", "1 000", ...),
    ("integer", "five", ...),
    ("integer", "0x1F", ...),
    ("integer", "0X0", ...),
    ("integer", "१", ...),
    ("integer", "1E999999999", ...),
    ("integer", [5], ...),
    ("integer", {"id": 5}, ...),
    ("enumeration", "Y", ...),
    ("crm_enum_ownertype", "3000000000", ...),
    ("double", "19999.99", 19999.99),
    ("double", 19999.99, 19999.99),
    ("double", 5, 5.0),
    ("double", "0", 0.0),
    ("double", "0.00", 0.0),
    ("double", "-1e3", -1000.0),
    ("double", "nan", ...),
    ("double", "inf", ...),
    ("double", "1e999", ...),
    ("double", "19 999,99", ...),
    ("double", "1_0", ...),
    ("char", "Y", True),
    ("char", "N", False),
    *[("char", odd, ...) for odd in ("y", "1", "0", "YN", 1, True, False)],
    *[("boolean", yes, True) for yes in (True, "true", "Y", "1", 1)],
    *[("boolean", no, False) for no in (False, "false", "N", "0", 0)],
    *[("boolean", odd, ...) for odd in ("yes", 2, "да", [True])],
    *[(kind, "text", "text") for kind in TEXTS],
    *[(kind, " ", " ") for kind in TEXTS],
    ("string", 5, "5"),
    ("string", 0, "0"),
    ("string", True, "true"),
    ("string", "0", "0"),
    ("money", "300|EUR", "300|EUR"),
    ("crm", "T80_6", "T80_6"),
    ("file", {"id": 1, "showUrl": "/a?b=1"}, '{"id":1,"showUrl":"/a?b=1"}'),
    ("file", [], None),
    ("", [1, "ё"], '[1,"ё"]'),
]


@pytest.mark.parametrize(("kind", "value", "expected"), CASES)
def test_a_value_lands_by_its_declared_type_or_is_kept_verbatim(kind: str, value: Any, expected: Any) -> None:
    if expected is ...:
        kept = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        assert read(value, column(kind)) == (None, kept)
    else:
        landed, misfit = read(value, column(kind))
        assert (landed, type(landed), misfit) == (expected, type(expected), None)


@pytest.mark.parametrize(
    ("value", "sum_"),
    [
        ("19999.99", Decimal("19999.99")),
        (19999.5, Decimal("19999.5")),
        (7, Decimal(7)),
        ("0", Decimal(0)),
        ("0.123456789", Decimal("0.123456789")),
        ("-99999999999999999999999999999.999999999", Decimal("-99999999999999999999999999999.999999999")),
        ("0.1234567891", Decimal("0.123456789")),
        (83.33333333333333, Decimal("83.333333333")),
        ("1e30", ...),
        ("NaN", ...),
        ("12,50", ...),
        ("300|EUR", ...),
    ],
)
def test_money_has_nine_decimals_or_is_a_misfit(value: Any, sum_: Any) -> None:
    expected = (None, value) if sum_ is ... else (sum_, None)
    assert read(value, column("double", name="OPPORTUNITY")) == expected


MOMENTS: list[tuple[str, Any]] = [
    ("2026-08-21T19:52:37+03:00", datetime(2026, 8, 21, 16, 52, 37, tzinfo=UTC)),
    ("2026-08-21T19:52:37-05:00", datetime(2026, 8, 22, 0, 52, 37, tzinfo=UTC)),
    ("2026-08-21T19:52:37+05:45", datetime(2026, 8, 21, 14, 7, 37, tzinfo=UTC)),
    ("2026-08-21T19:52:37Z", datetime(2026, 8, 21, 19, 52, 37, tzinfo=UTC)),
    ("2026-08-21T19:52:37.123456+00:00", datetime(2026, 8, 21, 19, 52, 37, 123456, tzinfo=UTC)),
    ("2026-08-21 19:52:37+03:00", datetime(2026, 8, 21, 16, 52, 37, tzinfo=UTC)),
    ("2024-07-23 08:08:50", datetime(2024, 7, 23, 5, 8, 50, tzinfo=UTC)),
    ("2024-07-23T08:08:50", datetime(2024, 7, 23, 5, 8, 50, tzinfo=UTC)),
    ("2024-07-23 08:08", datetime(2024, 7, 23, 5, 8, tzinfo=UTC)),
    ("2024-07-23", datetime(2024, 7, 22, 21, tzinfo=UTC)),
    ("24.08.2023 13:19:39", datetime(2023, 8, 24, 10, 19, 39, tzinfo=UTC)),
    ("24.08.2023 13:19", datetime(2023, 8, 24, 10, 19, tzinfo=UTC)),
    ("24.08.2023", datetime(2023, 8, 23, 21, tzinfo=UTC)),
    *[(odd, ...) for odd in ("08/24/2023 01:19:39 pm", "24/08/2023", "0000-00-00 00:00:00", "2024-02-30", "soon")],
    *[
        (odd, ...)
        for odd in ("1724677897", "2024-07-23T25:00:00+03:00", "0001-01-01 00:00:00", "2024-07-23T08:08:50 x")
    ],
]


@pytest.mark.parametrize(("value", "moment"), MOMENTS)
@pytest.mark.parametrize("company", [[], ["2026-01-01T00:00:00+03:00"], ["24.08.2023 13:19:39", "odd"]], ids=len)
def test_times_land_in_utc_whatever_stands_beside_them(value: str, moment: Any, company: list[str]) -> None:
    array, misfits = decode([*company, value], column("datetime"), MOSCOW)
    assert array[len(company)].as_py() == (None if moment is ... else moment)
    assert misfits.get(len(company)) == (value if moment is ... else None)


@pytest.mark.parametrize("value", [{}, [], "", None])
def test_a_time_that_comes_as_an_empty_object_is_null(value: Any) -> None:
    assert read(value, column("datetime")) == (None, None)


DAYS: list[tuple[str, Any]] = [
    ("2024-08-30T03:00:00+03:00", date(2024, 8, 30)),
    ("2024-08-29T19:00:00-05:00", date(2024, 8, 30)),
    ("2024-08-30T02:00:00+02:00", date(2024, 8, 30)),
    ("2024-08-30T00:00:00+00:00", date(2024, 8, 30)),
    ("2024-08-30T00:00:00+03:00", date(2024, 8, 30)),
    ("2024-08-30T00:00:00-05:00", date(2024, 8, 30)),
    ("2024-08-30T03:00:00+01:00", date(2024, 8, 30)),
    ("2024-08-30 00:00:00", date(2024, 8, 30)),
    ("2024-08-30", date(2024, 8, 30)),
    ("30.08.2024", date(2024, 8, 30)),
    ("30.08.2024 00:00:00", date(2024, 8, 30)),
    *[
        (odd, ...)
        for odd in ("0000-00-00", "2024-13-01", "08/30/2024", "soon-soon!", "20240830", "2024-08-30T00:00:00 x")
    ],
]


@pytest.mark.parametrize(("value", "day"), DAYS)
@pytest.mark.parametrize("zone", [MOSCOW, NEW_YORK, UTC], ids=str)
@pytest.mark.parametrize("company", [[], ["2024-01-01T03:00:00+03:00", None], ["2024-01-01"], ["odd"]], ids=str)
def test_a_date_is_the_day_at_midnight_utc_or_at_local_midnight(
    value: str, day: Any, zone: Any, company: list[str | None]
) -> None:
    array, misfits = decode([*company, value], column("date"), zone)
    assert array[len(company)].as_py() == (None if day is ... else day)
    assert misfits.get(len(company)) == (value if day is ... else None)


PHONE = {"ID": "1", "VALUE_TYPE": "WORK", "VALUE": "+7 495", "TYPE_ID": "PHONE"}
LISTS: list[tuple[str, Any, Any, str | None]] = [
    ("integer", ["1", 2], [1, 2], None),
    ("integer", "7", [7], None),
    ("integer", "42", [42], None),
    ("integer", 7, [7], None),
    ("integer", 0, [0], None),
    ("integer", {"1": "5", "4": "6"}, [5, 6], None),
    ("integer", [None, "", False, [], "3"], [3], None),
    ("integer", ["1", "x"], [1, None], '["1","x"]'),
    ("integer", "x", [None], "x"),
    ("integer", {"a": 1}, [None], '{"a":1}'),
    ("integer", ["0"], [0], None),
    ("employee", ["5", "0"], [5, None], None),
    ("string", ["a", "", "b"], ["a", "b"], None),
    ("string", "abc", ["abc"], None),
    ("string", [["a"], {"b": 1}, 5], ['["a"]', '{"b":1}', "5"], None),
    ("crm_status", ["A", "B"], ["A", "B"], None),
    ("boolean", [True, False, "Y", 0], [True, False, True, False], None),
    ("date", ["2024-08-30", "30.08.2024"], [date(2024, 8, 30)] * 2, None),
    ("file", [{"id": 1}, {"id": 2}], ['{"id":1}', '{"id":2}'], None),
    ("crm_multifield", [PHONE, {**PHONE, "ID": "2"}], [PHONE, {**PHONE, "ID": "2"}], None),
    ("crm_multifield", PHONE, [PHONE], None),
    ("crm_multifield", [{"VALUE": "x"}], [{"ID": None, "VALUE_TYPE": None, "VALUE": "x", "TYPE_ID": None}], None),
    ("crm_multifield", [{**PHONE, "ID": 1}], [PHONE], None),
    ("crm_multifield", ["+7 495"], [None], '["+7 495"]'),
    ("crm_multifield", [{**PHONE, "NEW": "x"}], [PHONE], json.dumps([{**PHONE, "NEW": "x"}], separators=(",", ":"))),
    ("items", [{"ID": "1", "VALUE": "a"}], [{"ID": "1", "VALUE": "a"}], None),
]


@pytest.mark.parametrize(("kind", "value", "items", "misfit"), LISTS)
@pytest.mark.parametrize("beside", [None, "17", ["18"], ["odd"], [[]]], ids=repr)
def test_a_multiple_field_is_a_list_whatever_it_comes_as(
    kind: str, value: Any, items: Any, misfit: str | None, beside: Any
) -> None:
    array, misfits = decode([beside, value], column(kind, many=True), MOSCOW)
    assert (array[1].as_py(), misfits.get(1)) == (items, misfit)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("", None),
        (None, None),
        (False, None),
        ([], None),
        ({}, None),
        (True, "true"),
        (0, "0"),
        (1.5, "1.5"),
        ([[]], "[[]]"),
        ({"a": None}, '{"a":null}'),
        ("  ", "  "),
    ],
)
def test_text_is_kept_and_anything_else_becomes_json(value: Any, text: str | None) -> None:
    assert as_text(value) == text


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.from_regex(r"[-+]?[0-9]{1,12}([.][0-9]{0,12})?([eE][-+]?[0-9]{1,3})?", fullmatch=True)
    | st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)).map(
        lambda one: one.isoformat() + "+03:00"
    )
    | st.dates().map(str)
    | st.sampled_from(["Y", "N", "0", "1", "0x1F", "nan", "inf", "true", "0000-00-00", "24.08.2023 13:19:39"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | st.just("7"), inner, max_size=4),
    max_leaves=8,
)


def is_empty(value: Any) -> bool:
    """Emptiness as the type rules define it, nested in lists as well."""
    if isinstance(value, list):
        return all(is_empty(item) for item in value)
    if isinstance(value, dict) and value and all(key.isdigit() for key in value):
        return all(is_empty(item) for item in value.values())
    return value is None or value is False or value in ("", {})


def is_zero(value: Any) -> bool:
    try:
        return float(value) == 0
    except (TypeError, ValueError):
        return False


@given(st.lists(JSON, min_size=1, max_size=5), st.sampled_from(KINDS), st.booleans())
def test_no_value_raises_and_none_is_lost(values: list[Any], kind: str, many: bool) -> None:
    one = column(kind, many=many)
    array, misfits = decode(values, one, NEW_YORK)
    assert (len(array), array.type) == (len(values), one.type)
    for place, value in enumerate(values):
        landed = array[place].is_valid
        kept = misfits.get(place)
        assert kept is None or kept == as_text(value) or (value is False and kept == "false")
        assert landed or kept is not None or is_empty(value) or (kind in LINKS and is_zero(value))


@given(st.lists(JSON, min_size=1, max_size=5), st.sampled_from(KINDS), st.booleans())
def test_what_lands_does_not_depend_on_the_values_beside_it(values: list[Any], kind: str, many: bool) -> None:
    one = column(kind, many=many)
    together, misfits = decode(values, one, MOSCOW)
    for place, value in enumerate(values):
        alone, misfit = decode([value], one, MOSCOW)
        assert alone[0] == together[place] or not (alone[0].is_valid or together[place].is_valid)
        assert misfit.get(0) == misfits.get(place)


@given(st.integers(-(2**63), 2**63 - 1), st.booleans())
def test_every_integer_lands_exactly(number: int, as_text_: bool) -> None:
    assert read(str(number) if as_text_ else number, column("integer")) == (number, None)


@given(st.decimals(-(10**28), 10**28, places=9))
def test_every_sum_lands_exactly(number: Decimal) -> None:
    assert read(f"{number:f}", column("double", name="PRICE")) == (number, None)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_lands_exactly(number: float) -> None:
    assert read(number, column("double")) == read(repr(number), column("double")) == (number, None)


@given(st.dates(min_value=date(1, 1, 3), max_value=date(9999, 12, 29)), st.integers(-14 * 4, 14 * 4))
def test_midnight_utc_printed_in_any_zone_is_that_day(day: date, quarters: int) -> None:
    zone = timezone(timedelta(minutes=15 * quarters))
    shown = datetime(day.year, day.month, day.day, tzinfo=UTC).astimezone(zone)
    if shown.hour or shown.minute or not quarters:
        assert read(shown.isoformat(), column("date")) == (day, None)

"""Commands of a batch come out of PHP's own reading as they went in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24lake.portal.phpquery import command, encode, reference
from php_query import parse_query

# a bracket in a name cannot be said in this notation, and PHP mangles dots and spaces of top-level names only
NAMES = st.text(st.characters(exclude_characters="[]\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
TOP = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,7}", fullmatch=True)
SCALARS = st.text(st.characters(exclude_categories=["Cs"])) | st.integers() | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, min_size=1, max_size=4) | st.dictionaries(NAMES, inner, min_size=1, max_size=4),
    max_leaves=12,
)


def as_php_sees_it(value: Any) -> Any:
    """Everything is text or an array on arrival."""
    if isinstance(value, dict):
        return {name: as_php_sees_it(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return {str(index): as_php_sees_it(inner) for index, inner in enumerate(value)}
    if isinstance(value, bool):
        return str(int(value))
    return "" if value is None else str(value)


@given(st.dictionaries(TOP, VALUES, max_size=5))
def test_parameters_survive_the_way_to_php(params: dict[str, Any]) -> None:
    assert parse_query(encode(params)) == as_php_sees_it(params)


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({}, ""),
        ({"start": -1}, "start=-1"),
        ({"a": {}, "b": [], "c": 1}, "c=1"),
        ({"filter": {">=DATE": "2026-01-31T22:00:00+03:00"}}, "filter[%3E%3DDATE]=2026-01-31T22%3A00%3A00%2B03%3A00"),
        ({"select": ["*", "UF_*"]}, "select[]=%2A&select[]=UF_%2A"),
        ({"x": "a&b=c#d e%f"}, "x=a%26b%3Dc%23d%20e%25f"),
        ({"a&b=c": 1}, "a%26b%3Dc=1"),
        ({"x": [{"y": 1}, {"y": [2, 3]}]}, "x[0][y]=1&x[1][y][]=2&x[1][y][]=3"),
        ({"flags": [True, False, None]}, "flags[]=1&flags[]=0&flags[]="),
        ({"name": "Ёлка"}, "name=%D0%81%D0%BB%D0%BA%D0%B0"),
    ],
)
def test_each_special_character_is_encoded_where_it_would_mean_something(params: dict[str, Any], query: str) -> None:
    assert encode(params) == query
    assert parse_query(query) == {name: value for name, value in as_php_sees_it(params).items() if value != {}}


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        (reference("c0"), "$result[c0]"),
        (reference("c0", 49, "ID"), "$result[c0][49][ID]"),
        (reference("c0", "items", 49, "id"), "$result[c0][items][49][id]"),
    ],
)
def test_references_stay_unencoded(ref: str, text: str) -> None:
    assert encode({"filter": {">ID": ref}}) == f"filter[%3EID]={text}"


def test_text_that_only_looks_like_a_reference_is_encoded() -> None:
    assert encode({"x": "$result[c0]"}) == "x=%24result%5Bc0%5D"


@pytest.mark.parametrize(
    ("params", "entry"), [({}, "profile"), ({"id": 5}, "profile?id=5"), ({"select": []}, "profile")]
)
def test_a_command_is_method_question_mark_parameters(params: dict[str, Any], entry: str) -> None:
    assert command("profile", params) == entry

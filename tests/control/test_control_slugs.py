"""Ids from names: whatever people type becomes one that is short, plain and free."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24lake.control.slugs import LONGEST, checked_slug, free_slug, slug
from b24lake.errors import UsageError

NAMES = st.one_of(st.text(max_size=200), st.from_regex(r"[\w \-./&ßäöłıİ]{1,80}", fullmatch=True))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Sales CRM", "sales-crm"),
        ("  Vertrieb & Straße  ", "vertrieb-strasse"),
        ("São Paulo / Łódź", "sao-paulo-lodz"),
        ("Отдел продаж №1", "otdel-prodazh-no1"),
        ("ЙОД", "yod"),
        ("東京", "source"),
        ("", "source"),
        ("---", "source"),
        ("a" * 100, "a" * LONGEST),
    ],
)
def test_names_become_ids(name: str, expected: str) -> None:
    assert slug(name) == expected


@given(NAMES)
def test_every_name_becomes_an_id_that_is_allowed_and_stays_itself(name: str) -> None:
    found = slug(name)
    assert checked_slug(found) == found
    assert slug(found) == found
    assert re.fullmatch(r"[a-z0-9-]+", found)


@given(st.lists(NAMES, max_size=12))
def test_ids_never_clash(names: list[str]) -> None:
    taken: list[str] = []
    for name in names:
        taken.append(checked_slug(free_slug(name, taken)))
    assert len(set(taken)) == len(taken)


@pytest.mark.parametrize("text", ["", "Sales", "a--b", "-a", "a-", "a_b", "a.b", "a/b", "ä", "a" * 49, "a\n"])
def test_what_cannot_be_an_id_is_refused_with_one_that_can(text: str) -> None:
    with pytest.raises(UsageError, match="take '"):
        checked_slug(text)

"""Errors in Portuguese: recognised by their patterns, said again with the same values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_site import Web, words

from b24lake.control.schedules import schedule
from b24lake.errors import UsageError
from b24lake.web.language import language
from b24lake.web.wording import Wording, patterns

SAYS = {
    "There is no zone {}": "Não há fuso {}",
    "it has {} parts of {}": "tem {} partes de {}",
    "{}": "?",
    "{}, {}": "?",
}
PORTUGUESE = Wording(SAYS, lambda text: {"Next": "Avançar"}.get(text, text))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("There is no zone 'Nowhere'", "Não há fuso 'Nowhere'"),
        ("There is no zone {}", "Não há fuso {}"),
        ("There is no zone a\nb", "Não há fuso a\nb"),
        ("it has 3 parts of 5", "tem 3 partes de 5"),
        ("There is no zone Next", "Não há fuso Avançar"),
        ("Next", "Avançar"),
        ("a, b", "a, b"),
        ("", ""),
        ("Something else", "Something else"),
    ],
)
def test_what_is_told(text: str, told: str) -> None:
    assert PORTUGUESE.told(text) == told


@given(st.text())
def test_any_text_is_told_somehow(text: str) -> None:
    for known in (PORTUGUESE, language("pt_BR").wording, language("en").wording):
        assert isinstance(known.told(text) + known.sentence(text), str)
    assert language("en").wording.told(text) == text


def test_patterns_of_values_alone_are_none() -> None:
    assert patterns(SAYS) == ["There is no zone {}", "it has {} parts of {}"]


def test_an_error_of_a_service_is_said_in_portuguese() -> None:
    with pytest.raises(UsageError) as raised:
        schedule({"times": ["06:00"], "zone": "Europe/Berln"})
    error, told = raised.value, language("pt_BR").wording.told
    assert "Europe/Berln" in told(error.what)
    assert all(told(part) != part for part in (error.what, error.why))


def test_a_form_says_what_is_wrong_in_portuguese(web: Web) -> None:
    web.client.cookies.set("language", "pt_BR")
    said = words(web.post("/sources/new/bitrix24", {"webhook": "nothing", "threshold": "-5"}).text)
    assert "threshold cannot be" not in said


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (
            "There is no zone X. Why: it has 3 parts of 5. Fix: Next.",
            "Não há fuso X. Why: tem 3 partes de 5. What to do: Avançar.",
        ),
        ("There is no zone X. Fix: Next.", "Não há fuso X. What to do: Avançar."),
        ("There is no zone X.", "Não há fuso X."),
        ("Something else", "Something else"),
    ],
)
def test_an_error_that_was_kept_as_one_text_is_said_part_by_part(kept: str, said: str) -> None:
    assert PORTUGUESE.sentence(kept) == said

"""The languages of the screens: every text is translated, with the same places for values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from scripts import texts

from b24lake.web.language import LANGUAGES, LOCALES, chosen

PLACES = re.compile(r"%\(\w+\)[sd]|%[sd%]|\{\w*\}")
CATALOGUES = dict(texts.catalogues())


def test_every_language_has_a_catalogue() -> None:
    found = {path.relative_to(LOCALES).parts[0] for path in CATALOGUES}
    assert found == set(LANGUAGES) - {"en"}


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_every_text_is_translated(path: Path) -> None:
    catalogue = CATALOGUES[path]
    said = {message.id for message in texts.texts() if message.id}
    assert said == {message.id for message in catalogue if message.id}, "run `make texts`"
    empty = [message.id for message in catalogue if message.id and not texts.all_of(message.string)]
    assert empty == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_translations_have_the_same_places_for_values(path: Path) -> None:
    for source, translation in _pairs(CATALOGUES[path]):
        assert sorted(PLACES.findall(source)) == sorted(PLACES.findall(translation)), source


def _pairs(catalogue: Catalog) -> list[tuple[str, str]]:
    pairs = []
    for message in catalogue:
        if isinstance(message.id, str) and message.id:
            pairs.append((message.id, str(message.string)))
        elif message.id:
            pairs += [(message.id[-1], str(one)) for one in message.string if "%(" in str(one)]
    return pairs


@pytest.mark.parametrize(
    ("cookie", "accepted", "code"),
    [
        (None, "", "en"),
        (None, "pt-BR,pt;q=0.9", "pt_BR"),
        (None, "pt", "pt_BR"),
        (None, "de, fr;q=0.5", "en"),
        (None, "en;q=0.1, pt;q=0.8", "pt_BR"),
        ("en", "pt-BR", "en"),
        ("xx", "pt-BR", "pt_BR"),
        (None, "pt;q=x, en", "en"),
    ],
)
def test_the_language_of_a_viewer(cookie: str | None, accepted: str, code: str) -> None:
    assert chosen(cookie, accepted) == code

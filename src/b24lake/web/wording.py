"""Errors in the viewer's language: the services say them in English, each made by a pattern with places for values.

A catalogue holds the patterns as texts with `{}` for each value: "There is no zone {}". What an error says is found by
them, and said again by the translation with the same values in the same order. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

PLACE = "{}"
LEAST = 6  # letters that a pattern has beside its values; fewer would be found anywhere
DEEPEST = 3  # an error may quote another one
_WHOLE = re.compile(r"(.+?)(?:\. Why: (.+?))?(?:\. Fix: (.+?))?\.", re.DOTALL)


class Wording:
    """How one language says what the services say in English; `texts` are those of its catalogue."""

    def __init__(self, texts: Mapping[str, str], say: Callable[[str], str]) -> None:
        self._texts, self._say = texts, say

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        """The most telling first."""
        found = sorted(patterns(self._texts), key=lambda text: -len(text))
        return [(_expression(text), self._texts[text]) for text in found]

    def told(self, text: str, depth: int = DEEPEST) -> str:
        """A text of an error in this language; as it is where no pattern fits."""
        exact = self._say(text) if text else ""
        if exact != text or not depth:
            return exact
        for pattern, translation in self._patterns:
            match = pattern.fullmatch(text)
            if match:
                return _filled(translation, [self.told(value, depth - 1) for value in match.groups()])
        return text

    def sentence(self, text: str) -> str:
        """An error that was kept as one text, as `str(error)` says it: each of its parts in this language."""
        parts = _WHOLE.fullmatch(text)
        if not parts:
            return self.told(text)
        what, why, fix = (self.told(part or "") for part in parts.groups())
        said = [what, f"{self._say('Why')}: {why}" if why else "", f"{self._say('What to do')}: {fix}" if fix else ""]
        return ". ".join(filter(None, said)) + "."


def patterns(texts: Iterable[str]) -> list[str]:
    """The texts with places by which others can be recognised.

    >>> patterns(["{}: {}", "There is no zone {}", "Zone"])
    ['There is no zone {}']
    """
    return [text for text in texts if PLACE in text and sum(letter.isalpha() for letter in text) >= LEAST]


def _expression(text: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(map(re.escape, text.split(PLACE))), re.DOTALL)


def _filled(translation: str, values: list[str]) -> str:
    first, *rest = translation.split(PLACE)
    return first + "".join(value + part for value, part in zip(values, rest, strict=False))

"""Where in its SQL an error lies: what it names is looked for in the text, for the engine does not tell (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import sqlglot
from sqlglot import Token, TokenType
from sqlglot.errors import SqlglotError

from b24lake.errors import SqlError, UsageError
from b24lake.lake.statement import DIALECT

Place = tuple[int, int]
"""The offsets of the first sign and after the last one."""
_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


def pointed(sql: str, error: UsageError) -> Place | None:
    """Where in `sql` the error lies; None where that cannot be told."""
    if isinstance(error, SqlError) and error.at:
        return error.at
    try:
        tokens = sqlglot.tokenize(sql, read=DIALECT)
    except (SqlglotError, RecursionError):
        return None
    said = f"{error.what}\n{error.why}"
    for pattern, found in _LOOKED_FOR:
        match = pattern.search(said)
        if match and (place := found(tokens, match)):
            return place
    return None


def _named(tokens: Sequence[Token], match: re.Match[str]) -> Place | None:
    """The first place of a name: of all its parts, or of the last ones, for the engine may add table and layer."""
    parts = [quoted.replace('""', '"') or plain for quoted, plain in _PART.findall(match[1])]
    while parts:
        if place := _sequence(tokens, parts):
            return place
        parts = parts[1:]
    return None


def _sequence(tokens: Sequence[Token], parts: Sequence[str]) -> Place | None:
    """The first place of these words with dots between them."""
    texts = [word for part in parts for word in (".", part)][1:]
    for number, token in enumerate(tokens):
        run = tokens[number : number + len(texts)]
        named = all(each.token_type is not TokenType.STRING for each in run)
        if named and [each.text for each in run] == texts:
            return (token.start, run[-1].end + 1)
    return None


def _called(tokens: Sequence[Token], match: re.Match[str]) -> Place | None:
    """The first call of a function."""
    for token, after in pairwise(tokens):
        if after.text == "(" and token.text.casefold() == match[1].casefold():
            return (token.start, token.end + 1)
    return None


def _literal(tokens: Sequence[Token], match: re.Match[str]) -> Place | None:
    """The first text that says so."""
    texts = (each for each in tokens if each.token_type is TokenType.STRING and each.text == match[1])
    return next(((each.start, each.end + 1) for each in texts), None)


def _at(tokens: Sequence[Token], match: re.Match[str]) -> Place | None:
    """The token at a line and column that the engine's own parser tells."""
    line, column = int(match[1]), int(match[2])
    for token in tokens:
        begins = token.col - (token.end - token.start)  # sqlglot counts to the last sign
        if token.line == line and begins <= column <= token.col:
            return (token.start, token.end + 1)
    return None


def _first(tokens: Sequence[Token], _: re.Match[str]) -> Place | None:
    return (tokens[0].start, tokens[0].end + 1) if tokens else None


def _after_semicolon(tokens: Sequence[Token], _: re.Match[str]) -> Place | None:
    """From the second statement on."""
    ends = next((number for number, each in enumerate(tokens) if each.text == ";"), len(tokens))
    return (tokens[ends + 1].start, tokens[-1].end + 1) if ends + 1 < len(tokens) else None


# What an error says, and how the place of what it names is found. The first that finds one counts.
_LOOKED_FOR: tuple[tuple[re.Pattern[str], Callable[[Sequence[Token], re.Match[str]], Place | None]], ...] = tuple(
    (re.compile(pattern), found)
    for pattern, found in (
        (r"at Line: (\d+), Column: (\d+)", _at),
        (r"^Several statements", _after_semicolon),
        (r"this begins with '", _first),
        (r"No field named (.+?)\.(?:\s|$)", _named),
        (r"Ambiguous reference to (?:un)?qualified field (\S+)", _named),
        (r"column \"([^\"]+)\" must appear", _named),
        (r"non-boolean predicate '([^']+)'", _named),
        (r"There is no table '(.+)' (?:in|that may)", _named),
        (r"^'(.+)' is not a table of the lake", _named),
        (r"There is no version \S+ of (\S+)", _named),
        (r"The log of (\S+) does not go back", _named),
        (r"The (?:view|table) (\S+) has no (?:versions|readable view)", _named),
        (r"Invalid function '(\w+)'", _called),
        (r"The function '(\w+)'", _called),
        (r"Function '(\w+)' failed", _called),
        (r"Unsupported SQL type (\w+)", _named),
        (r"(?:Cannot cast string|timestamp from|date_trunc granularity:) '([^']*)'", _literal),
    )
)

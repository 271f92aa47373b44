"""SQL taken apart before the engine sees it: is it one statement that only reads, which tables, as of when (pure).

The engine can write files (`COPY`), change its settings and open files by name. What reaches it is one SELECT over
tables of the lake, made of the very tokens that were parsed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sqlglot
from sqlglot import Token, TokenType, exp
from sqlglot.errors import ParseError, SqlglotError

from b24lake.errors import SqlError, UsageError
from b24lake.lake.columns import quoted

DIALECT = "postgres"
"""The SQL that the engine's own is nearest to."""
_EXPLAIN = re.compile(r"\s*EXPLAIN(\s+ANALYZE)?(\s+VERBOSE)?\s+", re.IGNORECASE)
_NO_END = re.compile(r"Missing (\S+) from \d+:(\d+)")
_WRITING = (exp.Into, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Copy, exp.Command)
_FUNCTIONS = {"exploding_generate_series", "generate_series", "range", "unnest"}
"""Functions that may stand where a table stands: they read nothing but their arguments."""


@dataclass(frozen=True, order=True)
class Source:
    """A table that a statement reads; `at` is the version or time as of which it does, "" = now."""

    layer: str
    name: str
    at: str = ""

    @property
    def sql_name(self) -> str:
        """As people call it: `layer.table`."""
        return f"{self.layer}.{self.name}"

    @property
    def schema(self) -> str:
        """The engine's schema of it: tables of another time stand in one of their own, under their own names."""
        return f"{self.layer} AS OF {self.at}" if self.at else self.layer


@dataclass(frozen=True)
class Statement:
    """What the engine gets.

    sql      without comments, and without AS OF: the tables' schemas say it
    columns  the names that it may ask for, those of tables and functions among them; None = all
    """

    sql: str
    sources: frozenset[Source]
    columns: frozenset[str] | None


def parsed(sql: str) -> Statement:
    """Check a statement and take it apart.

    Raises UsageError where it is not exactly one statement that only reads, of tables called `layer.table`.
    """
    explain = _EXPLAIN.match(sql)
    head, body = (explain[0], sql[explain.end() :]) if explain else ("", sql)
    written: list[Token] = []
    read: list[Token] = []
    try:
        written = sqlglot.tokenize(body, read=DIALECT)
        while written and written[-1].text == ";":
            written.pop()
        _check_tokens([token.text.upper() for token in written])
        text = _joined(body, [(token.start, token.end + 1) for token in written])
        read = sqlglot.tokenize(text, read=DIALECT)
        tree = sqlglot.parse_one(text, read=DIALECT)
    except RecursionError:
        raise UsageError(
            "This SQL is nested too deeply",
            why="it has hundreds of parentheses or subqueries in each other",
            fix="write it with fewer levels, for example with WITH",
        ) from None
    except SqlglotError as error:
        raise _not_sql(error, sql, len(head), list(zip(read, written, strict=False))) from error
    if not isinstance(tree, exp.Query) or tree.find(*_WRITING):
        raise _not_reading(f"a part of this {tree.key.upper()} writes")
    edits: list[_Edit] = []
    sources = frozenset(_source(table, read, edits) for table in _tables(tree))
    return Statement(head + _edited(text, edits), sources, _columns(tree))


def _not_sql(error: SqlglotError, sql: str, head: int, tokens: Sequence[tuple[Token, Token]]) -> SqlError:
    """What the parser says of a statement that begins after `head` signs.

    tokens   each as the parser read it, without the comments between them, and as it was written
    """
    fix = "write one SELECT over LAYER.TABLE"
    if re.search(r"\bAS\s+OF\b", sql, re.IGNORECASE):
        fix = "write SELECT … FROM LAYER.TABLE VERSION AS OF 3 AS alias: the alias comes last"
    why, at = str(error).splitlines()[0], None
    if isinstance(error, ParseError) and error.errors:
        found = error.errors[0]
        place = next((each for read, each in tokens if (read.line, read.col) == (found["line"], found["col"])), None)
        why, at = _told(found), (head + place.start, head + place.end + 1) if place else None
    elif match := _NO_END.search(str(error.__cause__)):
        why, at = f"there is no {match[1]} that ends it", (head + int(match[2]), len(sql))
    if at:
        line = sql.count("\n", 0, at[0]) + 1
        why = f"{why}, in line {line}, column {at[0] - sql.rfind(chr(10), 0, at[0])}"
    return SqlError("This is not SQL that can be read", why=why, fix=fix, at=at)


def _told(found: Mapping[str, Any]) -> str:
    """The parser's finding in plain words."""
    said, sign = str(found["description"]), found["highlight"]
    if said.startswith("Required keyword"):
        return f"something is missing at {sign!r}"
    return f"{sign!r} is not expected" if said.startswith("Invalid expression") else said


def _check_tokens(words: list[str]) -> None:
    if ";" in words:
        raise UsageError(
            "Several statements where one is expected",
            why="a query is exactly one statement",
            fix="write one SELECT and no other `;`",
        )
    if next((word for word in words if word != "("), "") not in {"SELECT", "WITH"}:
        raise _not_reading(f"this begins with {words[0]!r}" if words else "this is empty")


def _not_reading(why: str) -> UsageError:
    return UsageError("Only reading is allowed here", why=why, fix="write one SELECT, WITH … SELECT or EXPLAIN SELECT")


def _joined(text: str, spans: list[tuple[int, int]]) -> str:
    """The spans with the white space between them; where there was a comment, a space."""
    pieces = [text[slice(*span)] for span in spans[:1]]
    for (_, end), (start, after) in pairwise(spans):
        between = text[end:start]
        pieces += [" " if between.strip() else between, text[start:after]]
    return "".join(pieces)


def _tables(tree: exp.Query) -> list[exp.Table]:
    """The tables of the lake that a statement reads."""
    with_names = {each.alias for each in tree.find_all(exp.CTE)}
    found = []
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Func):
            _check_function(table.this)
        elif table.db and not table.catalog:
            found.append(table)
            continue
        elif table.catalog or table.name not in with_names:
            raise UsageError(
                f"{table.name!r} is not a table of the lake",
                why="tables are called LAYER.TABLE",
                fix="write for example raw.bitrix24_deals; `b24lake tables` lists what there is",
            )
        if table.args.get("version"):
            raise _not_as_of(f"{table.sql()} is no table of the lake, so it has no versions")
    return found


def _check_function(function: exp.Func) -> None:
    name = function.name if isinstance(function, exp.Anonymous) else function.sql_name().lower()
    if name.casefold() not in _FUNCTIONS:
        raise UsageError(
            f"The function {name!r} is not allowed in FROM",
            why="it may read something else than this lake",
            fix="read tables of the lake",
        )


def _columns(tree: exp.Query) -> frozenset[str] | None:
    """All names in a statement, those of columns among them; None where it asks for columns without their names."""
    star = any(not isinstance(each.parent, exp.Count) for each in tree.find_all(exp.Star))
    natural = any(each.method for each in tree.find_all(exp.Join))
    return None if star or natural else frozenset(each.name for each in tree.find_all(exp.Identifier))


# --- AS OF ------------------------------------------------------------------------------------------------------------

_Edit = tuple[int, int, str]
"""Begin and end of a stretch of text, and what takes its place."""


def _source(table: exp.Table, tokens: Sequence[Token], edits: list[_Edit]) -> Source:
    """The table as a source; where it is one of another time, with the edits that make its name say so."""
    if not table.args.get("version"):
        return Source(table.db, table.name)
    layer, name = table.args["db"].meta, table.this.meta
    following = [token for token in tokens if token.start > name["end"]]
    words = following[1:5] if following[0].text.upper() == "FOR" else following[:4]
    source = Source(table.db, table.name, _moment(words))
    edits += [(layer["start"], layer["end"] + 1, quoted(source.schema)), (name["end"] + 1, words[-1].end + 1, "")]
    return source


def _moment(words: Sequence[Token]) -> str:
    """The 3 in `VERSION AS OF 3`, the time in `TIMESTAMP AS OF '2026-11-20'`."""
    kind, *as_of = (word.text.upper() for word in words[:3])
    said, token_type = words[-1].text, words[-1].token_type
    if as_of == ["AS", "OF"] and token_type in {TokenType.NUMBER, TokenType.STRING}:
        if kind == "VERSION" and said.isascii() and said.isdigit():
            return said
        if kind in {"TIMESTAMP", "SYSTEM_TIME"} and not said.isdigit():
            return said
    raise _not_as_of("it is neither VERSION AS OF with a number nor TIMESTAMP AS OF with a time in quotes")


def _not_as_of(why: str) -> UsageError:
    return UsageError(
        "This is not a version of a table",
        why=why,
        fix="write LAYER.TABLE VERSION AS OF 3, or LAYER.TABLE TIMESTAMP AS OF '2026-11-20 12:00', then the alias",
    )


def _edited(text: str, edits: list[_Edit]) -> str:
    for start, end, instead in sorted(edits, reverse=True):
        text = text[:start] + instead + text[end:]
    return text

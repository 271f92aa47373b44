"""PHP's reading of a query string, written from php.net's description of parse_str and on its own."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus

_NAME = re.compile(r"^([^\[]*)((?:\[[^\]]*\])*)$")
_STEP = re.compile(r"\[([^\]]*)\]")


def parse_query(query: str) -> dict[str, Any]:
    """`a=1&b[x]=2&c[]=3` -> {"a": "1", "b": {"x": "2"}, "c": {"0": "3"}}: arrays are ordered maps with text keys."""
    parsed: dict[str, Any] = {}
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            _put(parsed, unquote_plus(name), unquote_plus(value))
    return parsed


def _put(into: dict[str, Any], name: str, value: str) -> None:
    found = _NAME.match(name)
    assert found, f"PHP would mangle the name {name!r}"
    steps = [found[1], *_STEP.findall(found[2])]
    for step in steps[:-1]:
        into = into.setdefault(_key(into, step), {})
    into[_key(into, steps[-1])] = value


def _key(into: dict[str, Any], step: str) -> str:
    """The empty brackets of `name[]` append."""
    return step or str(1 + max((int(key) for key in into if key.isdigit()), default=-1))

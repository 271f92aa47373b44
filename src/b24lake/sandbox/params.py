"""Parameters of a call: PHP's query strings, forms, multipart and JSON, all to nested dicts and lists.

Source: settings/how-to-call-rest-api/general-principles.md and data-encoding.md. Nesting is as in PHP's parse_str.
"""

import re
from email import message_from_bytes
from email.message import Message
from typing import Any, TypeAlias
from urllib.parse import unquote_plus

import orjson

Params: TypeAlias = dict[str, Any]

_BRACKET = re.compile(r"\[([^\]]*)\]")
_PHP_NAME = re.compile(r"[ .\[]")


def parse_query(text: str) -> Params:
    """A query string or form body -> nested parameters.

    >>> parse_query("filter[%3EID]=5&select[]=ID&select[]=UF_*")
    {'filter': {'>ID': '5'}, 'select': ['ID', 'UF_*']}

    As in PHP a pair is split at its first "=", so a raw `filter[>=ID]=5` is not a filter: encode the name's "=".
    """
    return from_pairs([_pair(piece) for piece in text.split("&") if piece])


def from_pairs(pairs: list[tuple[str, Any]]) -> Params:
    """Decoded (name, value) pairs with bracketed names -> nested parameters."""
    tree: Params = {}
    for name, value in pairs:
        _put(tree, _path(name), value)
    return {key: _listed(value) for key, value in tree.items()}


def parse_body(body: bytes, content_type: str) -> Params:
    """A POST body by its content type. JSON that does not parse loses all parameters, without an error."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or (not kind and body[:1] == b"{"):
        return _json(body)
    if kind == "multipart/form-data":
        return _multipart(body, content_type)
    return parse_query(body.decode("utf-8", "replace"))


def get(params: Params, name: str) -> Any:
    """A parameter spelt lower-case, UPPER-CASE or Capitalised; None where it is missing."""
    for spelling in (name.lower(), name.upper(), name.capitalize()):
        if spelling in params:
            return params[spelling]
    return None


def items(value: Any) -> list[tuple[str, Any]]:
    """A PHP array as (key, value) pairs: lists have the keys 0, 1, 2 ..."""
    if isinstance(value, dict):
        return [(str(key), each) for key, each in value.items()]
    if isinstance(value, list):
        return [(str(key), each) for key, each in enumerate(value)]
    return []


def to_int(value: Any) -> int:
    """PHP's (int): leading digits of a text or 0; an array is 1, an empty one 0."""
    if isinstance(value, (list, dict)):
        return int(bool(value))
    if isinstance(value, (bool, int, float)):
        return int(value)
    found = re.match(r"\s*([+-]?\d+)", str(value)) if value is not None else None
    return int(found[1]) if found else 0


def _pair(piece: str) -> tuple[str, str]:
    name, _, value = piece.partition("=")
    return unquote_plus(name), unquote_plus(value)


def _path(name: str) -> list[str]:
    """`a[b][]` -> ["a", "b", ""]; a bracket that never closes is part of the name, as an underscore."""
    head, opened, rest = name.partition("[")
    if not opened or "]" not in rest:
        return [_PHP_NAME.sub("_", name)]
    keys = _BRACKET.findall(opened + rest)
    return [_PHP_NAME.sub("_", head), *keys]


def _put(tree: Params, path: list[str], value: Any) -> None:
    for depth, key in enumerate(path):
        if key == "" and depth:
            key = str(1 + max((int(k) for k in tree if k.isdigit()), default=-1))
        if depth == len(path) - 1:
            tree[key] = value
            return
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]


def _listed(value: Any) -> Any:
    """Dicts with the keys 0..n in order are lists, as everywhere in PHP."""
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(each) for key, each in value.items()}
    if inner and list(inner) == [str(n) for n in range(len(inner))]:
        return list(inner.values())
    return inner


def _json(body: bytes) -> Params:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _multipart(body: bytes, content_type: str) -> Params:
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    pairs = []
    for part in message.get_payload() if message.is_multipart() else []:
        assert isinstance(part, Message)
        content = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str) and isinstance(content, bytes):
            pairs.append((name, content.decode("utf-8", "replace")))
    return from_pairs(pairs)

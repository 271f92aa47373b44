"""PHP query strings, the form in which `batch` carries its commands, and `$result[...]` references.

Source: settings/how-to-call-rest-api/batch.md and data-encoding.md of the vendor's docs: inside a command, values are
percent-encoded (a "+" in a time zone offset would become a space), lists are `key[]=`, objects `key[name]=`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote


class Reference(str):
    """A value that the portal takes from an earlier command of the same batch; it stays unencoded."""

    __slots__ = ()


def reference(command: str, *path: str | int) -> Reference:
    """What an earlier command answered, at `path` inside its result.

    >>> reference("c0", 49, "ID")
    '$result[c0][49][ID]'
    """
    return Reference("$result" + "".join(f"[{step}]" for step in (command, *path)))


def encode(params: Mapping[str, Any]) -> str:
    """One command's parameters as a PHP query string. True and False become 1 and 0; None is an empty text.

    Names are encoded as well: a raw "=" in `filter[>=ID]` would end the name there.

    >>> encode({"order": {"ID": "ASC"}, "filter": {">=ID": 5}, "select": ["*", "UF_*"], "start": -1})
    'order[ID]=ASC&filter[%3E%3DID]=5&select[]=%2A&select[]=UF_%2A&start=-1'
    """
    return "&".join(f"{name}={_value(value)}" for name, value in _pairs(params))


def command(method: str, params: Mapping[str, Any]) -> str:
    """One entry of `cmd`: method, question mark, parameters."""
    query = encode(params)
    return f"{method}?{query}" if query else method


def _pairs(params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in params.items():
        yield from _flat(quote(str(name), safe=""), value)


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}[{quote(str(key), safe='')}]", inner)
    elif isinstance(value, list | tuple):
        scalars = not any(isinstance(item, Mapping | list | tuple) for item in value)
        for index, item in enumerate(value):
            yield from _flat(f"{name}[]" if scalars else f"{name}[{index}]", item)
    else:
        yield name, value


def _value(value: Any) -> str:
    if isinstance(value, Reference):
        return str(value)
    if isinstance(value, bool):
        return str(int(value))
    return "" if value is None else quote(str(value), safe="")

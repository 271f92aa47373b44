"""Answers on their way out: results, the `time` object and the envelope, as bytes.

Source: settings/how-to-call-rest-api/general-principles.md, settings/performance/limits.md (operating).
"""

from dataclasses import dataclass
from typing import Any

import orjson

from b24lake.sandbox.errors import ApiError


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows already rendered: JSON objects as bytes, and the key under which they are wrapped ("" = not wrapped)."""

    rendered: list[bytes]
    under: str = ""

    def json(self) -> bytes:
        """The JSON text of the whole result."""
        listed = b"[" + b",".join(self.rendered) + b"]"
        return b'{"' + self.under.encode() + b'":' + listed + b"}" if self.under else listed


@dataclass(frozen=True, slots=True)
class Ready:
    """A result that is JSON text already, in pieces: the 9 MB of a batch are joined once, with the envelope."""

    pieces: list[bytes]

    def json(self) -> bytes:
        """The JSON text of the whole result."""
        return b"".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a method gives back. `total` and `next` are None where the envelope has no such key.

    rows   how many rows a page at hand as dicts has; None where it is no such page
    """

    result: Any
    total: int | None = None
    next: int | None = None
    rows: int | None = None

    def json(self) -> bytes:
        """The JSON text of `result`."""
        return self.result.json() if isinstance(self.result, (Rows, Ready)) else orjson.dumps(self.result)


def resolve(reply: Reply, path: list[str]) -> Any:
    """The deepest value that exists along `path` within a reply's result.

    Only the one row that is asked for is decoded: a chain of 50 pages must not decode 2,500 rows.
    """
    result = reply.result
    if isinstance(result, Rows):
        rest = path[1:] if result.under and path[:1] == [result.under] else path
        if bool(result.under) == (rest is not path) and rest and _row_number(rest[0], len(result.rendered)):
            return _walk(orjson.loads(result.rendered[int(rest[0])]), rest[1:])
        result = orjson.loads(result.json())
    return _walk(result, path)


def _row_number(key: str, count: int) -> bool:
    return key.isdigit() and int(key) < count


def _walk(value: Any, path: list[str]) -> Any:
    for key in path:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and _row_number(key, len(value)):
            value = value[int(key)]
        else:
            break
    return value


def envelope(reply: Reply, time: dict[str, Any]) -> bytes:
    """A success: result, next and total where present, time."""
    parts = [b'{"result":', *(reply.result.pieces if isinstance(reply.result, Ready) else [reply.json()])]
    if reply.next is not None:
        parts.append(b',"next":%d' % reply.next)
    if reply.total is not None:
        parts.append(b',"total":%d' % reply.total)
    parts += [b',"time":', orjson.dumps(time), b"}"]
    return b"".join(parts)


def refusal(error: ApiError) -> bytes:
    """A failure: `error` and `error_description`, without `time`."""
    return orjson.dumps(error.body())


def section(entries: dict[str, bytes]) -> list[bytes]:
    """One of the five parts of a batch answer, as PHP writes it: pieces of JSON text.

    Empty is `[]`; keys 0..n in order make a list; all else is an object.
    """
    listed = list(entries) == [str(n) for n in range(len(entries))]
    pieces = []
    for key, value in entries.items():
        pieces += [b",", value] if listed else [b",", orjson.dumps(key), b":", value]
    return [b"[" if listed else b"{", *pieces[1:], b"]" if listed else b"}"]

"""Pages of long lists: `limit` at most, and a `cursor` that the page before gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Query

from b24lake.errors import UsageError

Most = Annotated[int, Query(ge=1, le=500, description="How many at most")]
Cursor = Annotated[str | None, Query(max_length=100, description="`next_cursor` of the page before")]


def number_of(cursor: str | None) -> int | None:
    """The id that a cursor holds. Raises UsageError where it is none."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise UsageError("This is not a cursor", fix="take next_cursor of the page before, or leave it out")
    return int(cursor)


def after_last(lines: Sequence[Mapping[str, Any]], limit: int, key: str = "id") -> str | None:
    """The cursor of the next page, which stands under `key` in the last line; None where there is none."""
    return str(lines[-1][key]) if len(lines) == limit else None

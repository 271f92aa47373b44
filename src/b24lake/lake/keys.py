"""The keys of two versions of a table compared, and what a full read may take away (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from b24lake.errors import StreamError

Policy = Literal["remove", "mark", "keep"]


@dataclass(frozen=True)
class Deletions:
    """What a full read does with rows that are gone at the source.

    policy        remove them, mark them (`_deleted_at` = `at`) or keep them as they are
    accept        go on even if a suspicious number would go
    guard_share   share of the rows of a table of over 1,000 rows that may go without `accept`
    at            the time to mark with, in UTC; now if None
    because       why so many rows may be gone, for the error that stops the read
    """

    policy: Policy = "remove"
    accept: bool = False
    guard_share: float = 0.5
    at: datetime | None = None
    because: str = "so many rows rarely go at once; rights or filters of the webhook may have changed"

    def check(self, gone: int, before: int) -> None:
        """Raises StreamError where `gone` of `before` rows are too many to believe; nothing was written then."""
        many = before > 1_000 and gone > before * self.guard_share
        everything = before > 20 and gone == before
        if self.policy != "keep" and not self.accept and (many or everything):
            raise StreamError(
                f"This read would delete {gone:,} of {before:,} rows",
                why=self.because,
                fix="if they are to go, run again with --accept-deletions",
            )


@dataclass(frozen=True)
class Difference:
    """Old and new keys compared; masks run along the old keys.

    before     old rows, without those marked as deleted
    inserted   new keys that none of them had
    deleted    how many of them are gone
    gone       which of them are gone
    missing    all old rows whose key is no longer there, the marked ones too
    keys, live the old keys themselves, and which of them are not marked
    """

    before: int
    inserted: int
    deleted: int
    gone: pa.ChunkedArray
    missing: pa.ChunkedArray
    keys: pa.ChunkedArray
    live: pa.ChunkedArray


def compare(old: pa.ChunkedArray, live: pa.ChunkedArray, new: pa.ChunkedArray) -> Difference:
    """Compare keys; `live` is false for old rows that are marked as deleted. All keys are distinct and not null."""
    keys = old
    if old.type != new.type:
        old, new = old.cast(pa.string()), new.cast(pa.string())
    found = pc.is_in(old, value_set=new)
    missing = pc.invert(found)
    gone = pc.and_(missing, live)
    before, deleted = _count(live), _count(gone)
    return Difference(before, len(new) - (before - deleted), deleted, gone, missing, keys, live)


def _count(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask).as_py() or 0)


def check_keys(keys: pa.ChunkedArray, name: str, *, unique: bool) -> int:
    """The number of distinct keys. Raises StreamError for a null key, and for a repeated one where `unique`."""
    if keys.null_count:
        raise StreamError(
            f"{keys.null_count:,} rows have no key",
            why=f"column {name!r} is empty or does not parse in them",
            fix="report the stream with one such row: its key column must be another one",
        )
    # Sorted neighbours: quicker than a hash table of millions of keys, and a third of its memory.
    in_order = keys.take(pc.sort_indices(keys))
    repeated = pc.equal(in_order[1:], in_order[:-1])
    repeats = _count(repeated)
    if unique and repeats:
        raise StreamError(
            f"{repeats:,} rows repeat a key that was read before",
            why=f"for example {name} = {in_order[1:].filter(repeated)[0]}; a full read must bring every record once",
            fix="run the stream again; if it happens again, report the stream",
        )
    return len(keys) - repeats

"""Reads that were cut off, and whether another run may go on with one of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from b24lake.lake.files import known_files, open_table, storage_errors
from b24lake.lake.held import Held, held
from b24lake.lake.parts import READ, Part, sound_parts
from b24lake.lake.place import Place
from b24lake.lake.staging import columns_of
from b24lake.lake.sweeping import run_folders

KEPT = timedelta(hours=24)
"""An older read is begun anew."""


@dataclass(frozen=True)
class Unfinished:
    """What a read that did not reach its commit has left.

    facts     what it was about; empty where nobody may go on with it
    parts     finished parts; `held` are the batches that are in none of them
    """

    run_id: str
    parts: tuple[Part, ...]
    held: tuple[Held, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows on disk."""
        return sum(part.rows for part in self.parts) + sum(batch.count for batch in self.held)

    @property
    def closed(self) -> tuple[tuple[int, int], ...]:
        """Stretches of ids (after, upto] of which every row is on disk, rising, as few as possible."""
        batches: list[Part | Held] = [*self.parts, *self.held]
        return joined(one for batch in batches for one in batch.closed)

    @property
    def began(self) -> datetime:
        """When its first rows came, by this machine's clock; long ago where nobody knows."""
        try:
            return datetime.fromisoformat(self.facts["began"])
        except (KeyError, ValueError):
            return datetime.fromtimestamp(0, UTC)


def joined(stretches: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same ids in as few stretches (after, upto] as possible, rising.

    >>> joined([(9, 12), (0, 5), (5, 7)])
    ((0, 7), (9, 12))
    """
    merged: list[tuple[int, int]] = []
    for after, upto in sorted(stretches):
        if merged and after <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(upto, merged[-1][1]))
        else:
            merged.append((after, upto))
    return tuple(merged)


def unfinished(path: Place) -> dict[str, Unfinished]:
    """Every read of this table that has not been tidied up, by run id."""
    with storage_errors(path):
        return {folder.name: _left(path, folder) for folder in run_folders(path)}


def resumable(
    path: Place, facts: Mapping[str, str], schema: pa.Schema, now: datetime, *, within: timedelta = KEPT
) -> Unfinished | None:
    """The read that a new one about the same `facts` may go on with: the one with the most rows; None = begin anew.

    schema   the columns that are declared now
    within   how long ago it may have begun
    """
    found = [one for one in unfinished(path).values() if _fits(one, facts, schema) and now - one.began <= within]
    found = [one for one in found if one.closed]
    if not found:
        return None
    known = known_files(open_table(path))  # a run that died behind its commit has left parts that belong to the table
    found = [one for one in found if not known.intersection(part.path for part in one.parts)]
    return max(found, key=lambda one: one.rows, default=None)


def dead_before(path: Place, now: datetime) -> datetime | None:
    """A read that wrote nothing since then is dead; None = every one is.

    A table on this machine's disk has a lock, which its caller holds. One in an object store may be written by other
    machines: what they write is spared as long as anybody could go on with it.
    """
    return None if isinstance(path, Path) else now - KEPT


def _fits(one: Unfinished, facts: Mapping[str, str], schema: pa.Schema) -> bool:
    return one.facts.get("columns") == columns_of(schema) and facts.items() <= one.facts.items()


def _left(path: Place, folder: Place) -> Unfinished:
    parts = tuple(sound_parts(path, folder))
    batches = tuple(held(folder, parts[-1].held if parts else 0))
    return Unfinished(folder.name, parts, batches, _facts(folder))


def _facts(folder: Place) -> dict[str, str]:
    try:
        told = json.loads((folder / READ).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in told.items()} if isinstance(told, dict) else {}

"""The finished parts of a read, and the manifest that vouches for them.

LAKE/LAYER/TABLE/_staging/RUN/parts.jsonl   one line per finished part
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from b24lake.lake.files import write_text
from b24lake.lake.place import Place

STAGING = "_staging"
MANIFEST = "parts.jsonl"
READ = "read.json"

_OWNER = re.compile(rf"(?:part-(?P<full>.+)-\d+|{STAGING}/(?P<spool>.+)/\d+)\.parquet")


@dataclass(frozen=True)
class Part:
    """One finished Parquet file.

    path       relative to the table's folder
    rows, size number of rows; bytes
    columns    fingerprint of its schema
    stats      as the Delta protocol wants them: numRecords, minValues, maxValues, nullCount (of a few columns)
    closed     stretches of ids `(after, upto)` of which, with this part, every row is on disk
    at         when it was finished, ISO 8601
    held       number of the last batch in it, of those that were held on disk meanwhile
    """

    path: str
    rows: int
    size: int
    columns: str
    stats: Mapping[str, Any]
    closed: tuple[tuple[int, int], ...]
    at: str
    held: int = 0


def vouch(folder: Place, parts: Sequence[Part]) -> None:
    """Write down that the last of these parts is there; those before it are vouched for already."""
    manifest = folder / MANIFEST
    if not isinstance(manifest, Path):
        vouch_for(folder, parts)
        return
    with manifest.open("a", encoding="utf-8") as file:
        file.write(_line(parts[-1]))
        file.flush()
        os.fsync(file.fileno())


def vouch_for(folder: Place, parts: Iterable[Part]) -> None:
    """Write down that these parts are there, and no others."""
    write_text(folder / MANIFEST, "".join(map(_line, parts)))


def _line(part: Part) -> str:
    return json.dumps(asdict(part)) + "\n"


def owners(parts: Iterable[Part]) -> set[str]:
    """The ids of the runs that wrote these parts."""
    found = (_OWNER.fullmatch(part.path) for part in parts)
    return {name for each in found if each is not None for name in each.groups() if name}


def sound_parts(path: Place, folder: Place) -> Iterator[Part]:
    """The finished parts of a read, up to the first one whose file is missing or cut short.

    Later ones do not count: a stretch that they close may have had rows in the lost one.
    """
    try:
        lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            part = Part(**json.loads(line))
            sound = (path / part.path).stat().st_size == part.size
        except (ValueError, TypeError, OSError):  # the last line of a run that was killed may be half a line
            return
        if not sound:
            return
        yield Part(**{**asdict(part), "closed": tuple((after, upto) for after, upto in part.closed)})

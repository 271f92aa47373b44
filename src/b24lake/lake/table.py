"""One table of the lake: where it lies, whose it is, what it holds, and how far its stream has been read."""

from __future__ import annotations

import hashlib
import re
import tempfile
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from deltalake import DeltaTable, Transaction

from b24lake.errors import StopError, UsageError
from b24lake.lake.evolution import Change
from b24lake.lake.files import inside, open_table, storage_errors
from b24lake.lake.parts import STAGING
from b24lake.lake.place import ObjectPath, Place, probe

MARK = "b24lake."
"""What the names of our table properties and of our entries in commits begin with."""

KEY = "b24lake.key"
"""The table property that names the primary key."""

PLACED = "b24lake.placed"
"""The table property that says that somebody put the table into its folder: runs of its source leave it there."""

ASKED = "b24lake/asked"
"""The application id of the Delta transaction whose version stands for the fingerprint that a table last got."""

_NAME = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]{0,127}")
_OURS = re.compile(rf"_delta_log|{STAGING}|part-[A-Za-z0-9_-]+-\d+\.parquet")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
"""What `s3://bucket` begins with; a `Path` has one slash left of two."""
_UNFIT = set("%#?[]|^\\")
"""Signs that delta-rs takes for a part of a URL: it would write elsewhere, lose the history or crash."""
RESERVED = frozenset(
    word
    for line in (
        "all alter analyze and any array as asc between both by case cast check column constraint create cross",
        "current_date current_time current_timestamp default delete desc describe distinct drop else end except",
        "exists explain false fetch for foreign from full grant group having in inner insert intersect into is",
        "join lateral leading left like limit natural not null offset on or order outer over partition primary",
        "references right rows select set show some table then to trailing true truncate union unique update use",
        "user using values view when where window with",
    )
    for word in line.split()
)
"""Words of SQL that cannot be a table's name without quotes."""


@dataclass(frozen=True)
class Owner:
    """Whose rows a table holds. `portal` survives a changed address; source (that address) and folder are shown."""

    portal: str
    stream: str
    source: str = ""
    folder: str = ""

    def properties(self) -> dict[str, str]:
        """As table properties; they are also part of a table's first commit."""
        return {
            f"{MARK}portal": self.portal,
            f"{MARK}stream": self.stream,
            f"{MARK}source": self.source,
            f"{MARK}folder": self.folder,
        }


@dataclass(frozen=True)
class Bookmark:
    """How far a stream has been read: `time` in ms since 1970 (UTC) or the last `id`; 0 means "read in full".

    `fingerprint` stands for everything that was asked; another one finds no bookmark.
    """

    kind: Literal["time", "id"]
    fingerprint: str
    value: int

    @property
    def app_id(self) -> str:
        """The application id of the Delta transaction that carries it; unlike commit metadata, it outlives the log."""
        return bookmark_id(self.kind, self.fingerprint)

    @property
    def transactions(self) -> list[Transaction]:
        """What a commit writes down: the bookmark, and that it is the one that holds now."""
        return [Transaction(self.app_id, self.value), Transaction(ASKED, _number(self.fingerprint))]


@dataclass(frozen=True)
class Commit:
    """What travels with the rows of a commit besides the rows; all metadata is text.

    properties   the table's from then on, beside its owner's
    title        what a new table is about: its description, until somebody writes another one
    """

    run_id: str
    bookmark: Bookmark | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class Counts:
    """What a commit did to the rows people see, compared with the version before.

    rows       distinct keys that were read
    updated    None where nobody compared the rows: full reads
    deleted    rows that went, or were newly marked as deleted
    carried    rows that are gone at the source and were kept
    version    the version that holds the rows; None where nothing differed and none was written
    changes    what happened to the columns; refresh: the next run has to read in full
    """

    rows: int
    inserted: int
    updated: int | None
    deleted: int
    carried: int
    version: int | None
    changes: tuple[Change, ...] = ()
    refresh: bool = False


@dataclass(frozen=True)
class TableState:
    """A table as its last version shows it; `rows` is None where the log does not tell."""

    path: Place
    version: int
    schema: pa.Schema
    owner: Owner
    rows: int | None
    bytes: int
    properties: Mapping[str, str]


def table_path(lake: Place, layer: str, table: str) -> Place:
    """`LAKE/LAYER/TABLE`. Raises UsageError where a name cannot be one."""
    return lake / checked_name(layer, "layer") / checked_name(table, "table")


def checked_name(name: str, what: str = "table") -> str:
    """The name itself, where it may be one of a table or layer. Raises UsageError otherwise."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a {what}",
            why="a name has 1 to 128 letters (a-z), digits, `_` and `-`, and does not begin with `_`",
            fix=f"choose another {what} name or prefix",
        )
    if name.casefold() in RESERVED:
        raise UsageError(
            f"{name!r} cannot be the name of a {what}", why="it is a word of SQL", fix="put a prefix before it"
        )
    return name


def check_writable(lake: Place) -> None:
    """Make the lake's folder where it is missing and try to write there.

    Raises UsageError where the path is no folder, StopError where nothing can be written.
    """
    _check_path(lake)
    if not isinstance(lake, Path):
        probe(lake)
        return
    try:
        lake.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=lake) as tried:
            tried.write(b"b24lake")
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"The lake {lake} is not a folder", why=f"{error.filename} is a file", fix="name a folder with --lake"
        ) from error
    except OSError as error:
        raise StopError(
            f"The lake {lake} cannot be written",
            why=error.strerror or str(error),
            fix="correct its permissions, free some space, or name another folder with --lake",
        ) from error


def _check_path(lake: Place) -> None:
    """Raises UsageError where Delta tables could not be in such a folder."""
    if isinstance(lake, Path) and any(_SCHEME.fullmatch(part) for part in lake.parts):
        raise UsageError(
            f"The lake cannot be in the folder {str(lake)!r}",
            why="this looks like an address, but is a path of this machine",
            fix="write an address as s3://BUCKET/PREFIX (in Python: b24lake.lake.place.place), or name another folder",
        )
    path = lake.key if isinstance(lake, ObjectPath) else str(lake.absolute())
    if any(unicodedata.category(sign) == "Cc" for sign in path):
        raise UsageError(
            f"The lake cannot be in {str(lake)!r}",
            why="its path has a line break or another control character in it",
            fix="name another folder with --lake",
        )
    unfit = sorted(set(path) & _UNFIT)
    if unfit:
        raise UsageError(
            f"The lake cannot be in {lake}",
            why=f"Delta tables do not work in a path with {' '.join(unfit)}",
            fix="name another folder with --lake",
        )


def inspect(path: Place, owner: Owner) -> TableState | None:
    """The table that this stream of this portal may write; None where it has no first version yet.

    Raises UsageError where the folder holds something else: another stream, another portal, or nothing of ours.
    """
    table = open_owned(path, owner)
    return None if table is None else state_of(path, table)


def open_owned(path: Place, owner: Owner) -> DeltaTable | None:
    """As `inspect`, but the Delta table itself."""
    table = open_table(path)
    if table is None:
        _refuse_foreign_files(path)
        return None
    found = our_owner(path, table, fix="choose another prefix or table name; this one is never touched")
    if (found.portal, found.stream) != (owner.portal, owner.stream):
        raise UsageError(
            f"The table {path} belongs to stream {found.stream!r} of portal {_portal(found, owner)}",
            why=f"the rows to write are of stream {owner.stream!r} of portal {_portal(owner, found)}",
            fix="choose another prefix or table name",
        )
    return table


def our_owner(path: Place, table: DeltaTable, *, fix: str = "change it with the program that made it") -> Owner:
    """Whose table of ours it is. Raises UsageError where it is not one of ours."""
    with storage_errors(path):
        found = owner_of(table)
    if found is None:
        raise UsageError(
            f"The table {path} was not made by b24lake", why="its properties name no portal and stream", fix=fix
        )
    return found


def _portal(owner: Owner, other: Owner) -> str:
    """The portal's address; its id where there is none, or where two portals have been at one address."""
    alike = owner.source == other.source and owner.portal != other.portal
    return repr(owner.portal) if alike or not owner.source else owner.source


def owner_of(table: DeltaTable) -> Owner | None:
    """Whose table it is: by its properties, else by its first commit (a run that died between the two); else None."""
    properties = table.metadata().configuration
    if f"{MARK}portal" in properties:
        return _owner(properties)
    marked = (entry for entry in table.history() if f"{MARK}portal" in entry)
    return next((_owner(entry) for entry in marked), None)


def state_of(path: Place, table: DeltaTable) -> TableState:
    """What the log says about the table's loaded version."""
    files = pa.table(table.get_add_actions(flatten=True))
    counted = files.column("num_records").to_pylist() if files.num_rows else []
    return TableState(
        path=path,
        version=table.version(),
        schema=schema_of(table),
        owner=owner_of(table) or Owner("", ""),
        rows=None if None in counted else sum(counted),
        bytes=sum(files.column("size_bytes").to_pylist()) if files.num_rows else 0,
        properties=table.metadata().configuration,
    )


def key_of(table: DeltaTable) -> str | None:
    """The column that is the primary key; None where nobody can tell.

    Tables of ours that have not been written since they say it have the key that all streams had then: `ID` or `id`.
    """
    told = table.metadata().configuration.get(KEY, "ID")
    return next((name for name in schema_of(table).names if name.casefold() == told.casefold()), None)


def schema_of(table: DeltaTable) -> pa.Schema:
    """The columns; a column's description is `comment` in its metadata."""
    return pa.schema(table.schema())


def bookmark(path: Place, kind: Literal["time", "id"], fingerprint: str) -> int | None:
    """The value of this bookmark (0: read in full); None where the table or the bookmark does not exist."""
    table = open_table(path)
    with storage_errors(path):
        return None if table is None else bookmark_of(table, kind, fingerprint)


def bookmark_of(table: DeltaTable, kind: Literal["time", "id"], fingerprint: str) -> int | None:
    """The same of an open table.

    A table keeps the bookmarks of everything that was ever asked. One holds only as long as nothing else was asked
    since: what was asked then may have taken rows away.
    """
    asked = table.transaction_version(ASKED)
    if asked is not None and asked != _number(fingerprint):
        return None
    marked: int | None = table.transaction_version(bookmark_id(kind, fingerprint))
    return marked


def _number(fingerprint: str) -> int:
    """A fingerprint as the version of a Delta transaction."""
    return int.from_bytes(hashlib.sha256(fingerprint.encode()).digest()[:7])


def bookmark_id(kind: str, fingerprint: str) -> str:
    """The application id of a bookmark's Delta transaction."""
    return f"b24lake/{kind}/{fingerprint}"


def _owner(marks: Mapping[str, Any]) -> Owner:
    return Owner(*(str(marks.get(MARK + name) or "") for name in ("portal", "stream", "source", "folder")))


def _refuse_foreign_files(path: Place) -> None:
    if isinstance(path, Path) and path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file", why="a table is a folder", fix="choose another prefix or table name")
    foreign = sorted(each.name for each in inside(path) if not _OURS.fullmatch(each.name))
    if foreign:
        raise UsageError(
            f"The folder {path} holds files that are not a table's",
            why=f"for example {foreign[0]!r}",
            fix="choose another prefix or table name; this folder is never touched",
        )

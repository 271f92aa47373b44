"""Where a lake and its files lie: in a folder of this machine, or under a prefix in a bucket of an S3-compatible store.

A place is a `pathlib.Path` or an `ObjectPath`, which has those of Path's methods that the lake needs. A store has no
folders: a prefix is there as long as an object is below it.

Objects are read and written by delta-rs' own client, so that tables and what lies beside them are found by the same
settings: the environment variables of AWS' programs (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_PROFILE ...), their
files in ~/.aws, or the role of the machine.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs
from deltalake.fs import DeltaStorageHandler

from b24lake.errors import UsageError
from b24lake.lake.faults import told
from b24lake.lake.settings import HASTY, settings

T = TypeVar("T")
R = TypeVar("R")

SCHEMES = ("s3", "s3a")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
"""What `gs://bucket` begins with, also where a `Path` has made one slash of two."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
AT_ONCE = 8
"""Questions to a store side by side."""
_BUFFER = 4 * 1024 * 1024
_SLICE = 1024 * 1024
"""Bytes written at once; the client takes bytes through a buffer only, and only what is smaller than that."""


class Stat(NamedTuple):
    """Of `os.stat_result` what there is of an object: bytes, and seconds since 1970."""

    st_size: int
    st_mtime: float


@dataclass(frozen=True, order=True)
class ObjectPath:
    """An object, a prefix ("folder") or a whole bucket; the key has no slash at its ends.

    `known` is what a listing told of it, as of `os.DirEntry`: None = nobody has asked yet. Every method that asks the
    store raises StopError where it does not answer or does not let us in, and FileNotFoundError where nothing is there.
    """

    bucket: str
    key: str = ""
    known: Any = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> ObjectPath:
        return ObjectPath(self.bucket, f"{self.key}/{name}".strip("/"))

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return Path(self.name).stem

    @property
    def parent(self) -> ObjectPath:
        """What it lies in."""
        return ObjectPath(self.bucket, self.key.rpartition("/")[0])

    def absolute(self) -> ObjectPath:
        """Itself: there is no working directory."""
        return self

    resolve = absolute

    def exists(self) -> bool:
        """Whether there is an object, or anything below it; a bucket always is."""
        return not self.key or bool(self._info().type != pafs.FileType.NotFound)

    def is_dir(self) -> bool:
        """Whether anything is below it; a bucket is always one."""
        return not self.key or bool(self._info().type == pafs.FileType.Directory)

    def is_file(self) -> bool:
        """Whether it is an object."""
        return bool(self.key) and bool(self._info().type == pafs.FileType.File)

    def stat(self) -> Stat:
        """Size and time of an object. Raises FileNotFoundError."""
        info = self._info()
        if info.type != pafs.FileType.File:
            raise FileNotFoundError(f"there is no object {self}")
        return Stat(info.size, info.mtime_ns / 1e9)

    def iterdir(self) -> Iterator[ObjectPath]:
        """What is right below it, by name; nothing where nothing is."""
        with _asking(self):
            found = store(self.bucket).get_file_info(pafs.FileSelector(self.key, allow_not_found=True))
        # Other programs mark folders by empty objects that have the folder's own name.
        inside = (each for each in found if each.path.strip("/") != self.key)
        yield from sorted(ObjectPath(self.bucket, each.path.strip("/"), each) for each in inside)

    def glob(self, pattern: str) -> Iterator[ObjectPath]:
        """As `Path.glob`, without `**`; one request for each folder that is looked into."""
        first, _, rest = pattern.partition("/")
        if set(first) & set("*?["):
            found = [each for each in self.iterdir() if fnmatchcase(each.name, first)]
        else:
            found = [self / first] if rest or (self / first).exists() else []
        if not rest:
            yield from found
            return
        for below in at_once(self, lambda each: list(each.glob(rest)), found):
            yield from below

    def read_bytes(self) -> bytes:
        """The whole object. Raises FileNotFoundError."""
        with self.open() as source, _asking(self):
            whole: bytes = source.read()
            return whole

    def read_text(self, encoding: str = "utf-8") -> str:
        """The same as text."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> int:
        """Make or replace the object: it has all of the content, or is as before."""
        with _asking(self), self.sink() as sink:
            for start in range(0, len(content), _SLICE):
                sink.write(content[start : start + _SLICE])
        return len(content)

    def write_text(self, text: str, encoding: str = "utf-8") -> int:
        """The same with text."""
        return self.write_bytes(text.encode(encoding))

    def open(self) -> pa.NativeFile:
        """The object for reading at any place. Raises FileNotFoundError."""
        with _asking(self):
            return store(self.bucket).open_input_file(self.key)

    def sink(self) -> pa.NativeFile:
        """What can be written to; the object is there when it has been closed."""
        with _asking(self):
            return store(self.bucket).open_output_stream(self.key, buffer_size=_BUFFER)

    def unlink(self, *, missing_ok: bool = False) -> None:  # noqa: ARG002  a store does not tell
        """Remove the object."""
        with _asking(self):
            store(self.bucket).delete_file(self.key)

    def remove_all(self) -> None:
        """Remove all objects below it."""
        with _asking(self):
            store(self.bucket).delete_dir(self.key)

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: there are no folders."""

    def _info(self) -> Any:
        if self.known is not None:
            return self.known
        with _asking(self):
            return store(self.bucket).get_file_info([self.key])[0]


Place = Path | ObjectPath
"""Where something lies."""


def place(text: str | Path) -> Place:
    """A path, `s3://BUCKET/PREFIX` or `file:/PATH` as a place.

    Raises UsageError where it is the address of something else.

    >>> place("s3://bucket/lake/").key
    'lake'
    """
    text = str(text)
    scheme = _URL.match(text)
    if scheme is None:
        return Path(text).expanduser()
    if scheme[1].lower() == "file":
        return _of_file_url(text)
    if scheme[1].lower() not in SCHEMES:
        raise UsageError(
            f"The lake cannot be at {text!r}",
            why=f"{scheme[1]}: addresses are not supported; a lake is a folder, or a prefix in an S3-compatible store",
            fix="name a folder such as ./lake, or s3://BUCKET/PREFIX, with --lake",
        )
    bucket, _, key = text[scheme.end() :].lstrip("/").partition("/")
    _check(text, bucket, key.strip("/"))
    return ObjectPath(bucket, key.strip("/"))


def _of_file_url(text: str) -> Path:
    parts = urllib.parse.urlsplit(text)
    if parts.netloc not in {"", "localhost"}:
        raise UsageError(
            f"The lake cannot be at {text!r}",
            why=f"this is a folder of another machine, {parts.netloc}",
            fix="name a folder of this machine, as file:/data/lake",
        )
    return Path(urllib.parse.unquote(parts.path))


def _check(text: str, bucket: str, key: str) -> None:
    unfit = "" if _BUCKET.fullmatch(bucket) else f"{bucket!r} cannot be the name of a bucket"
    if not unfit and any(part in {"", ".", ".."} for part in key.split("/") if key):
        unfit = "a part of its path is empty or only dots"
    if unfit:
        raise UsageError(f"The lake cannot be at {text!r}", why=unfit, fix="write s3://BUCKET/PREFIX")


def at_once(where: Place, ask: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """What `ask` gives for each of the items, in their order; side by side where each takes a way to a store."""
    if isinstance(where, Path):
        return [ask(each) for each in items]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, items))


def options_of(where: Place) -> dict[str, str] | None:
    """What delta-rs has to know beyond the environment to open a table there."""
    return settings() if isinstance(where, ObjectPath) else None


def reached(where: Place) -> Place:
    """The place, after a question: where nothing answers, that is known in seconds. Raises StopError."""
    if isinstance(where, ObjectPath):
        with _asking(where):
            _hasty(where).get_file_info([where.key])
    return where


def probe(where: ObjectPath) -> None:
    """Write and remove an object below it, in seconds where nothing answers. Raises StopError where that fails."""
    with _asking(where):
        hasty = _hasty(where)
        key = (where / "_b24lake_probe").key
        with hasty.open_output_stream(key, buffer_size=_BUFFER) as sink:
            sink.write(b"b24lake")
        hasty.delete_file(key)


def _hasty(where: ObjectPath) -> pafs.FileSystem:
    return _store(where.bucket, tuple({**settings(), **HASTY}.items()))


def store(bucket: str) -> pafs.FileSystem:
    """The objects of a bucket, by key; clients are kept, for each has connections of its own."""
    return _store(bucket, tuple(settings().items()))


@lru_cache(maxsize=8)
def _store(bucket: str, options: tuple[tuple[str, str], ...]) -> pafs.FileSystem:
    return pafs.PyFileSystem(DeltaStorageHandler(f"s3://{bucket}", dict(options)))


@contextmanager
def _asking(where: ObjectPath) -> Iterator[None]:
    """What the store answers instead of what was asked, as errors of ours; nothing being there stays what it is."""
    try:
        yield
    except OSError as error:
        fault = told(str(error))
        if isinstance(error, FileNotFoundError) and fault.absent:
            raise FileNotFoundError(f"there is no object {where}") from None
        raise fault.error(where) from error

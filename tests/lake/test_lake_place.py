"""Where a lake lies: addresses, and what objects have of the methods of a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from b24lake.errors import StopError, UsageError
from b24lake.lake.files import at_hand, inside, remove_all, write_text
from b24lake.lake.place import ObjectPath, place
from b24lake.lake.table import check_writable
from object_store import BUCKET, KEY, SECRET, SIGNED, ObjectStore
from running import Lake

ADDRESSES = [
    ("s3://lake", ObjectPath("lake")),
    ("s3://lake/", ObjectPath("lake")),
    ("s3://lake/a/b", ObjectPath("lake", "a/b")),
    ("s3a://lake/a/b/", ObjectPath("lake", "a/b")),
    ("S3:/lake/a", ObjectPath("lake", "a")),  # a Path has made one slash of two
    ("s3://lake/Моё озеро", ObjectPath("lake", "Моё озеро")),
    ("lake", Path("lake")),
    ("/data/lake", Path("/data/lake")),
    ("./s3/lake", Path("s3/lake")),
    ("C:/lake", Path("C:/lake")),
    ("file:" + "///data/my%20lake", Path("/data/my lake")),
    ("file:/data/lake", Path("/data/lake")),
    ("~/lake", Path("~/lake").expanduser()),
]


@pytest.mark.parametrize(("text", "where"), ADDRESSES)
def test_an_address_is_a_place(text: str, where: Path | ObjectPath) -> None:
    assert place(text) == where


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gs://bucket/lake", "gs: addresses are not supported"),
        ("abfss://c@a.dfs.core.windows.net/x", "abfss: addresses are not supported"),
        ("https://example.com/lake", "https: addresses are not supported"),
        ("file:" + "//server/lake", "another machine, server"),
        ("s3://", "'' cannot be the name of a bucket"),
        ("s3://a b/lake", "'a b' cannot be the name of a bucket"),
        ("s3://lake/../other", "empty or only dots"),
        ("s3://lake/a//b", "empty or only dots"),
    ],
)
def test_other_addresses_are_wrong_usage(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        place(text)


@pytest.mark.parametrize("sign", ["%", "#", "?", "[", "|", "^", "\n"])
def test_prefixes_in_which_tables_do_not_work_are_refused(sign: str) -> None:
    with pytest.raises(UsageError, match="The lake cannot be in"):
        check_writable(place(f"s3://lake/la{sign}ke"))


def test_names_of_an_object() -> None:
    where = place("s3://bucket/lake") / "raw" / "deals.parquet"
    assert (str(where), where.name, where.stem) == ("s3://bucket/lake/raw/deals.parquet", "deals.parquet", "deals")
    assert where.parent.parent == place("s3://bucket/lake")
    assert place("s3://bucket/lake").parent.parent == place("s3://bucket")


def test_objects_are_written_read_listed_and_removed(far_lake: Lake) -> None:
    lake = far_lake.path
    assert (lake.exists(), lake.is_dir(), inside(lake)) == (False, False, [])
    text = "Моё озеро\n" * 500_000  # more than one part of an upload
    for name in ("b.txt", "a b.txt", "ü.held"):
        write_text(lake / "deep" / name, text)
    deep = lake / "deep"
    assert [each.name for each in inside(deep)] == ["a b.txt", "b.txt", "ü.held"]
    assert (deep / "b.txt").read_text() == text
    assert (deep / "b.txt").stat().st_size == len(text.encode())
    assert (deep.is_dir(), deep.is_file(), (deep / "b.txt").is_file(), (deep / "b.txt").is_dir()) == (
        True, False, True, False,
    )  # fmt: skip
    assert [each.name for each in lake.glob("*/*.txt")] == ["a b.txt", "b.txt"]
    assert [each.name for each in lake.glob("*/b.txt")] == ["b.txt"]
    with at_hand([deep / "ü.held"]) as (near,):
        assert near.read_text() == text
    assert not near.exists()
    (deep / "b.txt").unlink()
    (deep / "b.txt").unlink(missing_ok=True)
    remove_all(deep)
    assert not lake.exists()


def test_what_is_not_there_is_told_as_for_a_file(far_lake: Lake) -> None:
    for ask in (ObjectPath.read_bytes, ObjectPath.open, ObjectPath.stat):
        with pytest.raises(FileNotFoundError, match="there is no object"):
            ask(far_lake.path / "missing")


def test_marks_of_folders_are_no_files(far_lake: Lake, store: ObjectStore) -> None:
    store.ask("PUT", f"/{BUCKET}/{far_lake.path.key}/raw/", SIGNED)
    assert [each.name for each in inside(far_lake.path)] == ["raw"]
    assert inside(far_lake.path / "raw") == []


FAULTS = [  # what is refused, with which answer; why
    ("PUT", "AccessDenied", 403, "the credentials do not allow it"),
    ("POST .*delete", "AccessDenied", 403, "the credentials do not allow it"),
    (".", "InvalidAccessKeyId", 403, "the store does not know this access key"),
    (".", "SignatureDoesNotMatch", 403, "the secret access key does not belong"),
    (".", "ExpiredToken", 400, "the session token has expired"),
    (".", "NoSuchBucket", 404, "there is no such bucket"),
    (".", "PermanentRedirect", 301, "another region"),
    (".", "SlowDown", 503, "overloaded or out of order"),
    ("PUT", "QuotaExceeded", 403, "the store is full"),
]


@pytest.mark.parametrize(("pattern", "code", "status", "why"), FAULTS)
def test_a_store_that_refuses_ends_the_run(
    far_lake: Lake, store: ObjectStore, pattern: str, code: str, status: int, why: str
) -> None:
    store.fault(pattern, code, status)
    with pytest.raises(StopError, match=why) as caught:
        check_writable(far_lake.path)
    assert SECRET not in str(caught.value)
    assert KEY not in str(caught.value)
    store.fault("")
    assert [key for key in store.keys(far_lake.path.key) if "probe" not in key] == []
    assert store.uploads() == 0

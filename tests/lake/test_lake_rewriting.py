"""A merge touches the files in which something differs, and no others."""

from __future__ import annotations

import json
import string
import struct
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Field
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_rows import NOON, Deals, rows, with_columns

from b24lake.errors import StreamError
from b24lake.lake import merging, rewriting
from b24lake.lake.children import Replaced
from b24lake.lake.keys import Policy
from b24lake.lake.merging import commit_merge
from b24lake.lake.parts import STAGING


def live(deals: Deals) -> set[str]:
    return set(pa.table(deals.delta().get_add_actions()).column("path").to_pylist())


@pytest.fixture
def three_files(deals: Deals, monkeypatch: pytest.MonkeyPatch) -> Deals:
    """Rows 0 to 29, ten in each file."""
    monkeypatch.setattr("b24lake.lake.staging.PART_BYTES", 1)
    monkeypatch.setattr("b24lake.lake.staging.GROUP_ROWS", 10)
    deals.full(rows(range(10)), rows(range(10, 20)), rows(range(20, 30)), mark=1)
    assert len(live(deals)) == 3
    return deals


@pytest.mark.parametrize(
    ("ids", "title", "stale"),
    [([12], "new", 1), ([1, 2, 3], "new", 1), ([1, 25], "new", 2), ([30, 31], "deal", 0), (range(30), "deal", 0)],
    ids=["one row", "some of one file", "of two files", "new ones only", "all as before"],
)
def test_only_files_with_a_difference_are_written_anew(three_files: Deals, ids: Any, title: str, stale: int) -> None:
    before = live(three_files)
    counts = three_files.merge(rows(list(ids), title=title, run=1))
    after = live(three_files)
    assert len(before - after) == stale
    assert (counts.version is None) is (before == after)
    titles = {key: row["TITLE"] for key, row in three_files.read().items()}
    assert titles == {**{key: f"deal {key}" for key in range(30)}, **{key: f"{title} {key}" for key in ids}}
    assert STAGING not in three_files.files()


def test_the_log_tells_what_a_merge_did(three_files: Deals) -> None:
    three_files.merge(rows([5, 6], title="new"), rows([40]), mark=2)
    told = three_files.delta().history(1)[0]
    found = {name: told[f"b24lake.rows_{name}"] for name in ("read", "inserted", "updated", "deleted")}
    assert found == {"read": "3", "inserted": "1", "updated": "2", "deleted": "0"}


def test_keys_that_are_texts_are_found_without_statistics(deals: Deals) -> None:
    texts = with_columns(pa.field("ID", pa.string(), nullable=False))
    names = [f"{'long ' * 20}{number}" for number in range(20)]
    deals.full(rows(names, schema=texts))
    counts = deals.merge(rows([names[3], "another"], schema=texts, title="new"))
    assert (counts.inserted, counts.updated) == (1, 1)
    assert deals.read()[names[3]]["TITLE"] == f"new {names[3]}"


def test_an_empty_table_takes_rows(deals: Deals) -> None:
    deals.full()
    assert deals.merge(rows([1, 2])).inserted == 2
    assert list(deals.read()) == [1, 2]


def test_a_file_that_another_program_wrote_is_read_like_our_own(three_files: Deals) -> None:
    three_files.delta().optimize.compact()
    assert len(live(three_files)) == 1
    counts = three_files.merge(rows([7, 50], title="new"))
    assert (counts.inserted, counts.updated) == (1, 1)
    assert len(three_files.read()) == 31


# --- somebody else ----------------------------------------------------------------------------------------------------


def compact(path: str) -> None:
    DeltaTable(path).optimize.compact()


def note(path: str) -> None:
    table = DeltaTable(path)
    properties = CommitProperties(custom_metadata={"who": "somebody"})
    table.create_write_transaction([], mode="append", schema=table.schema(), commit_properties=properties)


def add_column(path: str) -> None:
    table = DeltaTable(path)
    table.alter.add_columns([Field("EXTRA", "string")])
    table.update(updates={"EXTRA": "'theirs'"})


@pytest.mark.parametrize("meanwhile", [compact, note, add_column])
def test_a_commit_that_came_in_between_is_seen(
    three_files: Deals, monkeypatch: pytest.MonkeyPatch, meanwhile: Any
) -> None:
    written = rewriting.rewrite
    tries = []

    def interrupted(path: Any, *more: Any) -> Any:
        outcome = written(path, *more)
        if not tries:
            meanwhile(str(path))
        tries.append(outcome)
        return outcome

    monkeypatch.setattr(merging, "rewrite", interrupted)
    counts = three_files.merge(rows([7, 50], title="new"), mark=2)
    assert (len(tries), counts.inserted, counts.updated) == (2, 1, 1)
    found = three_files.read()
    assert len(found) == 31
    assert {key for key, row in found.items() if "EXTRA" in row and row["EXTRA"] != "theirs"} <= {7, 50}
    assert live(three_files) <= three_files.files()
    assert STAGING not in three_files.files()


def test_a_merge_that_fails_leaves_nothing_behind(three_files: Deals, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    staged = three_files.stage(rows([7, 50], title="new"), spool=True)
    before = three_files.files()
    monkeypatch.setattr(merging, "_commit_files", broken)
    with pytest.raises(Exception, match="No space left"):
        commit_merge(three_files.path, three_files.owner, staged, three_files.commit())
    assert three_files.files() == before
    assert three_files.read()[7]["TITLE"] == "deal 7"


def partitioned(actions: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"metaData": {**actions["metaData"], "partitionColumns": ["TITLE"]}}]


def renamed(actions: dict[str, Any]) -> list[dict[str, Any]]:
    schema = json.loads(actions["metaData"]["schemaString"])
    for number, field in enumerate(schema["fields"], 1):
        mapped = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": f"col-{number}"}
        field["metadata"] = {**field["metadata"], **mapped}
    configuration = {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "99"}
    changed = {"schemaString": json.dumps(schema), "configuration": configuration}
    protocol = {"minReaderVersion": 2, "minWriterVersion": 5}
    return [{"protocol": protocol}, {"metaData": {**actions["metaData"], **changed}}]


def with_deleted_rows(actions: dict[str, Any]) -> list[dict[str, Any]]:
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    # Rows 3 and 4, as the Delta protocol, "Deletion Vector Format", and the Roaring bitmaps' own have them.
    packed = struct.pack("<IQI IIHHI HH", 1681511377, 1, 0, 12346, 1, 0, 1, 16, 3, 4)
    vector = {"storageType": "i", "pathOrInlineDv": z85(packed), "sizeInBytes": len(packed), "cardinality": 2}
    gone = {"path": actions["add"]["path"], "dataChange": True, "deletionTimestamp": 0}
    return [
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}},
        {"remove": gone},
        {"add": {**actions["add"], "deletionVector": vector}},
    ]


def z85(packed: bytes) -> str:
    """ZeroMQ's base 85."""
    digits = string.digits + string.ascii_lowercase + string.ascii_uppercase + ".-:+=^!/*?&<>()[]{}@%$#"
    words = struct.unpack(f">{len(packed) // 4}I", packed)
    return "".join(digits[word // 85**place % 85] for word in words for place in (4, 3, 2, 1, 0))


@pytest.mark.parametrize(
    ("change", "why"),
    [(partitioned, "partitioned"), (renamed, "other names"), (with_deleted_rows, "rows of its files are deleted")],
)
def test_a_table_whose_files_do_not_say_it_all_is_left_alone(deals: Deals, change: Any, why: str) -> None:
    flat = with_columns(without=("PHONE",))
    deals.full(rows(range(30), schema=flat))
    log = deals.path / "_delta_log"
    lines = [json.loads(line) for line in (log / f"{0:020d}.json").read_text().splitlines()]
    actions = {name: action for line in lines for name, action in line.items()}
    version = deals.delta().version() + 1
    (log / f"{version:020d}.json").write_text("\n".join(map(json.dumps, change(actions))))
    with pytest.raises(StreamError, match=f"{why}.*move its folder away"):
        deals.merge(rows([1], schema=flat, title="new"))
    assert deals.delta().version() == version


# --- any rows ---------------------------------------------------------------------------------------------------------

KEYS = st.lists(st.integers(0, 40), max_size=30, unique=True)


@settings(max_examples=25)
@given(
    old=KEYS,
    came=st.dictionaries(st.integers(0, 40), st.sampled_from(["deal", "new"]), max_size=30),
    gone=st.sets(st.integers(0, 40), max_size=10),
    policy=st.sampled_from(["remove", "mark"]),
)
def test_a_merge_is_what_a_dictionary_would_do(
    tmp_path_factory: pytest.TempPathFactory, old: list[int], came: dict[int, str], gone: set[int], policy: Policy
) -> None:
    deals = Deals(tmp_path_factory.mktemp("lake"))
    owned = with_columns(pa.field("OWNER", pa.int64()))
    before = {key: ("deal", int(key in gone)) for key in old}
    whose = pa.array([owner for _, owner in before.values()], pa.int64())
    table = rows(old, schema=owned, OWNER=None)
    deals.full(table.set_column(table.schema.get_field_index("OWNER"), owned.field("OWNER"), whose), schema=owned)

    batches = [rows([key], schema=owned, title=title, run=1, OWNER=0) for key, title in came.items()]
    replaced = Replaced("OWNER", pa.array([1], pa.int64()), policy, NOON + timedelta(hours=9))
    staged = deals.stage(*batches, spool=True, schema=owned)
    counts = commit_merge(deals.path, deals.owner, staged, deals.commit(), replaced=replaced)

    going = {key for key, (_, owner) in before.items() if owner and key not in came}
    expected = {**{key: title for key, (title, _) in before.items()}, **came}
    if policy == "remove":
        expected = {key: title for key, title in expected.items() if key not in going}
    found = deals.read()
    assert {key: row["TITLE"] for key, row in found.items()} == {k: f"{t} {k}" for k, t in expected.items()}
    assert {key for key, row in found.items() if row.get("_deleted_at")} == (going if policy == "mark" else set())
    changed = {key for key, title in came.items() if key in before and before[key] != (title, 0)}
    assert (counts.inserted, counts.updated) == (len(came.keys() - before.keys()), len(changed))
    assert counts.deleted == len(going)

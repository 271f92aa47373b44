"""Rows of any shape -> Arrow batches."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24lake.errors import StreamError
from b24lake.reading.decode import MISFITS, SCHEMA_TAIL, Decoder
from b24lake.streams.definitions import STREAMS
from b24lake.streams.fields import columns, descriptor_rows, schema

SAMPLES = Path(__file__).parents[1] / "samples"
DEALS = {
    "ID": {"type": "integer"},
    "TITLE": {"type": "string"},
    "OPPORTUNITY": {"type": "double"},
    "CLOSED": {"type": "char"},
    "UF_CRM_1": {"type": "enumeration", "isMultiple": True},
}


def decoder(described: Any = DEALS, key: str = "ID") -> Decoder:
    return Decoder(columns(described, {}, key=key), key, UTC)


def landed(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows without their nulls."""
    return [{name: value for name, value in row.items() if value is not None} for row in batch.to_pylist()]


def misfits(batch: pa.RecordBatch) -> list[dict[str, str]]:
    return [dict(pairs or []) for pairs in batch[MISFITS].to_pylist()]


def test_a_batch_has_the_columns_of_the_stream_and_misfits_behind_them() -> None:
    one = decoder()
    batch = one.batch([{"ID": "1"}])
    assert batch.schema.equals(pa.schema([*schema(one.columns), *SCHEMA_TAIL]))
    assert landed(batch) == [{"ID": 1}]


def test_no_rows_are_a_batch_too() -> None:
    assert decoder().batch([]).num_rows == 0


@pytest.mark.parametrize(
    "rows",
    [
        [{"ID": "1", "TITLE": "a"}, {"ID": "2", "TITLE": "b"}],
        [{"ID": "1", "TITLE": "a"}, {"TITLE": "b", "ID": "2"}],
        [{"ID": "1"}, {"ID": "2", "TITLE": "b"}, {"CLOSED": "Y", "ID": "3"}],
        [{"ID": str(key), f"K{key}": "x"} for key in range(1, 60)],
    ],
    ids=["one shape", "another order", "sparse", "every row its own keys"],
)
def test_rows_of_every_shape_land_in_their_order(rows: list[dict[str, Any]]) -> None:
    expected = [{**row, "ID": int(row["ID"])} for row in rows]
    for row in expected:
        if "CLOSED" in row:
            row["CLOSED"] = row["CLOSED"] == "Y"
    assert landed(decoder().batch([dict(row) for row in rows])) == expected


def test_unknown_keys_become_text_columns_and_stay() -> None:
    one = decoder()
    first = one.batch([{"ID": "1", "FACE_ID": 5, "title": "lower", "EMPTY": None, "OBJECT": {"a": [1]}}])
    assert landed(first) == [{"ID": 1, "FACE_ID": "5", "title__2": "lower", "OBJECT": '{"a":[1]}'}]
    second = one.batch([{"ID": "2", "MORE": "x"}])
    assert second.schema.names == [*first.schema.names[:-1], "MORE", MISFITS]
    assert {second.schema.field(name).type for name in ("FACE_ID", "MORE", "EMPTY")} == {pa.string()}


def test_an_unknown_key_keeps_the_column_that_its_table_has_for_it() -> None:
    held = {"ID": "ID", "FACE": "FACE", "face__2": "face", "NEW__STRING": "", "Gone": "Gone"}
    one = Decoder(columns(DEALS, {}, key="ID"), "ID", UTC, held)
    batch = one.batch([{"ID": "1", "face": "a", "FACE": "b", "NEW__STRING": "c", "GONE": "d", "gone": "e"}])
    names = {"face__2": "a", "FACE": "b", "NEW__STRING__2": "c", "GONE__2": "d", "gone__3": "e"}
    assert landed(batch) == [{"ID": 1, **names}]
    codes = {each.name: (each.metadata or {}).get(b"b24lake.code") for each in batch.schema}
    assert {name: code for name, code in codes.items() if code} == {
        "face__2": b"face", "NEW__STRING__2": b"NEW__STRING", "GONE__2": b"GONE", "gone__3": b"gone",
    }  # fmt: skip


def test_misfits_are_kept_verbatim_beside_their_row_and_counted() -> None:
    one = decoder()
    batch = one.batch(
        [
            {"ID": "1", "OPPORTUNITY": "12,50", "CLOSED": "maybe"},
            {"ID": "2", "OPPORTUNITY": "12.50", "UF_CRM_1": ["7", "x"]},
            {"ID": "3"},
        ]
    )
    assert misfits(batch) == [{"OPPORTUNITY": "12,50", "CLOSED": "maybe"}, {"UF_CRM_1": '["7","x"]'}, {}]
    assert batch["UF_CRM_1"].to_pylist() == [None, [7, None], None]
    assert one.misfits == 3
    one.batch([{"ID": "4", "CLOSED": "?"}])
    assert one.misfits == 4


@pytest.mark.parametrize("key", ["", None, "x", "1.5", [], {}, True], ids=repr)
def test_a_row_without_a_readable_key_is_an_error_of_the_stream(key: Any) -> None:
    with pytest.raises(StreamError, match="no readable ID"):
        decoder().batch([{"ID": "1"}, {"ID": key}])


def test_a_batch_without_any_key_is_an_error_of_the_stream() -> None:
    with pytest.raises(StreamError, match="no readable ID"):
        decoder().batch([{"TITLE": "a"}])


VALUES = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3) | st.lists(st.text(max_size=2), max_size=2)
)
KEYS = st.sampled_from(["TITLE", "OPPORTUNITY", "CLOSED", "UF_CRM_1", "title", "NEW", *(f"N{n}" for n in range(40))])


@given(st.lists(st.lists(st.dictionaries(KEYS, VALUES, max_size=6), max_size=6), max_size=3))
def test_batches_of_any_rows_keep_every_row_and_agree_on_their_types(batches: list[list[dict[str, Any]]]) -> None:
    one, types = decoder(), dict[str, pa.DataType]()
    for rows in batches:
        batch = one.batch([{**row, "ID": str(place)} for place, row in enumerate(rows)])
        assert batch["ID"].to_pylist() == list(range(len(rows)))
        for field in batch.schema:
            assert types.setdefault(field.name, field.type) == field.type


READ = [
    ("official/crm.deal.list.json", "official/crm.deal.fields.json"),
    ("official/crm.lead.list.json", "official/crm.lead.fields.json"),
    ("official/crm.contact.list.json", "official/crm.contact.fields.json"),
    ("official/crm.company.list.json", "official/crm.company.fields.json"),
    ("official/crm.activity.list.json", "official/crm.activity.fields.json"),
    ("captured/crm_lead_list_one_page_success.json", "captured/crm_lead_fields_success.json"),
]


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_bytes())["result"]


@pytest.mark.parametrize(("rows", "fields"), READ)
def test_rows_of_a_sample_land_without_misfits(rows: str, fields: str) -> None:
    batch = decoder(sample(fields)).batch(sample(rows))
    assert batch.num_rows == len(sample(rows))
    assert misfits(batch) == [{}] * batch.num_rows
    assert batch["ID"].to_pylist() == [int(row["ID"]) for row in sample(rows)]


@pytest.mark.parametrize(
    ("stream", "rows", "labels"),
    [
        ("users", "official/user.get.json", "official/user.fields.json"),
        ("users", "official/user.search.json", "captured/user_fields.json"),
        ("departments", "official/department.get.json", "official/department.fields.json"),
        ("status_list", "official/crm.status.list.json", None),
    ],
)
def test_rows_with_declared_columns_land_without_misfits(stream: str, rows: str, labels: str | None) -> None:
    described = sample(labels) if labels else None
    one = Decoder(columns(described, STREAMS[stream].declared, key="ID"), "ID", UTC)
    batch = one.batch(sample(rows))
    assert misfits(batch) == [{}] * batch.num_rows
    assert "TIMESTAMP_X" not in batch.schema.names or batch["TIMESTAMP_X"].null_count == batch.num_rows


@pytest.mark.parametrize("name", sorted(file.name for file in SAMPLES.glob("official/crm.*.fields.json")))
def test_field_definitions_land_without_misfits(name: str) -> None:
    found = sample(f"official/{name}")
    described = found.get("fields", found) if isinstance(found, dict) else found
    declared = STREAMS["deal_fields"].declared
    batch = Decoder(columns(None, declared, key="id"), "id", UTC).batch(descriptor_rows(described))
    assert batch["id"].to_pylist() == [*described]
    assert misfits(batch) == [{}] * batch.num_rows

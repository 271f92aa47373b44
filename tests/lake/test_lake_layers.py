"""The layers of a lake: three from the start, more on demand, and none that holds anything is ever lost."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from lake_rows import Deals, rows

from b24lake.errors import StopError, UsageError
from b24lake.lake import layers
from b24lake.lake.layers import Layer
from running import Lake

FIRST = ["raw", "trusted", "service"]


def names(lake: Path) -> list[str]:
    return [each.name for each in layers.layers(lake)]


def test_every_lake_has_three_layers_before_anything_is_written(tmp_path: Path) -> None:
    assert names(tmp_path / "none") == names(tmp_path) == FIRST
    assert list(tmp_path.iterdir()) == []


def test_layers_are_added_described_and_deleted(tmp_path: Path) -> None:
    lake = tmp_path / "new" / "lake"
    assert layers.add(lake, "gold", "Для руководителей 🙂") == Layer("gold", "Для руководителей 🙂")
    assert layers.layers(lake)[-1] == layers.existing(lake, "gold") == Layer("gold", "Для руководителей 🙂")
    layers.describe(lake, "raw", "As sent")
    assert [each.description for each in layers.layers(lake)][::3] == ["As sent", "Для руководителей 🙂"]
    layers.delete(lake, "trusted")
    assert names(lake) == ["raw", "service", "gold"]
    told = json.loads((lake / "layers.json").read_text("utf-8"))
    assert [each["name"] for each in told] == names(lake)
    assert [each.name for each in lake.iterdir()] == ["layers.json"]


WRONG = [
    ("raw", "has a layer 'raw' already"),
    ("RAW", "upper and lower case"),
    ("a/b", "cannot be the name of a layer"),
    ("a.b", "cannot be the name of a layer"),
    ("..", "cannot be the name of a layer"),
    ("", "cannot be the name of a layer"),
    ("_hidden", "does not begin with `_`"),
    ("select", "a word of SQL"),
    ("x" * 300, "1 to 128 letters"),
    ("слой", "letters \\(a-z\\)"),
]


@pytest.mark.parametrize(("name", "said"), WRONG, ids=[name[:10] or "nothing" for name, _ in WRONG])
def test_a_layer_that_cannot_be_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        layers.add(tmp_path, name)
    assert names(tmp_path) == FIRST


def test_a_description_has_an_end(tmp_path: Path) -> None:
    for write in (
        lambda: layers.add(tmp_path, "gold", "x" * 4001),
        lambda: layers.describe(tmp_path, "raw", "x" * 4001),
    ):
        with pytest.raises(UsageError, match="at most 4,000 signs"):
            write()


def test_a_layer_that_does_not_exist_is_answered_with_those_that_do(tmp_path: Path) -> None:
    for look in (layers.existing, layers.delete, lambda lake, name: layers.describe(lake, name, "x")):
        with pytest.raises(UsageError, match=r"raw, trusted, service.*b24lake layer add gold"):
            look(tmp_path, "gold")


def test_only_empty_layers_are_deleted(deals: Deals) -> None:
    deals.full(rows([1]))
    deals.stage(rows([2]))
    with pytest.raises(UsageError, match="holds 'bitrix24_deals'"):
        layers.delete(deals.lake, "raw")
    (deals.lake / "service" / "begun" / "_staging").mkdir(parents=True)
    layers.delete(deals.lake, "service")
    assert not (deals.lake / "service").exists()
    (deals.lake / "trusted" / "begun" / "_staging").mkdir(parents=True)
    (deals.lake / "trusted" / "begun" / "_staging" / "rows").write_text("rows that nobody has seen")
    with pytest.raises(UsageError, match="holds 'begun'"):
        layers.delete(deals.lake, "trusted")
    assert names(deals.lake) == ["raw", "trusted"]


def test_a_folder_with_tables_is_a_layer_whoever_made_it(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "theirs" / "report"), pa.table({"a": [1]}))
    assert layers.layers(tmp_path)[-1] == Layer("theirs", listed=False)
    assert layers.existing(tmp_path, "theirs").name == "theirs"
    layers.describe(tmp_path, "theirs", "Reports of others")
    assert layers.layers(tmp_path)[-1] == Layer("theirs", "Reports of others")


@pytest.mark.parametrize(
    "text", ["{", "[1]", '[{"name": "a/b"}]', '[{"description": "x"}]', '{"raw": 1}', "null", "\0"]
)
def test_a_damaged_list_is_told_and_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "layers.json").write_text(text)
    for act in (lambda: layers.layers(tmp_path), lambda: layers.add(tmp_path, "gold")):
        with pytest.raises(StopError, match=r"layers\.json cannot be read"):
            act()
    assert (tmp_path / "layers.json").read_text() == text


def test_a_lake_in_an_object_store_has_layers_too(far_lake: Lake) -> None:
    lake = far_lake.path
    assert [each.name for each in layers.layers(lake)] == FIRST
    layers.add(lake, "gold", "Для руководителей")
    Deals(lake).full(rows([1]))
    assert [each.name for each in layers.layers(lake)] == [*FIRST, "gold"]
    with pytest.raises(UsageError, match="holds 'bitrix24_deals'"):
        layers.delete(lake, "raw")
    layers.delete(lake, "gold")
    assert [each.name for each in layers.layers(lake)] == FIRST

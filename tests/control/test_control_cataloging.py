"""Layers and folders as people change them: written down, and not undone by the next run."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from desk import Desk

from b24lake.control import audit, cataloging
from b24lake.control.source_settings import options_of, webhook_of
from b24lake.errors import ConflictError, HeldError, NotFoundError, StopError, UsageError
from b24lake.lake import catalog, layers
from b24lake.sandbox import Server
from b24lake.sync.home import lock_name
from b24lake.sync.run import sync

Serve = Callable[..., Server]


@pytest.fixture
def crm(small_desk: Desk, serve: Serve) -> Desk:
    """An installation with a source whose tables are filled."""
    small_desk.make("crm", "departments", "status_list", url=serve().url)
    run(small_desk)
    return small_desk


def run(desk: Desk) -> None:
    """A run of the source, as a worker's child process does it."""
    source = desk.source("crm")
    assert sync(webhook_of(source, desk.keyring), options_of(source, desk.lake), desk.home).status == "success"


def folders(desk: Desk) -> dict[str, str]:
    return {one.name: one.folder for one in catalog.tables(desk.lake)}


def put(desk: Desk, table: str, folder: str) -> None:
    cataloging.put_in_folder(desk.database, desk.here, desk.actor, table, folder)


def rename(desk: Desk, old: str, new: str, layer: str = "raw") -> None:
    tables = catalog.tables(desk.lake)
    cataloging.rename_folder(desk.database, desk.here, desk.actor, tables, layer, old, new)


def told(desk: Desk, thing: str) -> list[tuple[str, dict[str, object]]]:
    return [(one.action, one.detail) for one in audit.entries(desk.database, thing)]


def test_layers_are_added_described_and_deleted_and_all_of_it_is_written_down(desk: Desk) -> None:
    who = (desk.database, desk.here, desk.actor)
    cataloging.add_layer(*who, "gold", "Для руководителей")
    cataloging.describe_layer(*who, "gold", "Reports")
    assert layers.existing(desk.lake, "gold").description == "Reports"
    with pytest.raises(ConflictError):
        cataloging.add_layer(*who, "GOLD")
    cataloging.delete_layer(*who, "gold")
    assert [each.name for each in layers.layers(desk.lake)] == ["raw", "trusted", "service"]
    assert told(desk, "layer gold") == [
        ("deleted", {}),
        ("changed", {"description": "Reports"}),
        ("added", {"description": "Для руководителей"}),
    ]
    assert told(desk, "layer GOLD") == []


def test_a_layer_that_a_source_writes_to_stays(desk: Desk) -> None:
    desk.make("crm", layer="trusted")
    with pytest.raises(UsageError, match="the layer of the source crm"):
        cataloging.delete_layer(desk.database, desk.here, desk.actor, "trusted")
    assert "trusted" in {each.name for each in layers.layers(desk.lake)}


def test_while_somebody_else_changes_the_layers_nothing_is_done(desk: Desk) -> None:
    with (
        desk.home.ready().lock(f"layers-{lock_name(desk.lake)}", "the layers"),
        pytest.raises(StopError, match="layers"),
    ):
        cataloging.add_layer(desk.database, desk.here, desk.actor, "gold")
    assert told(desk, "layer gold") == []


def test_a_table_stays_in_the_folder_it_was_put_into(crm: Desk) -> None:
    put(crm, "raw.crm_departments", "people")
    run(crm)
    assert folders(crm) == {"crm_departments": "people", "crm_status_list": "bitrix24"}
    crm.edit("crm", folder="sales")
    run(crm)
    assert folders(crm) == {"crm_departments": "people", "crm_status_list": "sales"}
    put(crm, "raw.crm_departments", "sales")  # where its source puts it: it goes with the others again
    crm.edit("crm", folder="all")
    run(crm)
    assert set(folders(crm).values()) == {"all"}
    assert told(crm, "table raw.crm_departments") == [
        ("changed", {"folder": "sales"}),
        ("changed", {"folder": "people"}),
    ]


def test_a_table_may_be_in_no_folder(crm: Desk) -> None:
    put(crm, "raw.crm_departments", "")
    run(crm)
    assert folders(crm) == {"crm_departments": "", "crm_status_list": "bitrix24"}


def test_a_folder_is_renamed_for_tables_and_sources(crm: Desk) -> None:
    write_deltalake(str(crm.lake / "raw" / "theirs"), pa.table({"a": [1]}))
    crm.make("other", layer="trusted")
    put(crm, "raw.crm_departments", "people")
    rename(crm, "bitrix24", "Отдел продаж")
    rename(crm, "people", "staff")
    assert (crm.source("crm").folder, crm.source("other").folder) == ("Отдел продаж", "bitrix24")
    run(crm)
    assert folders(crm) == {"crm_departments": "staff", "crm_status_list": "Отдел продаж", "theirs": ""}
    assert ("changed", {"folder": "Отдел продаж"}) in told(crm, "source crm")
    assert told(crm, "folder raw/people") == [("changed", {"name": "staff", "tables": 1})]


def test_two_folders_become_one(crm: Desk) -> None:
    put(crm, "raw.crm_departments", "people")
    rename(crm, "bitrix24", "people")
    run(crm)
    assert set(folders(crm).values()) == {"people"}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("bitrix24", "", UsageError),
        ("bitrix24", "x" * 101, UsageError),
        ("bitrix24", "a\nb", UsageError),
        ("nothing", "x", NotFoundError),
        ("", "x", NotFoundError),
    ],
)
def test_a_folder_that_cannot_be_renamed_is_left_alone(crm: Desk, old: str, new: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        rename(crm, old, new)
    assert set(folders(crm).values()) == {"bitrix24"}
    assert crm.source("crm").folder == "bitrix24"


def test_while_a_run_holds_a_table_its_folder_keeps_its_name(crm: Desk) -> None:
    held = crm.lake / "raw" / "crm_status_list"
    with crm.home.lock(f"table-{lock_name(held)}", "the table"):
        with pytest.raises(HeldError, match=r"raw\.crm_status_list"):
            rename(crm, "bitrix24", "x")
        with pytest.raises(HeldError):
            put(crm, "raw.crm_status_list", "x")
    assert set(folders(crm).values()) == {crm.source("crm").folder} == {"bitrix24"}


def test_a_table_of_another_program_is_in_no_folder(crm: Desk) -> None:
    write_deltalake(str(crm.lake / "raw" / "theirs"), pa.table({"a": [1]}))
    with pytest.raises(UsageError, match="was not made by b24lake"):
        put(crm, "raw.theirs", "x")

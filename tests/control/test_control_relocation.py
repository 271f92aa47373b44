"""Tables that go with their source to another name or layer: with their history, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from desk import NOW, Desk

from b24lake.control import relocation, sources
from b24lake.control.models import Run
from b24lake.errors import HeldError, UsageError
from b24lake.sandbox import Server
from b24lake.sync.home import lock_name
from service import Service

Serve = Callable[..., Server]


@pytest.fixture
def crm(small: Service, small_desk: Desk, serve: Serve) -> Desk:
    """An installation with a source whose tables are filled."""
    small_desk.make("crm", "deals", "users", url=serve().url)
    with small.worker():
        assert small.awaited(small.request("crm"))["state"] == "success"
    return small_desk


def moved(desk: Desk, settings: Mapping[str, Any], streams: Mapping[str, Mapping[str, Any]] | None = None) -> list[str]:
    with relocation.moves(desk.home) as move, desk.database.writing() as session:
        source = sources.found(session, "crm", lock=True)
        return sources.edit(session, desk.here, desk.actor, source, settings, streams=streams, move=move)


def tables(desk: Desk) -> list[str]:
    return sorted(f"{log.parent.parent.name}.{log.parent.name}" for log in desk.lake.glob("*/*/_delta_log"))


def test_tables_are_moved_and_the_next_run_goes_on_with_them(small: Service, crm: Desk) -> None:
    before = DeltaTable(str(crm.lake / "raw" / "crm_deals")).version()
    said = moved(crm, {"prefix": "sales_", "layer": "trusted"}, {"users": {"table": "people"}})
    assert said == [
        "raw.crm_deals is trusted.sales_deals now, with its history",
        "raw.crm_users is trusted.people now, with its history",
    ]
    assert tables(crm) == ["trusted.people", "trusted.sales_deals"]
    with small.worker():
        run = small.awaited(small.request("crm"))
    assert run["state"] == "success"
    deals = {line["stream"]: line for line in run["streams"]}["deals"]
    assert deals["rows_read"] < 260  # by its bookmark, which came with the table
    assert DeltaTable(str(crm.lake / "trusted" / "sales_deals")).version() >= before
    assert tables(crm) == ["trusted.people", "trusted.sales_deals"]


def test_a_table_goes_to_another_lake_too(crm: Desk, tmp_path: Path) -> None:
    said = moved(crm, {"lake": str(tmp_path / "second")})
    assert said[0] == f"{crm.lake}/raw/crm_deals is {tmp_path}/second/raw/crm_deals now, with its history"
    assert (tables(crm), crm.source("crm").lake) == ([], str(tmp_path / "second"))
    assert (tmp_path / "second" / "raw" / "crm_deals" / "_delta_log").is_dir()


def test_what_is_moved_goes_back_where_the_change_fails(crm: Desk) -> None:
    before, export = tables(crm), crm.export()
    with pytest.raises(ZeroDivisionError), relocation.moves(crm.home) as move, crm.database.writing() as session:
        source = sources.found(session, "crm", lock=True)
        sources.edit(session, crm.here, crm.actor, source, {"prefix": "sales_"}, move=move)
        assert tables(crm) == ["raw.sales_deals", "raw.sales_users"]
        raise ZeroDivisionError
    assert (tables(crm), crm.export()) == (before, export)


def test_tables_change_places_with_nobody(crm: Desk) -> None:
    before, export = tables(crm), crm.export()
    with pytest.raises(UsageError, match="has 'crm_users' already"):
        moved(crm, {}, {"deals": {"table": "crm_users"}, "users": {"table": "other"}})
    with pytest.raises(UsageError, match="has 'crm_users' already"):
        moved(crm, {}, {"deals": {"table": "crm_users"}, "users": {"table": "crm_deals"}})
    (crm.lake / "raw" / "mine").mkdir()
    with pytest.raises(UsageError, match="has 'mine' already"):
        moved(crm, {}, {"deals": {"table": "mine"}})
    assert (tables(crm), crm.export()) == (before, export)


def test_nothing_is_moved_while_a_run_is_at_work(crm: Desk) -> None:
    before, export = tables(crm), crm.export()
    with crm.database.writing() as session:
        session.add(Run(id="r1", source_id="crm", portal="p", cause="manual", state="running", queued_at=NOW))
    with pytest.raises(UsageError, match=r"The tables of crm cannot be moved now\. Why: its run r1 is at work"):
        moved(crm, {"prefix": "sales_"})
    assert (tables(crm), crm.export()) == (before, export)
    assert crm.edit("crm", prefix="sales_")[0].startswith("raw.crm_deals stays as it is")


def test_nothing_is_moved_while_another_program_holds_a_table(crm: Desk) -> None:
    before, export = tables(crm), crm.export()
    path = crm.lake / "raw" / "crm_users"
    with crm.home.ready().lock(f"table-{lock_name(path)}", "it"), pytest.raises(HeldError, match=r"raw\.crm_users"):
        moved(crm, {"prefix": "sales_"})
    assert (tables(crm), crm.export()) == (before, export)


def test_a_file_moves_tables_where_that_is_asked_for(crm: Desk) -> None:
    text = crm.export().replace("prefix: crm_", "prefix: sales_")
    with relocation.moves(crm.home) as move:
        plan = crm.apply(text, move=move)
    assert plan.effects[0] == "raw.crm_deals is raw.sales_deals now, with its history"
    assert tables(crm) == ["raw.sales_deals", "raw.sales_users"]


def test_a_source_on_postgresql_is_locked_while_its_tables_move(service_on_postgres: Service, serve: Serve) -> None:
    service = service_on_postgres
    desk = Desk(service.database, service.home, service.lake)
    desk.make("crm", "users", url=serve().url)
    with service.worker():
        service.awaited(service.request("crm"))
    waiting = service.request("crm")
    with relocation.moves(desk.home) as move, desk.database.writing() as session:
        source = sources.found(session, "crm", lock=True)
        sources.edit(session, desk.here, desk.actor, source, {"prefix": "sales_"}, move=move)
        assert service.claim() is None  # nobody takes up a run that would look for the tables
    run = service.claim()
    assert run is not None
    assert run.id == waiting
    assert tables(desk) == ["raw.sales_users"]

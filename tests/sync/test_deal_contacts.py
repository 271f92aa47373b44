"""CONTACT_IDS of deals: all contacts of each, in bulk, in their order."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from b24lake.sandbox import Server
from b24lake.sync.report import RunReport
from running import Lake, command, environment

LIST = pa.list_(pa.field("element", pa.int64()))


def sync(lake: Lake, server: Server, **options: Any) -> RunReport:
    return lake.sync(server.url, "deals", **{"deal_contacts": True, **options})


def truth(server: Server) -> dict[int, list[int] | None]:
    contacts = server.portal.tables.contacts["deals"]
    return {int(row["ID"]): contacts(int(row["ID"])) or None for row in server.portal.truth("deals")}


def here(lake: Lake) -> dict[int, list[int] | None]:
    table = deltalake.DeltaTable(lake.table("deals")).to_pyarrow_table(columns=["ID", "CONTACT_IDS"])
    assert pa.schema(deltalake.DeltaTable(lake.table("deals")).schema()).field("CONTACT_IDS").type == LIST
    found = {row["ID"]: row["CONTACT_IDS"] for row in table.to_pylist()}
    assert len(found) == table.num_rows
    return found


def test_every_deal_has_its_contacts_in_their_order(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=3000)
    report = sync(lake, server)
    assert report.status == "success"
    assert here(lake) == truth(server)
    assert max(len(each or ()) for each in here(lake).values()) > 3
    assert report.streams[0].rows_read == 3000
    assert not report.notes
    assert "crm.deal.contact.items.get" not in server.portal.counters.commands


def test_contacts_of_a_large_portal_take_few_requests(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=20_000, operating_limit=0)
    lake.sync(server.url, "deals", full=True)
    without = server.portal.counters.requests
    server.portal.reset_counters()
    assert sync(lake, server).status == "success"
    assert server.portal.counters.requests - without <= 20
    assert here(lake) == truth(server)


def test_a_later_run_asks_for_those_of_the_deals_it_reads(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=2000)
    sync(lake, server)
    server.portal.reset_counters()
    ids = list(truth(server))
    for deal, contacts in zip(ids[::200], ([], [5], [9, 3, 7], [3, 9, 7]), strict=False):
        server.portal.lay("contacts", "deals", deal, contacts)
    (line,) = sync(lake, server, overlap=timedelta(0)).streams
    assert line.rows_read < 50
    assert here(lake) == truth(server)
    assert here(lake)[ids[400]] == [9, 3, 7]
    assert server.portal.counters.commands["crm.item.list"] <= 10


def test_switching_it_is_a_full_read(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "deals")
    assert set(here(lake).values()) == {None}
    report = sync(lake, server)
    assert any("read in full" in note for note in report.notes)
    assert here(lake) == truth(server)
    assert lake.sync(server.url, "deals").streams[0].rows_read == 260


@pytest.mark.parametrize("how", ["absent", "refused"])
def test_without_the_bulk_method_deals_are_asked_one_by_one(serve: Callable[..., Server], lake: Lake, how: str) -> None:
    server = serve(deals=700, **({"missing_methods": ("crm.item.list",)} if how == "absent" else {}))
    if how == "refused":
        server.portal.fault("no_access", method="crm.item.list")
    report = sync(lake, server)
    assert report.status == "success", report.as_json()
    assert here(lake) == truth(server)
    assert server.portal.counters.commands["crm.deal.contact.items.get"] == 700
    assert server.portal.counters.requests < 700 / 50 + 15
    some = list(truth(server))[3]
    server.portal.lay("contacts", "deals", some, [8, 2])
    sync(lake, server, overlap=timedelta(0))
    assert here(lake) == truth(server)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "missing_keys", "rate": 0.2},
        {"kind": "internal_error", "rate": 0.1},
        {"kind": "operation_limit", "method": "crm.item.list", "next": 5},
        {"kind": "short_pages", "method": "crm.item.list", "after": 5, "every": 7},
    ],
    ids=lambda fault: str(fault["kind"]),
)
def test_what_is_not_answered_is_asked_again(serve: Callable[..., Server], lake: Lake, fault: dict[str, Any]) -> None:
    server = serve(deals=900, operating_window=10)  # for as long a method may rest
    server.portal.fault(**fault)
    report = sync(lake, server)
    server.portal.mend()
    assert report.status == "success", report.as_json()
    assert here(lake) == truth(server)


def test_deals_that_come_or_change_meanwhile_have_theirs_all_the_same(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=600)
    server.portal.plan("create", "deals", count=3, after=14, unit="page", method="crm.item.list")
    report = sync(lake, server)
    assert not report.notes
    assert len(here(lake)) == report.streams[0].rows_read == 603
    assert here(lake) == truth(server)
    assert server.portal.counters.commands["crm.deal.contact.items.get"] == 3

    some, *_rest, other = [deal for deal, contacts in truth(server).items() if contacts]
    server.portal.change("deals", some, {})
    server.portal.churn.clear()
    server.portal.plan("change", "deals", id=other, after=2, unit="page", method="crm.item.list")
    server.portal.plan("create", "deals", after=2, unit="page", method="crm.item.list")
    report = sync(lake, server, overlap=timedelta(0))
    assert not report.notes
    assert here(lake) == truth(server)
    assert server.portal.counters.commands["crm.deal.contact.items.get"] > 3


def test_where_late_deals_cannot_be_asked_for_they_get_theirs_with_the_next_run(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve(deals=600)
    server.portal.plan("create", "deals", count=3, after=14, unit="page", method="crm.item.list")
    server.portal.fault("no_access", method="crm.deal.contact.items.get")
    report = sync(lake, server)
    assert (report.status, len(here(lake)), report.streams[0].portal_total) == ("success", 603, 603)
    assert any("3 came or changed" in note and "come with the next run" in note for note in report.notes)
    assert sync(lake, server).status == "success"
    assert here(lake) == truth(server)


def test_very_many_late_deals_are_left_to_the_next_run(
    serve: Callable[..., Server], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("b24lake.reading.contacts.MOST_LATE", 20)
    server = serve(deals=600)
    server.portal.plan("create", "deals", count=21, after=14, unit="page", method="crm.item.list")
    report = sync(lake, server)
    assert any("21 came or changed" in note for note in report.notes)
    assert "crm.deal.contact.items.get" not in server.portal.counters.commands
    assert sync(lake, server).status == "success"
    assert here(lake) == truth(server)


def test_a_killed_run_is_gone_on_with(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=8000, deal_fields=50, page_ms=6.0, operating_limit=0)
    words = command("sync", server.url, "-s", "deals", "--deal-contacts", "--json")
    run = subprocess.Popen(words, env=environment(lake), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    staging = Path(lake.table("deals")) / "_staging"
    while len(list(staging.glob("*/*.held"))) < 2:
        assert run.poll() is None, "the run was too quick to be killed"
        time.sleep(0.005)
    run.kill()
    run.communicate()
    deal = next(iter(truth(server)))
    server.portal.lay("contacts", "deals", deal, [4, 1])
    report = sync(lake, server)
    assert any("goes on behind" in note for note in report.notes)
    assert report.status == "success"
    assert here(lake) == truth(server)


def test_a_portal_without_deals_has_none(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=0)
    assert sync(lake, server).streams[0].status == "empty"
    assert here(lake) == {}

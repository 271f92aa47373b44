"""Deals of chosen funnels only, and what belongs to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import deltalake
import pytest

from b24lake.errors import UsageError
from b24lake.sandbox import Server
from b24lake.sync.report import RunReport
from running import Lake, Ran

STREAMS = ("deals", "deal_comments", "deal_products", "deal_stage_history")
ON = {"deal_comments": True, "deal_products": True, "deal_contacts": True}


def sync(lake: Lake, server: Server, *categories: int, **options: Any) -> RunReport:
    return lake.sync(server.url, *STREAMS, **{**ON, "deal_categories": categories, **options})


def column(lake: Lake, stream: str, name: str) -> set[int]:
    table = deltalake.DeltaTable(lake.table(stream)).to_pyarrow_table(columns=[name])
    return set(table.column(name).to_pylist())


def deals_of(server: Server, *categories: int) -> set[int]:
    rows = server.portal.truth("deals")
    return {int(row["ID"]) for row in rows if not categories or int(row["CATEGORY_ID"]) in categories}


def owners(server: Server, deals: set[int]) -> tuple[set[int], set[int]]:
    """Those of the deals that have comments, and those that have product rows."""
    tables = server.portal.tables
    products = tables.product_rows("D")
    return {id_ for id_ in deals if tables.comments["deal"](id_)}, {id_ for id_ in deals if products(id_)}


def assert_equal(lake: Lake, server: Server, *categories: int) -> None:
    deals = deals_of(server, *categories)
    assert column(lake, "deals", "ID") == deals
    with_comments, with_products = owners(server, deals)
    assert column(lake, "deal_comments", "ENTITY_ID") == with_comments
    assert column(lake, "deal_products", "OWNER_ID") == with_products
    history = [row for row in server.portal.tables.histories[2].rows() if int(row["CATEGORY_ID"]) in categories]
    assert column(lake, "deal_stage_history", "ID") == {int(row["ID"]) for row in history}
    assert column(lake, "deal_stage_history", "CATEGORY_ID") == set(categories)


def funnels(server: Server) -> list[int]:
    return sorted({int(row["CATEGORY_ID"]) for row in server.portal.truth("deals")})


def test_only_the_chosen_funnels_are_read(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=600)
    chosen = funnels(server)[:2]
    assert 0 in chosen
    report = sync(lake, server, *chosen)
    assert report.status == "success", report.as_json()
    assert not any("CONTACT_IDS" in note for note in report.notes)
    assert_equal(lake, server, *chosen)
    assert deals_of(server) > deals_of(server, *chosen)


def test_another_choice_is_a_full_read_of_all_of_them(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=600)
    first, second, *_ = funnels(server)
    sync(lake, server, first)
    report = sync(lake, server, first, second)
    assert sum("read in full" in note for note in report.notes) == 4
    assert_equal(lake, server, first, second)
    report = sync(lake, server, second, first)
    assert not any("read in full" in note for note in report.notes)


def test_an_earlier_choice_is_read_in_full_again(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=600)
    first, second, *_ = funnels(server)
    for chosen in (first, second, first):
        sync(lake, server, chosen, accept_deletions=True)
        assert_equal(lake, server, chosen)


def test_a_deal_that_leaves_the_funnels_goes_at_the_next_full_sync(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=300)
    first, second, *_ = funnels(server)
    sync(lake, server, first)
    left = next(iter(owners(server, deals_of(server, first))[0]))
    server.portal.change("deals", left, {"CATEGORY_ID": str(second)})
    sync(lake, server, first)
    assert left in column(lake, "deals", "ID")
    assert left in column(lake, "deal_comments", "ENTITY_ID")
    sync(lake, server, first, full=True)
    assert_equal(lake, server, first)


def test_an_unknown_funnel_is_refused_with_those_that_there_are(b24lake: Callable[..., Ran], serve: Any) -> None:
    server = serve()
    ran = b24lake("sync", server.url, "-s", "deals", "--deal-categories", "1,99")
    assert ran.code == 2
    assert "no funnel 99" in ran.err
    assert "0 (" in ran.err
    for words in (["plan", server.url, "--deal-categories", "77"], ["sync", server.url, "--deal-categories", "one"]):
        assert b24lake(*words).code == 2


CLASSIC = ("crm.dealcategory.list", "crm.dealcategory.default.get")


@pytest.mark.parametrize("missing", [("crm.category.list",), ("crm.category.list", *CLASSIC)])
def test_older_portals_tell_their_funnels_otherwise_or_not_at_all(
    serve: Callable[..., Server], lake: Lake, missing: tuple[str, ...]
) -> None:
    server = serve(missing_methods=missing)
    first, *_ = funnels(server)
    report = sync(lake, server, first)
    assert report.status == "success"
    assert_equal(lake, server, first)
    told = len(missing) == 1
    assert any("were not checked" in note for note in report.notes) != told
    if told:
        with pytest.raises(UsageError, match="no funnel 99"):
            sync(lake, server, 99)


@pytest.mark.parametrize("stream", ["deals", "deal_comments"])
def test_a_portal_that_ignores_the_filter_is_noticed(serve: Callable[..., Server], lake: Lake, stream: str) -> None:
    server = serve()
    server.portal.fault("unknown_filter", method="crm.deal.list", field="CATEGORY_ID")
    (line,) = lake.sync(server.url, stream, deal_comments=True, deal_categories=(1,)).streams
    assert line.status == "failed"
    assert "ignored the filter on CATEGORY_ID" in (line.error or "")

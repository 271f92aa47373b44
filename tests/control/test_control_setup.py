"""The setup of a source: its steps, its name, its prefix, and names of tables judged all at once."""

from __future__ import annotations

import pytest
from deltalake import write_deltalake
from desk import NOBODY, Desk
from pyarrow import table

from b24lake.control import claims, setup, sources
from b24lake.control.models import Source
from b24lake.control.sources import Wanted
from b24lake.portal.webhook import parse

OTHER = "https://globex.bitrix24.com/rest/1/SECRETSECRET/"
FAILED = {"name": "connection", "state": "failed", "says": "no answer", "cure": ""}


def draft(desk: Desk, name: str, *streams: str, url: str = NOBODY, prefix: str = "bitrix24_") -> Source:
    wanted = Wanted(name, parse(url), streams=streams, settings={"prefix": prefix})
    with desk.database.writing() as session:
        return sources.create(session, desk.keyring, desk.here, desk.actor, wanted)


def test_a_draft_goes_on_at_the_first_step_that_is_not_done(small_desk: Desk) -> None:
    source = draft(small_desk, "crm")
    assert (setup.first_open(source), setup.reachable(source)) == ("access", ("access",))
    setup.mark(source, "access")
    assert setup.first_open(source) == "streams"
    source.checks = [FAILED]
    assert setup.first_open(source) == "access"  # what was done does not hold any more
    source.checks = []
    setup.mark(source, "source")  # a later step without those before it
    assert setup.reachable(source) == ("access", "streams")
    setup.mark(source, "access", done=False)
    assert (setup.first_open(source), source.setup) == ("access", ["source"])


def test_of_an_active_source_every_step_can_be_gone_to(small_desk: Desk) -> None:
    source = small_desk.source(small_desk.make("crm"))
    assert setup.reachable(source) == setup.STEPS
    assert setup.following("check") == "check"


def test_a_copy_has_done_the_steps_of_its_original(small_desk: Desk) -> None:
    source_id = draft(small_desk, "crm", "deals").id
    with small_desk.database.writing() as session:
        source = sources.found(session, source_id)
        for step in ("access", "tables", "source"):
            setup.mark(source, step)
        copy = sources.duplicate(session, small_desk.here, small_desk.actor, source)
        assert setup.first_open(copy) == "check"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("acme.bitrix24.com", "acme"),
        ("www.acme.com.br/portal", "acme"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("[::1]:8080", "Bitrix24"),
        ("globex.bitrix24.com", "globex 3"),
    ],
)
def test_a_source_is_named_after_its_portal(small_desk: Desk, address: str, name: str) -> None:
    draft(small_desk, "globex")
    draft(small_desk, "globex 2")
    with small_desk.database.reading() as session:
        assert setup.suggested_name(session, address) == name


def test_a_prefix_is_free_until_somebody_uses_it(small_desk: Desk) -> None:
    def free(source: Source) -> str:
        with small_desk.database.reading() as session:
            return claims.free_prefix(session, source, small_desk.here)

    first = draft(small_desk, "crm")
    assert free(first) == "bitrix24_"
    second = draft(small_desk, "Sales CRM", url=OTHER)
    assert free(second) == "sales_crm_"
    draft(small_desk, "other", prefix="SALES_crm_")
    assert free(second) == "sales_crm_2_"


def test_a_prefix_is_not_free_where_somebody_elses_tables_have_it(small_desk: Desk) -> None:
    source = draft(small_desk, "crm")
    write_deltalake(small_desk.lake / "raw" / "bitrix24_deals", table({"x": [1]}))
    with small_desk.database.reading() as session:
        assert claims.free_prefix(session, source, small_desk.here) == "crm_"


def test_all_that_is_wrong_with_names_is_found_at_once(small_desk: Desk) -> None:
    small_desk.make("other", "leads", prefix="taken_")
    source = draft(small_desk, "crm", "deals")
    for name in ("strange", "stranger"):
        write_deltalake(small_desk.lake / "raw" / name, table({"x": [1]}))
    names = {
        "deals": "Same",
        "contacts": "same",
        "leads": "TAKEN_leads",
        "users": "select",
        "calls": "a b",
        "product": "Strange",
        "companies": "stranger",
        "activities": "fine",
    }
    with small_desk.database.reading() as session:
        found = claims.problems(session, source, small_desk.here, "raw", names)
        elsewhere = claims.problems(session, source, small_desk.here, "trusted", {"leads": "taken_leads"})
    assert {stream: error.what for stream, error in found.items()} == {
        "contacts": "The table raw.same has a writer already",
        "leads": "The table raw.TAKEN_leads has a writer already",
        "users": "'select' cannot be the name of a table",
        "calls": "'a b' cannot be the name of a table",
        "product": "The table raw.Strange cannot be made beside raw.strange",
        "companies": f"The table {small_desk.lake / 'raw' / 'stranger'} was not made by b24lake",
    }
    assert "of this source" in found["contacts"].why
    assert elsewhere == {}

"""Sources: from draft to deletion; no two write one table, and what a change means is said before it happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from desk import NOBODY, NOW, Desk
from sqlalchemy import select

from b24lake.control import claims, offers, sources
from b24lake.control.models import Audit, Run, Source, Trigger
from b24lake.control.source_settings import FIELDS, options_of, read, webhook_of
from b24lake.control.sources import Wanted
from b24lake.errors import B24LakeError, UsageError
from b24lake.portal.webhook import parse
from b24lake.sandbox import Server
from b24lake.sync.run import sync

Serve = Callable[..., Server]
OTHER = "https://other.bitrix24.com/rest/7/ANOTHERSECRET/"


def read_once(desk: Desk, name: str, **options: Any) -> str:
    """One run of a source, as a worker would do it. Returns the status."""
    source = desk.source(name)
    return sync(webhook_of(source, desk.keyring), options_of(source, desk.lake), desk.home).status


# --- making -----------------------------------------------------------------------------------------------------------


def test_a_source_is_checked_chosen_and_switched_on_in_one_step(serve: Serve, desk: Desk) -> None:
    wanted = Wanted("Sales CRM", parse(serve().url), streams=("deals", "spa_*"), settings={"retries": "5"})
    made, checked = sources.set_up(desk.database, desk.keyring, desk.here, desk.actor, wanted)
    source = desk.source("sales-crm")
    assert (made, source.state, source.retries) == ("sales-crm", "active", 5)
    assert {one.state for one in checked.checks if one.name != "clock"} == {"ok"}
    names = {one.stream for one in source.streams if one.selected}
    assert names == {"deals", "spa_types", *(f"spa_{part}{n}" for part in ("", "fields_") for n in (128, 156, 1032))}
    assert {one.table_name for one in source.streams} == {f"bitrix24_{name}" for name in names}


def test_without_names_everything_that_can_be_read_is_chosen(serve: Serve, small_desk: Desk) -> None:
    desk, server = small_desk, serve(scopes=("user", "department"))
    sources.set_up(desk.database, desk.keyring, desk.here, desk.actor, Wanted("a", parse(server.url)))
    assert {one.stream for one in desk.source("a").streams} == {"users", "departments"}


@pytest.mark.parametrize(
    ("settings", "patterns", "says"),
    [
        ({"scopes": ()}, (), None),
        ({"scopes": ("user",)}, ("deals",), "The scope crm is missing"),
        ({}, ("dealz",), "did you mean deals"),
        ({}, ("deal_comments",), "set deal_comments=true"),
    ],
)
def test_a_source_that_cannot_begin_is_not_kept(
    serve: Serve, small_desk: Desk, settings: dict[str, Any], patterns: tuple[str, ...], says: str | None
) -> None:
    desk, wanted = small_desk, Wanted("crm", parse(serve(**settings).url), streams=patterns)
    if says is None:
        made, checked = sources.set_up(desk.database, desk.keyring, desk.here, desk.actor, wanted)
        assert (made, checked.status) == (None, "failed")
    else:
        with pytest.raises(UsageError, match=says):
            sources.set_up(desk.database, desk.keyring, desk.here, desk.actor, wanted)
    with desk.database.reading() as session:
        assert sources.listed(session) == []


def test_names_become_ids_that_are_free(desk: Desk) -> None:
    assert [desk.make("CRM", prefix=f"p{n}_") for n in range(3)] == ["crm", "crm-2", "crm-3"]
    with pytest.raises(UsageError, match="There is a source 'crm'"), desk.database.writing() as session:
        sources.create(session, desk.keyring, desk.here, desk.actor, Wanted("x", parse(NOBODY), source_id="crm"))


def test_a_source_is_found_by_id_or_name_and_else_the_nearest_is_told(small_desk: Desk) -> None:
    small_desk.make("Sales CRM", prefix="a_")
    assert small_desk.source("sales-crm").id == small_desk.source("Sales CRM").id == "sales-crm"
    with pytest.raises(UsageError, match="did you mean sales-crm"):
        small_desk.source("sale-crm")
    small_desk.make("Sales CRM", prefix="b_")
    with pytest.raises(UsageError, match="several sources"):
        small_desk.source("Sales CRM")


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("description", "  What sales works on ", "What sales works on"),
        ("description", "ä" * 140, "ä" * 140),
        ("deal_comments", "yes", True),
        ("deal_categories", "0, 1 1", [0, 1]),
        ("deal_categories", [3], [3]),
        ("threshold", "0", 0.0),
        ("overlap_seconds", "10m", 600),
        ("overlap_seconds", 90, 90),
        ("late_after_seconds", "none", None),
        ("late_after_seconds", "1d", 86400),
        ("retries", "0", 0),
        ("layer", "trusted", "trusted"),
        ("prefix", "", ""),
        ("concurrency", "32", 32),
    ],
)
def test_settings_are_read_as_people_write_them(name: str, given: Any, kept: Any) -> None:
    assert read(name, given) == kept


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("description", "x" * 141, "it has 141 signs"),
        ("description", "two\nlines", "one line of text"),
        ("description", "null\0", "one line of text"),
        ("name", "  ", "not empty"),
        ("deal_comments", "maybe", "true or false"),
        ("deal_categories", "one", "list of ids"),
        ("deal_categories", "-1", "list of ids"),
        ("threshold", "-1", "a number of seconds"),
        ("threshold", "nan", "a number of seconds"),
        ("overlap_seconds", "soon", "not a duration"),
        ("late_after_seconds", "5s", "at least a minute"),
        ("retries", "-1", "from 0 to 20"),
        ("retries", "1.5", "from 0 to 20"),
        ("max_failures", "0", "from 1 to 100"),
        ("log_days", "²", "from 0 to 3650"),
        ("concurrency", "33", "from 1 to 32"),
        ("deleted", "burn", "remove or mark or keep"),
        ("portal_plan", "basic", "standard or enterprise"),
        ("reader", "modern", "classic or universal"),
        ("lake", "some/lake", "a whole path"),
        ("layer", "raw/../etc", "cannot be the name of a layer"),
        ("layer", "select", "cannot be the name of a layer"),
        ("prefix", "bitrix 24", "cannot be the name"),
        ("retires", "3", "did you mean retries"),
        ("xyzzy", "3", "the settings are"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_change_nothing(
    small_desk: Desk, name: str, given: Any, says: str
) -> None:
    desk, _ = small_desk, small_desk.make("crm")
    before = desk.export()
    with pytest.raises(UsageError) as caught:
        desk.change("crm", {"max_failures": 4, name: given})
    assert name in str(caught.value)
    assert says in str(caught.value)
    assert desk.export() == before


def test_every_setting_of_a_run_comes_to_it(small_desk: Desk) -> None:
    other = {
        "deal_contacts": True, "deal_comments": True, "deal_products": True, "deal_categories": [1],
        "threshold": 5.0, "overlap_seconds": 60, "calls_look_back_seconds": 61, "deleted": "mark",
        "accept_deletions": True, "concurrency": 2, "portal_plan": "enterprise", "reader": "universal",
    }  # fmt: skip
    assert set(other) == {name for name, field in FIELDS.items() if field.option}
    small_desk.make("crm", "deals", "activities", **other)
    changes = {
        "deals": {"sync_type": "FULL_TABLE", "table": "mine", "exclude": "OPPORTUNITY, UF_* OPPORTUNITY"},
        "activities": {"replication_key": "LAST_UPDATED", "hash": ["SUBJECT"]},
    }
    small_desk.edit("crm", streams=changes)
    options = options_of(small_desk.source("crm"), small_desk.lake)
    durations = {"overlap": options.overlap.seconds, "calls_look_back": options.calls_look_back.seconds}
    for name, value in other.items():
        found = durations.get(name.removesuffix("_seconds"), getattr(options, name.removesuffix("_seconds"), None))
        assert (list(found) if isinstance(found, tuple) else found) == value, name
    assert options.streams == ("activities", "deals")
    assert options.tables == {"activities": "crm_activities", "deals": "mine"}
    assert options.sync_types["deals"] == "FULL_TABLE"
    assert options.replication_keys["activities"] == "LAST_UPDATED"
    assert (options.exclude, options.hash) == (("deals.OPPORTUNITY", "deals.UF_*"), ("activities.SUBJECT",))


@pytest.mark.parametrize(
    ("stream", "changes", "says"),
    [
        ("deals", {"sync_type": "SOMETIMES"}, "no sync type 'SOMETIMES'"),
        ("users", {"sync_type": "INCREMENTAL"}, "choose FULL_TABLE"),
        ("deals", {"replication_key": "ID"}, "choose DATE_MODIFY"),
        ("users", {"replication_key": "ID"}, "always read in full"),
        ("deals", {"table": "a/b"}, "cannot be the name of a table"),
        ("deals", {"table": "ORDER"}, "it is a word of SQL"),
        ("deals", {"tabel": "x"}, "did you mean table"),
        ("deals", {"exclude": "ID"}, r"exclude deals\.ID: deals cannot do without ID"),
        ("deals", {"exclude": "TITLE", "hash": "UF_*,DATE_MODIFY"}, "rows are chosen by it"),
        ("deals", {"hash": "deals.TITLE"}, r"deals\.hash=PHONE,UF_\*"),
        ("leads", {"table": "x"}, "does not read leads"),
        ("dealz", {"table": "x"}, "did you mean deals"),
    ],
)
def test_what_a_stream_does_not_offer_is_refused(
    small_desk: Desk, stream: str, changes: dict[str, Any], says: str
) -> None:
    small_desk.make("crm", "deals", "users")
    with pytest.raises(UsageError, match=says):
        small_desk.edit("crm", streams={stream: changes})


def test_a_stream_whose_setting_is_switched_off_is_no_longer_read(small_desk: Desk) -> None:
    small_desk.make("crm", "deals", "deal_comments", deal_comments=True)
    assert small_desk.edit("crm", deal_comments="no") == ["deal_comments is no longer read, since its setting is off"]
    assert options_of(small_desk.source("crm"), small_desk.lake).streams == ("deals",)


# --- tables -----------------------------------------------------------------------------------------------------------


def test_two_sources_never_write_one_table(desk: Desk) -> None:
    desk.make("crm", "deals", "leads", prefix="x_")
    link = desk.lake.parent / "link"
    desk.lake.mkdir()
    link.symlink_to(desk.lake)
    for prefix, lake in [
        ("x_", ""),
        ("X_", ""),
        ("x_", str(desk.lake)),
        ("x_", f"{desk.lake.parent}/./lake/../lake/"),
        ("x_", str(link)),
    ]:
        with pytest.raises(UsageError, match="deals of the source crm goes there"):
            desk.make("second", "deals", prefix=prefix, lake=lake)
    desk.make("elsewhere", "deals", prefix="x_", lake=str(desk.lake.parent / "another"))
    desk.make("second", "deals", prefix="x_", layer="trusted")
    with pytest.raises(UsageError, match="deals of the source crm goes there"):
        desk.edit("second", layer="raw")
    with pytest.raises(UsageError, match=r"raw\.x_leads has a writer already\. Why: deals of this source"):
        desk.edit("crm", streams={"deals": {"table": "X_LEADS"}})
    assert desk.source("second").layer == "trusted"


def test_two_changes_at_once_do_not_give_a_table_two_writers(desk: Desk) -> None:
    ready, made, refused = threading.Barrier(2), list[str](), list[B24LakeError]()

    def make(name: str) -> None:
        ready.wait()
        try:
            made.append(desk.make(name, prefix="same_"))
        except B24LakeError as error:
            refused.append(error)

    threads = [threading.Thread(target=make, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 1)
    assert "has a writer already" in str(refused[0])


def test_a_change_of_names_says_what_becomes_of_the_tables(serve: Serve, small_desk: Desk) -> None:
    desk = small_desk
    desk.make("crm", "departments", "users", url=serve().url)
    assert desk.edit("crm", prefix="first_") == []  # there are no tables yet
    assert read_once(desk, "crm") == "success"
    assert desk.edit("crm", prefix="second_") == [
        "raw.first_departments stays as it is; the next run reads departments in full, into raw.second_departments",
        "raw.first_users stays as it is; the next run reads users in full, into raw.second_users",
    ]
    assert read_once(desk, "crm") == "success"
    assert (desk.lake / "raw" / "first_users").is_dir()
    assert desk.edit("crm", streams={"users": {"table": "first_users"}}) == [
        "raw.second_users stays as it is; the next run goes on with the table that is there, into raw.first_users"
    ]
    assert desk.edit("crm", layer="trusted")[0].endswith("into trusted.second_departments")


def test_a_table_of_another_portal_or_program_is_refused(serve: Serve, small_desk: Desk) -> None:
    desk = small_desk
    desk.make("crm", "users", url=serve().url, prefix="a_")
    assert read_once(desk, "crm") == "success"
    with desk.database.writing() as session:
        sources.delete(session, desk.here, desk.actor, sources.found(session, "crm"), tables="keep")
    with pytest.raises(UsageError, match="belongs to stream 'users' of portal"):
        desk.make("other", "users", url=OTHER, prefix="a_")
    (desk.lake / "raw" / "b_users").mkdir()
    (desk.lake / "raw" / "b_users" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="files that are not a table's"):
        desk.make("other", "users", url=OTHER, prefix="b_")


def test_a_layer_that_does_not_exist_is_refused(small_desk: Desk) -> None:
    with pytest.raises(UsageError, match="its layers are raw, trusted, service"):
        small_desk.make("crm", layer="gold")


# --- checks -----------------------------------------------------------------------------------------------------------


def test_checks_tell_what_is_wrong_with_the_webhook_the_streams_the_lake_and_the_tables(
    serve: Serve, small_desk: Desk
) -> None:
    desk, server = small_desk, serve(scopes=("user", "crm"))
    desk.make("crm", "users", "deals", "calls", "spa_1099", url=server.url)
    (desk.lake / "raw" / "crm_users").mkdir(parents=True)
    (desk.lake / "raw" / "crm_users" / "notes.txt").write_text("mine")
    checked = sources.check(desk.source("crm"), desk.keyring, desk.here, NOW)
    states = {one.name: one.state for one in checked.checks}
    assert (states["connection"], states["lake"], states["tables"]) == ("ok", "ok", "failed")
    assert (states["chosen calls"], states["chosen spa_1099"], checked.status) == ("failed", "warning", "failed")
    with desk.database.writing() as session:
        sources.keep_checks(session, sources.found(session, "crm"), checked, NOW)
    assert desk.source("crm").checked_at == NOW
    assert {one["name"] for one in desk.source("crm").checks} == set(states)


def test_a_draft_begins_only_when_it_reads_something_and_its_checks_hold(serve: Serve, small_desk: Desk) -> None:
    desk = small_desk
    wanted = Wanted("crm", parse(serve(scopes=()).url))
    with desk.database.writing() as session:
        draft = sources.create(session, desk.keyring, desk.here, desk.actor, wanted)
        with pytest.raises(UsageError, match="reads no stream"):
            sources.activate(session, desk.actor, draft)
        sources.edit(session, desk.here, desk.actor, draft, {}, only=["deals"])
        sources.keep_checks(session, draft, sources.check(draft, desk.keyring, desk.here, NOW), NOW)
        with pytest.raises(UsageError, match="scopes: none"):
            sources.activate(session, desk.actor, draft)
    assert desk.source("crm").state == "draft"


def test_streams_are_listed_with_what_is_read_locked_and_hidden(serve: Serve, small_desk: Desk) -> None:
    desk, server = small_desk, serve(scopes=("crm", "user"))
    desk.make("crm", "deals", "users", "spa_1099", url=server.url)
    source = desk.source("crm")
    found = offers.offered(source, desk.keyring, desk.here)
    lines = {one["stream"]: one for one in offers.lines(source, found)}
    states = {name: lines[name]["status"] for name in ("deals", "calls", "deal_comments", "spa_1099", "leads")}
    assert states == {
        "deals": "available", "calls": "locked", "deal_comments": "hidden", "spa_1099": "gone", "leads": "available",
    }  # fmt: skip
    assert [name for name, one in lines.items() if one["selected"]] == ["deals", "spa_1099", "users"]
    picked = offers.picked(source, found, add=["leads", "comp*"], drop=["spa_*"])
    assert sorted(picked) == ["companies", "company_fields", "deals", "leads", "users"]
    with pytest.raises(UsageError, match="does not read calls"):
        offers.picked(source, found, drop=["calls"])


# --- states and ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "action", "becomes"),
    [
        ("draft", "activate", "active"), ("draft", "pause", None), ("draft", "resume", None),
        ("active", "activate", None), ("active", "pause", "paused"), ("active", "resume", None),
        ("paused", "activate", None), ("paused", "pause", None), ("paused", "resume", "active"),
        ("stopped", "activate", None), ("stopped", "pause", None), ("stopped", "resume", "active"),
    ],
)  # fmt: skip
def test_states_change_only_as_they_should(small_desk: Desk, state: str, action: str, becomes: str | None) -> None:
    desk, _ = small_desk, small_desk.make("crm")
    with desk.database.writing() as session:
        source = sources.found(session, "crm")
        source.state, source.failures = state, 3
        session.flush()
        if becomes is None:
            with pytest.raises(UsageError, match=state):
                getattr(sources, action)(session, desk.actor, source)
        else:
            getattr(sources, action)(session, desk.actor, source)
    found = desk.source("crm")
    assert found.state == (becomes or state)
    assert found.failures == (0 if action == "resume" and becomes else 3)


def test_another_webhook_of_the_same_portal_is_taken_and_one_of_another_is_not(serve: Serve, small_desk: Desk) -> None:
    desk, server = small_desk, serve()
    desk.make("crm", "departments", url=server.url)
    assert read_once(desk, "crm") == "success"
    with desk.database.writing() as session:
        source = sources.found(session, "crm")
        renewed = parse(server.url.replace("sandboxcode1234ab", "freshcode1234abcd"))
        sources.change_webhook(session, desk.keyring, desk.here, desk.actor, source, renewed)
    assert webhook_of(desk.source("crm"), desk.keyring).code == "freshcode1234abcd"
    with pytest.raises(UsageError, match="make another source"), desk.database.writing() as session:
        source = sources.found(session, "crm")
        sources.change_webhook(session, desk.keyring, desk.here, desk.actor, source, parse(OTHER))


def test_a_copy_is_a_draft_with_tables_of_its_own(desk: Desk) -> None:
    desk.make("crm", "deals", "leads", prefix="a_", retries=7)
    desk.edit("crm", streams={"leads": {"table": "anfragen", "sync_type": "FULL_TABLE"}})
    desk.trigger("crm", {"times": ["06:30"], "zone": "UTC"}, key="daily")
    with desk.database.writing() as session:
        sources.duplicate(session, desk.here, desk.actor, sources.found(session, "crm"))
    copy = desk.source("crm-copy")
    assert (copy.name, copy.state, copy.retries, copy.prefix) == ("crm copy", "draft", 7, "crm_copy_")
    assert {one.stream: one.table_name for one in copy.streams} == {
        "deals": "crm_copy_deals", "leads": "crm_copy_anfragen",
    }  # fmt: skip
    assert webhook_of(copy, desk.keyring) == webhook_of(desk.source("crm"), desk.keyring)
    with desk.database.reading() as session:
        assert session.get_one(Trigger, "crm-copy.daily").spec["times"] == ["06:30"]


@pytest.mark.parametrize("tables", ["keep", "remove"])
def test_a_source_is_deleted_with_or_without_its_tables(serve: Serve, small_desk: Desk, tables: str) -> None:
    desk = small_desk
    desk.make("crm", "departments", "users", url=serve().url)
    read_once(desk, "crm")
    folder = desk.lake / "raw"
    (folder / "crm_users").rename(folder / "crm_moved")  # no longer the source's
    with desk.database.writing() as session:
        gone = sources.delete(session, desk.here, desk.actor, sources.found(session, "crm"), tables=tables)
    claims.remove(gone, desk.home)
    left = {path.name for path in folder.iterdir()}
    assert left == ({"crm_departments", "crm_moved"} if tables == "keep" else {"crm_moved"})
    with desk.database.reading() as session:
        assert session.scalars(select(Source)).all() == []
        assert session.scalars(select(Audit.action)).all()[-1] == "deleted"


def test_a_source_is_not_deleted_while_it_is_read_or_waited_for_or_without_a_word_about_its_tables(desk: Desk) -> None:
    desk.make("crm")
    desk.make("erp")
    desk.trigger("erp", {"sources": ["crm"]}, key="after")

    def delete(tables: str = "keep") -> list[Path]:
        with desk.database.writing() as session:
            return sources.delete(session, desk.here, desk.actor, sources.found(session, "crm"), tables=tables)

    with pytest.raises(UsageError, match="say keep or remove"):
        delete("")
    with pytest.raises(UsageError, match=r"the trigger erp\.after waits for it"):
        delete()
    with desk.database.writing() as session:
        session.add(Run(id="r1", source_id="crm", portal="p", cause="manual", state="running", queued_at=NOW))
    with pytest.raises(UsageError, match="its run r1 is at work"):
        delete()
    assert desk.source("crm").state == "active"


def test_who_did_what_is_written_down(small_desk: Desk) -> None:
    desk, _ = small_desk, small_desk.make("crm")
    desk.edit("crm", retries=4)
    with desk.database.reading() as session:
        told = [(one.who, one.at, one.action, one.object) for one in session.scalars(select(Audit).order_by(Audit.id))]
        detail = session.scalars(select(Audit.detail).where(Audit.action == "changed")).all()
    assert told == [("ann", NOW, action, "source crm") for action in ("created", "activated", "changed")]
    assert detail == [{"retries": "4"}]

"""Columns that a source leaves out or hashes, and its reader: through real runs, each in a process of its own."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from desk import NOW, Desk

from b24lake.control import sources
from b24lake.control.sources import Wanted
from b24lake.errors import UsageError
from b24lake.portal.webhook import parse
from b24lake.sandbox import Server
from service import Service

Serve = Callable[..., Server]
PHONES_GONE = {"contacts": {"exclude": "PHONE,UF_*", "hash": "LAST_NAME"}}


def table(desk: Desk, name: str) -> pa.Table:
    return DeltaTable(str(desk.lake / "raw" / name)).to_pyarrow_table()


def digest(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def last_names(desk: Desk, name: str) -> dict[int, str]:
    found = table(desk, name).select(["ID", "LAST_NAME"])
    return {row["ID"]: row["LAST_NAME"] for row in found.to_pylist()}


@pytest.mark.parametrize("reader", ["classic", "universal"])
@pytest.mark.parametrize("told", ["a key of this test", ""])
def test_a_run_leaves_out_and_hashes_what_its_source_says(
    small: Service, small_desk: Desk, serve: Serve, monkeypatch: pytest.MonkeyPatch, told: str, reader: str
) -> None:
    desk, server = small_desk, serve()
    monkeypatch.setenv("B24LAKE_HASH_KEY", told)
    desk.make("plain", "contacts", url=server.url)
    desk.make("crm", "contacts", "leads", url=server.url, reader=reader)
    assert desk.edit("crm", streams=PHONES_GONE) == []  # there is no table yet
    with small.worker():
        run = small.awaited(small.request("crm"))
        assert (run["state"], small.awaited(small.request("plain"))["state"]) == ("success", "success"), run["error"]
    held = table(desk, "crm_contacts").column_names
    assert [name for name in held if name == "PHONE" or name.startswith("UF_")] == []
    assert "PHONE" in table(desk, "plain_contacts").column_names
    assert "PHONE" in table(desk, "crm_leads").column_names
    key = told or (small.home.path / "hash.key").read_text()
    assert (small.home.path / "hash.key").exists() == (not told)
    named = {number: name for number, name in last_names(desk, "plain_contacts").items() if name}
    hashes = last_names(desk, "crm_contacts")
    assert named
    assert {number: hashes[number] for number in named} == {number: digest(key, name) for number, name in named.items()}


def test_the_key_of_hashes_stands_in_no_log_and_no_document_of_a_run(
    small: Service, small_desk: Desk, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B24LAKE_HASH_KEY", "hunter2hunter2")
    small_desk.make("crm", "contacts", url=serve().url)
    small_desk.edit("crm", streams=PHONES_GONE)
    with small.worker():
        assert small.awaited(small.request("crm"))["state"] == "success"
    small.database.engine.dispose()
    files = [file for folder in (small.home.path, small.lake) for file in folder.rglob("*") if file.is_file()]
    assert files
    assert [file.name for file in files if b"hunter2" in file.read_bytes()] == []


def test_another_choice_says_what_it_means_for_the_table_and_goes_into_it(
    small: Service, small_desk: Desk, serve: Serve
) -> None:
    desk = small_desk
    desk.make("crm", "contacts", url=serve().url)
    with small.worker():
        small.awaited(small.request("crm"))
        [said] = desk.edit("crm", streams=PHONES_GONE)
        assert said.startswith("the next run reads contacts in full; earlier versions of raw.crm_contacts stay")
        assert desk.edit("crm", streams=PHONES_GONE) == []
        assert small.awaited(small.request("crm"))["state"] == "success"
    assert not any(table(desk, "crm_contacts").column("PHONE").to_pylist())


def test_a_copy_hides_what_the_original_hides(small_desk: Desk) -> None:
    desk = small_desk
    desk.make("crm", "contacts", reader="universal")
    desk.edit("crm", streams=PHONES_GONE)
    with desk.database.writing() as session:
        copy = sources.duplicate(session, desk.here, desk.actor, sources.found(session, "crm")).id
    [row] = desk.source(copy).streams
    assert (row.excluded, row.hashed) == (["PHONE", "UF_*"], ["LAST_NAME"])
    assert desk.source(copy).options == {"reader": "universal"}


def test_a_column_that_the_portal_does_not_have_is_found_by_the_checks(serve: Serve, small_desk: Desk) -> None:
    desk, url = small_desk, serve().url
    changes: dict[str, dict[str, Any]] = {"contacts": {"hash": "PHON"}}
    with pytest.raises(
        UsageError, match=r"hash contacts\.PHON: contacts has no column 'PHON'. Fix: did you mean PHONE"
    ):
        sources.set_up(
            desk.database, desk.keyring, desk.here, desk.actor, Wanted("x", parse(url), "x", ["contacts"], {}, changes)
        )
    desk.make("crm", "contacts", url=url)
    for told, state in (("PHON", "failed"), ("PHONE", "ok")):
        desk.edit("crm", streams={"contacts": {"hash": told}})
        found = sources.check(desk.source("crm"), desk.keyring, desk.here, NOW)
        assert {one.name: one.state for one in found.checks}["columns"] == state
        with desk.database.writing() as session:
            sources.keep_checks(session, sources.found(session, "crm"), found, NOW)
    desk.edit("crm", retries=3)
    assert "columns" not in {one["name"] for one in desk.source("crm").checks}  # of the settings as they were

"""Columns that are left out or hashed: nothing of them is in the lake, in no version and no staged file."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from portal_labels import ask

from b24lake.errors import UsageError
from b24lake.portal.webhook import parse
from b24lake.reading.veil import Veil
from b24lake.sandbox import Server
from b24lake.sync.home import Home
from b24lake.sync.run import look
from running import Lake, command, environment

KEY = "a key of this test"


def digest(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def opened(lake: Lake, stream: str) -> pa.Table:
    return deltalake.DeltaTable(lake.table(stream)).to_pyarrow_table()


def rows(lake: Lake, stream: str) -> dict[int, dict[str, Any]]:
    return {row["ID"]: row for row in opened(lake, stream).to_pylist()}


@pytest.fixture(autouse=True)
def known_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B24LAKE_HASH_KEY", KEY)


@pytest.mark.parametrize("reader", ["classic", "universal"])
def test_what_is_left_out_is_not_in_the_table_and_the_rest_is_as_before(
    serve: Callable[..., Server], lake: Lake, tmp_path: Path, reader: str
) -> None:
    server, plain = serve(), Lake(tmp_path / "plain", tmp_path / "home")
    plain.sync(server.url, "contacts", reader=reader)
    report = lake.sync(server.url, "contacts", reader=reader, exclude=("contacts.PHONE", "*.UF_*", "contacts.NAME"))
    assert report.status == "success"
    before, after = opened(plain, "contacts"), opened(lake, "contacts")
    gone = [name for name in before.column_names if name in {"PHONE", "NAME"} or name.startswith("UF_")]
    assert len(gone) > 5
    known = {*ask(server, "crm.contact.fields"), *(before.column_names if reader == "universal" else ())}
    kept = [name for name in before.column_names if name in known and name not in {*gone, "_synced_at", "_misfits"}]
    assert [name for name in after.column_names if not name.startswith("_")] == kept
    assert after.select(kept).sort_by("ID").equals(before.select(kept).sort_by("ID"))
    assert not any(name in dict(row or ()) for row in after.column("_misfits").to_pylist() for name in gone)


@pytest.mark.parametrize(
    ("stream", "left_out"), [("contacts", "PHONE"), ("deals", "OPPORTUNITY"), ("spa_128", "title")]
)
def test_what_is_left_out_is_not_asked_of_the_portal(
    serve: Callable[..., Server], lake: Lake, stream: str, left_out: str
) -> None:
    found = look(parse(serve().url), Home(lake.home))[0].streams[stream]
    select = Veil(frozenset({left_out})).asking(found).stream.params["select"]
    assert {*select} == {column.source for column in found.columns} - {left_out}
    assert Veil().asking(found) == found


def test_hashes_are_keyed_equal_for_equal_values_and_null_for_null(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    hashed = ("*.EMAIL", "contacts.LAST_NAME", "contacts.ASSIGNED_BY_ID", "contacts.BIRTHDATE")
    assert lake.sync(server.url, "contacts", "leads", hash=hashed).status == "success"
    assert "EMAIL" in opened(lake, "leads").column_names
    truth = {int(row["ID"]): row for row in server.portal.truth("contacts")}
    found = rows(lake, "contacts")
    assert found.keys() == truth.keys()
    for id_, row in found.items():
        for name in ("LAST_NAME", "ASSIGNED_BY_ID", "BIRTHDATE"):
            sent = truth[id_].get(name)
            assert row[name] == (digest(str(sent)) if sent else None)
        emails = truth[id_].get("EMAIL") or []
        assert [one["VALUE"] for one in row["EMAIL"] or []] == [digest(one["VALUE"]) for one in emails]
        assert [one["VALUE_TYPE"] for one in row["EMAIL"] or []] == [one["VALUE_TYPE"] for one in emails]
    assert any(row["EMAIL"] for row in found.values())


def test_lists_are_hashed_value_by_value(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    described = [*server.portal.truth("deals")]
    lists = {name for row in described for name, value in row.items() if isinstance(value, list) and value}
    name = sorted(each for each in lists if each.startswith("UF_"))[0]
    lake.sync(server.url, "deals", hash=(f"deals.{name}",))
    found = rows(lake, "deals")
    for row in described:
        values = [value for value in row.get(name) or () if value not in (None, "", False)]
        if all(isinstance(value, str | int) for value in values):
            assert found[int(row["ID"])][name] == ([digest(str(value)) for value in values] or None)


def test_another_choice_is_a_full_read_and_takes_the_values_away(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "contacts")
    report = lake.sync(server.url, "contacts", exclude=("contacts.PHONE",), hash=("contacts.NAME",))
    (line,) = report.streams
    assert line.rows_read == len([*server.portal.truth("contacts")])
    assert any("is read in full" in note for note in report.notes)
    found = rows(lake, "contacts")
    assert {row["PHONE"] for row in found.values()} == {None}
    assert all(row["NAME"] is None or len(row["NAME"]) == 64 for row in found.values())
    again = lake.sync(server.url, "contacts", exclude=("contacts.PHONE",), hash=("contacts.NAME",))
    assert again.streams[0].rows_read < line.rows_read


def test_another_key_is_a_full_read(serve: Callable[..., Server], lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    lake.sync(server.url, "contacts", hash=("contacts.NAME",))
    before = rows(lake, "contacts")
    monkeypatch.setenv("B24LAKE_HASH_KEY", "another one")
    lake.sync(server.url, "contacts", hash=("contacts.NAME",))
    assert all(row["NAME"] is None or row["NAME"] != before[id_]["NAME"] for id_, row in rows(lake, "contacts").items())


def test_a_value_that_does_not_fit_is_no_way_around(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    first = int(next(iter(server.portal.truth("contacts")))["ID"])
    server.portal.change("contacts", first, {"BIRTHDATE": "secret one", "EXPORT": "secret two"})
    lake.sync(server.url, "contacts", exclude=("contacts.EXPORT",), hash=("contacts.BIRTHDATE",))
    assert "secret" not in str(rows(lake, "contacts")[first])
    files = [path for path in Path(str(lake.path)).rglob("*") if path.is_file()]
    assert not any(b"secret one" in path.read_bytes() for path in files)


def test_the_key_is_made_once_and_for_its_owner_alone(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("B24LAKE_HASH_KEY")
    home = Home(lake.home).ready()
    key = home.hash_key()
    assert (len(key), home.hash_key()) == (64, key)
    assert (lake.home / "hash.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"exclude": ("contacts",)}, "needs STREAM.COLUMN"),
        ({"exclude": ("contacs.PHONE",)}, "did you mean contacts"),
        ({"exclude": ("contacts.PHONES",)}, "did you mean PHONE"),
        ({"exclude": ("contacts.ID",)}, "cannot do without ID"),
        ({"hash": ("contacts.DATE_MODIFY",)}, "cannot do without DATE_MODIFY"),
        ({"hash": ("contacts.",)}, "needs STREAM.COLUMN"),
        ({"exclude": ("deals.NOTHING_*",), "streams": ("deals",)}, "has no column"),
    ],
    ids=str,
)
def test_wrong_columns_are_refused_before_anything_is_written(
    serve: Callable[..., Server], lake: Lake, options: dict[str, Any], expected: str
) -> None:
    streams = options.pop("streams", ("contacts",))
    with pytest.raises(UsageError, match=expected):
        lake.sync(serve().url, *streams, **options)
    assert not Path(lake.table("contacts")).exists()


def test_on_the_command_line(serve: Callable[..., Server], lake: Lake) -> None:
    words = ["sync", serve().url, "-s", "contacts", "--exclude", "contacts.PHONE", "--hash", "contacts.EMAIL", "--json"]
    ran = subprocess.run(command(*words), env=environment(lake), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["status"] == "success"
    assert "PHONE" not in opened(lake, "contacts").column_names

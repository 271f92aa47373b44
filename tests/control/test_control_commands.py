"""The command line over sources, triggers and configuration, as scripts see it."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from b24lake.sandbox import Server
from running import Lake, Ran
from running import run as ran_in

Serve = Callable[..., Server]
Run = Callable[..., Ran]
SECRET = "sandboxcode1234ab"
NOWHERE = "http://127.0.0.1:1/rest/1/abcdefabcdef/"


@pytest.fixture(scope="module")
def one_draft(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The command line on an installation with one draft, `crm`."""
    place = tmp_path_factory.mktemp("draft")
    lake = Lake(place / "lake", place / "home")

    run = partial(ran_in, lake)
    assert run("source", "add", "crm", "--draft", NOWHERE, "-s", "deals").code == 0
    return run


def test_a_source_from_its_birth_to_its_end(serve: Serve, b24lake: Run, lake: Lake) -> None:
    env = {"B24LAKE_WEBHOOK_URL": serve().url}

    def ran(*words: str, code: int = 0) -> Ran:
        done = b24lake(*words, env=env)
        assert done.code == code, done.said
        assert SECRET not in done.said
        return done

    assert "There are no sources yet" in ran("source", "list").out
    made = ran("source", "add", "Sales CRM", "-s", "users", "-s", "departments", "--set", "retries=5", "--json").json
    assert (made["id"], made["state"], made["settings"]["retries"]) == ("sales-crm", "active", 5)
    assert [one["table"] for one in made["streams"]] == ["raw.bitrix24_departments", "raw.bitrix24_users"]
    ran("trigger", "add", "sales-crm", "--at", "06:30", "--on", "mon,fri", "--zone", "Europe/Berlin")
    ran("trigger", "add", "sales-crm", "--cron", "0 3 * * sun", "--zone", "UTC", "--full", "--name", "Weekly")
    assert len(ran("trigger", "next", "sales-crm.weekly", "--json").json["next"]) == 5
    listed = ran("trigger", "list", "--json").json["triggers"]
    assert [(one["id"], one["full"]) for one in listed] == [("sales-crm.schedule", False), ("sales-crm.weekly", True)]
    assert ran("trigger", "disable", "sales-crm.weekly", "--json").json["next"] == []
    assert "switched off" not in ran("trigger", "enable", "sales-crm.weekly").out
    ran("source", "streams", "sales-crm", "--add", "deals", "--drop", "departments")
    changed = ran("source", "set", "sales-crm", "deals.table=geschaefte", "description=All deals", "--json").json
    assert {one["stream"]: one["table"] for one in changed["streams"] if one["selected"]} == {
        "deals": "raw.geschaefte", "users": "raw.bitrix24_users",
    }  # fmt: skip
    hidden = ran("source", "set", "sales-crm", "deals.exclude=OPPORTUNITY,UF_*", "deals.hash=TITLE").out
    assert "without OPPORTUNITY, UF_*; hashed TITLE" in hidden
    assert "tables" in ran("source", "check", "sales-crm").out
    assert ran("source", "pause", "sales-crm", "--json").json["state"] == "paused"
    assert ran("source", "resume", "Sales CRM", "--json").json["state"] == "active"
    assert ran("source", "duplicate", "sales-crm", "--json").json["id"] == "sales-crm-copy"
    healths = {one["id"]: one["health"] for one in ran("source", "list", "--json").json["sources"]}
    assert healths == {"sales-crm": "new", "sales-crm-copy": "draft"}
    ran("trigger", "delete", "sales-crm.schedule")
    assert "say keep or remove" in ran("source", "delete", "sales-crm-copy", code=2).err
    ran("source", "delete", "sales-crm-copy", "--tables", "remove")
    assert "deleted" in {one["action"] for one in ran("audit", "--json").json["entries"]}
    for words in (("source", "show", "sales-crm"), ("source", "list"), ("trigger", "list"), ("audit",)):
        assert "sales" in ran(*words).out
    assert "late_after_seconds" in ran("source", "settings").out


@pytest.mark.slow
def test_a_configuration_is_exported_compared_and_applied(serve: Serve, b24lake: Run, tmp_path: Path) -> None:
    url, file = serve().url, tmp_path / "lake.yaml"
    b24lake("source", "add", "crm", url, "-s", "users")
    exported = b24lake("config", "export")
    assert (exported.code, SECRET in exported.said) == (0, False)
    file.write_text(exported.out + "    retries: 4\n    triggers:\n      hourly: {cron: 0 * * * *, zone: UTC}\n")
    assert [one["path"] for one in b24lake("config", "diff", str(file), "--json").json["changes"]] == [
        "sources.crm.retries", "sources.crm.triggers.hourly",
    ]  # fmt: skip
    assert "2 changes made" in b24lake("config", "apply", str(file)).out
    assert "Nothing to do" in b24lake("config", "apply", str(file)).out
    assert b24lake("config", "export", "--json").json["sources"]["crm"]["retries"] == 4
    assert b24lake("config", "apply", str(file), "--prune", "--json").json["changes"] == []
    file.write_text(exported.out + "    retires: 4\n")
    ran = b24lake("config", "apply", str(file))
    line = len(exported.out.splitlines()) + 1
    assert (ran.code, f"line {line}: the source crm has no key 'retires'" in ran.err) == (2, True)
    assert "did you mean 'retries'" in ran.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["source", "show", "nobody"], "There is no source 'nobody'"),
        (["source", "add", "x", "https://acme.bitrix24.com/"], "not a"),
        (["source", "add", "x", "--draft", NOWHERE, "-s", "dealz"], "did you mean deals"),
        (["source", "add", "x", "--draft", NOWHERE, "--set", "retires=1"], "retries"),
        (["source", "add", "x" * 101, "--draft", NOWHERE], "101 signs"),
        (["source", "set", "crm"], "Nothing is to be changed"),
        (["source", "set", "crm", "retries"], "is no change"),
        (["source", "set", "crm", "deals.exclude=ID"], "deals cannot do without ID"),
        (["trigger", "add", "crm", "--at", "25:00", "--zone", "UTC"], "'25:00' is no time of day"),
        (["trigger", "add", "crm", "--at", "06:00", "--zone", "Nowhere"], "There is no zone 'Nowhere'"),
        (["trigger", "add", "crm", "--cron", "nonsense", "--zone", "UTC"], "has 1 fields"),
        (["trigger", "add", "crm", "--after", "crm"], "circle"),
        (["trigger", "add", "crm", "--after", "crm", "--at", "06:00"], "not both"),
        (["trigger", "add", "crm"], "The zone is missing"),
        (["trigger", "next", "crm.never"], "There is no trigger"),
        (["config", "apply", "nowhere.yaml"], "cannot be read"),
        (["source", "list", "--database", "mysql://ann:hunter2@db/x"], "PostgreSQL or in a SQLite file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_clear_sentence(one_draft: Run, words: list[str], says: str) -> None:
    ran = one_draft(*words)
    assert ran.code == 2
    assert says in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert "hunter2" not in ran.said
    assert "abcdefabcdef" not in ran.said


@pytest.mark.slow
def test_tables_are_moved_by_a_setting_and_by_a_file(serve: Serve, b24lake: Run, lake: Lake, tmp_path: Path) -> None:
    url, file = serve().url, tmp_path / "lake.yaml"
    assert b24lake("source", "add", "crm", url, "-s", "users").code == 0
    assert b24lake("sync", url, "-s", "users").code == 0  # into the same table
    assert "stays as it is" in b24lake("source", "set", "crm", "layer=trusted").out
    assert b24lake("source", "set", "crm", "layer=raw").code == 0
    moved = b24lake("source", "set", "crm", "prefix=x_", "layer=trusted", "--move-tables", "--json").json
    assert moved["effects"] == ["raw.bitrix24_users is trusted.x_users now, with its history"]
    file.write_text(b24lake("config", "export").out.replace("prefix: x_", "prefix: y_"))
    assert "is trusted.y_users now" in b24lake("config", "apply", str(file), "--move-tables").out
    assert [each.parent.name for each in Path(str(lake.path), "trusted").glob("*/_delta_log")] == ["y_users"]
    assert not [*Path(str(lake.path), "raw").iterdir()]


@pytest.mark.slow
def test_a_portal_that_does_not_answer_adds_nothing_and_shows_the_cure(b24lake: Run) -> None:
    ran = b24lake("source", "add", "x", NOWHERE, "--json")
    assert (ran.code, ran.json["checks"][0]["state"]) == (1, "failed")
    assert b24lake("source", "list", "--json").json == {"sources": []}


@pytest.mark.slow
def test_a_key_is_rotated_and_a_wrong_one_refused(serve: Serve, b24lake: Run, lake: Lake) -> None:
    b24lake("source", "add", "crm", serve().url, "-s", "users")
    assert b24lake("key", "rotate").code == 0
    assert b24lake("source", "check", "crm").code == 0
    other = b24lake("key", "new").out.strip()
    ran = b24lake("source", "check", "crm", env={"B24LAKE_KEY": other})
    assert (ran.code, "not the one that sealed" in ran.err, other in ran.said) == (2, True, False)
    file = lake.home / "key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.unlink()
    ran = b24lake("source", "list", "--json")
    assert (ran.code, ran.json["error"]["what"]) == (2, "The key is missing")
    assert not file.exists()


@pytest.mark.slow
def test_everything_works_on_postgresql(serve: Serve, b24lake: Run, lake: Lake, postgres_address: str) -> None:
    env = {"B24LAKE_DATABASE": postgres_address}
    assert b24lake("source", "add", "crm", serve().url, "-s", "users", env=env).code == 0
    assert b24lake("trigger", "add", "crm", "--at", "06:30", "--zone", "UTC", env=env).code == 0
    found = json.loads(b24lake("source", "show", "crm", "--json", env=env).out)
    assert (found["triggers"][0]["id"], found["state"]) == ("crm.schedule", "active")
    assert not (lake.home / "b24lake.db").exists()

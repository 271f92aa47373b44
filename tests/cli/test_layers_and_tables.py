"""Layers, folders and tables on the command line, and the names that tables cannot have."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from b24lake.cli import main
from b24lake.sandbox import Server
from b24lake.sync.home import Home, lock_name
from running import Lake, Ran, environment
from written import write

Run = Callable[..., Ran]
Serve = Callable[..., Server]


@pytest.fixture
def b24lake(lake: Lake, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process: a hundred commands in the time of ten."""
    for name, text in environment(lake).items():
        monkeypatch.setenv(name, text)

    def run(*words: str, env: dict[str, str] | None = None) -> Ran:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["b24lake", *words])
            for name, text in (env or {}).items():
                patch.setenv(name, text)
            capfd.readouterr()
            code = main.run_commands()
        said = capfd.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture
def url(serve: Serve) -> str:
    return serve().url


def test_layers_are_listed_added_described_and_deleted(b24lake: Run, lake: Lake) -> None:
    assert b24lake("layer", "add", "gold", "--description", "For managers").code == 0
    assert b24lake("layer", "describe", "raw", "As sent").code == 0
    assert b24lake("layer", "delete", "service").code == 0
    told = b24lake("layer", "list", "--json").json["layers"]
    assert [(each["name"], each["tables"]) for each in told] == [("raw", 0), ("trusted", 0), ("gold", 0)]
    shown = b24lake("layer", "list").out
    assert all(word in shown for word in ("gold", "For managers", "As sent"))
    for words, said in (
        (("add", "Gold"), "has a layer 'gold' already"),
        (("add", "a/b"), "cannot be the name of a layer"),
        (("delete", "service"), "its layers are raw, trusted, gold"),
    ):
        ran = b24lake("layer", *words)
        assert (ran.code, said in ran.err) == (2, True), ran.err


def test_a_layer_that_does_not_exist_ends_a_run_before_it_begins(b24lake: Run, lake: Lake, url: str) -> None:
    for command in ("sync", "plan"):
        ran = b24lake(command, url, "-s", "departments", "--layer", "gold")
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "its layers are raw, trusted, service" in ran.err
        assert "b24lake layer add gold" in ran.err
    assert not (lake.path / "gold").exists()
    b24lake("layer", "add", "gold")
    assert b24lake("sync", url, "-s", "departments", "--layer", "gold").code == 0
    ran = b24lake("layer", "delete", "gold")
    assert (ran.code, "holds 'bitrix24_departments'" in ran.err) == (2, True)


def test_tables_are_shown_as_a_tree_with_everything_about_them(b24lake: Run, url: str) -> None:
    b24lake("sync", url, "-s", "departments", "-s", "status_list", "--folder", "sales")
    b24lake("table", "describe", "bitrix24_departments", "Who sits where")
    b24lake("table", "folder", "bitrix24_status_list", "")
    document = b24lake("tables", "--json").json
    first, second = document["tables"]
    assert (first["table"], first["stream"], first["folder"], first["rows"]) == (
        "raw.bitrix24_departments",
        "departments",
        "sales",
        12,
    )
    assert (first["description"], first["kind"], second["folder"]) == ("Who sits where", "table", "")
    assert [(each["table"], each["kind"]) for each in document["views"]] == [
        ("raw.bitrix24_departments_readable", "view")
    ]
    assert [each["name"] for each in document["layers"]] == ["raw", "trusted", "service"]
    lines = b24lake("tables").out.splitlines()
    tree = [line[: len(line) - len(line.lstrip())] + line.split()[0] for line in lines if line.strip()]
    assert tree == [
        "table",
        "raw",
        "  bitrix24_status_list",
        "  sales/",
        "    bitrix24_departments",
        "    bitrix24_departments_readable",
        "trusted",
        "service",
    ]
    assert "Who sits where" in lines[4]
    for width in ("60", "80", "100", "200"):
        shown = b24lake("tables", env={"COLUMNS": width}).out.splitlines()
        assert max(map(len, shown)) <= int(width)
        assert "    bitrix24_departments " in shown[4]


def test_an_empty_lake_shows_its_layers_and_what_to_do(b24lake: Run) -> None:
    ran = b24lake("tables", env={"COLUMNS": "400"})
    assert (ran.code, "trusted" in ran.out, "b24lake sync" in ran.out) == (0, True, True)


def test_description_and_folder_stay_through_the_next_runs(b24lake: Run, lake: Lake, url: str) -> None:
    b24lake("sync", url, "-s", "departments")
    held = DeltaTable(lake.table("departments"))
    assert held.metadata().description == "Departments of the company"
    b24lake("table", "describe", "bitrix24_departments", "Ours")
    b24lake("table", "folder", "bitrix24_departments", "people")
    version = DeltaTable(lake.table("departments")).version()
    b24lake("sync", url, "-s", "departments")
    (told,) = b24lake("tables", "--json").json["tables"]
    assert (told["description"], told["folder"], told["version"]) == ("Ours", "people", version)
    b24lake("sync", url, "-s", "departments", "--folder", "all")
    assert b24lake("tables", "--json").json["tables"][0]["folder"] == "all"


def test_a_moved_table_goes_on_where_the_run_is_told_to(b24lake: Run, lake: Lake, url: str) -> None:
    b24lake("sync", url, "-s", "deals", "-s", "departments")
    moved = b24lake("table", "move", "raw.bitrix24_deals", "trusted", "--json").json
    assert moved == {"table": "trusted.bitrix24_deals", "before": "raw.bitrix24_deals", "stream": "deals"}
    again = b24lake("sync", url, "-s", "deals", "--layer", "trusted", "--json").json
    assert (again["streams"][0]["rows_read"], again["notes"]) == (0, [])
    said = b24lake("table", "rename", "trusted.bitrix24_deals", "sales").out
    assert "--layer trusted --table deals=sales" in said
    named = ("--layer", "trusted", "--table", "deals=sales")
    again = b24lake("sync", url, "-s", "deals", *named, "--json").json
    assert (again["streams"][0]["rows_read"], again["notes"]) == (0, [])
    planned = b24lake("plan", url, "-s", "deals", *named, "--json").json
    assert planned["streams"][0]["read"] == "since"
    fresh = b24lake("sync", url, "-s", "deals", "--json").json
    assert fresh["streams"][0]["rows_read"] == 260
    (note,) = fresh["notes"]
    assert "also in trusted.sales" in note
    assert "--layer trusted --table deals=sales" in note
    assert b24lake("sync", url, "-s", "deals", "--json").json["notes"] == []


def test_a_table_in_use_is_not_moved_or_deleted(b24lake: Run, lake: Lake, url: str) -> None:
    b24lake("sync", url, "-s", "departments")
    path = lake.path / "raw" / "bitrix24_departments"
    with Home(lake.home).ready().lock(f"table-{lock_name(path)}", "the table"):
        for words in (("move", "bitrix24_departments", "trusted"), ("delete", "bitrix24_departments", "--yes")):
            ran = b24lake("table", *words)
            assert (ran.code, "Another run holds the table raw.bitrix24_departments" in ran.err) == (1, True)
    assert path.is_dir()


def test_a_table_is_deleted_only_when_somebody_says_so(b24lake: Run, lake: Lake, url: str) -> None:
    b24lake("sync", url, "-s", "departments")
    ran = b24lake("table", "delete", "bitrix24_departments")
    assert (ran.code, "add --yes" in ran.err) == (2, True)
    assert b24lake("table", "delete", "bitrix24_departments", "--yes").code == 0
    assert b24lake("tables", "--json").json["tables"] == []
    assert b24lake("sync", url, "-s", "departments").code == 0


@pytest.mark.parametrize(
    "words", [("move", "x", "trusted"), ("rename", "x", "y"), ("delete", "x", "--yes"), ("folder", "x", "y")]
)
def test_tables_of_others_are_left_alone(b24lake: Run, lake: Lake, words: tuple[str, ...]) -> None:
    write_deltalake(str(lake.path / "raw" / "x"), pa.table({"a": [1]}))
    ran = b24lake("table", *words)
    assert (ran.code, "was not made by b24lake" in ran.err) == (2, True)
    assert DeltaTable(str(lake.path / "raw" / "x")).version() == 0


NAMES = [
    (("--prefix", "a/b"), "'a/bdepartments' cannot be the name of a table"),
    (("--prefix", "../"), "cannot be the name of a table"),
    (("--prefix", "a.b."), "cannot be the name of a table"),
    (("--prefix", "x" * 300), "1 to 128 letters"),
    (("--prefix", "сделки_"), "letters (a-z)"),
    (("--prefix", "_"), "does not begin with `_`"),
    (("--prefix", "Bitrix24_"), "beside raw.bitrix24_departments"),
    (("--table", "departments=a/b"), "'a/b' cannot be the name of a table"),
    (("--table", "departments=a.b"), "'a.b' cannot be the name of a table"),
    (("--table", "departments=select"), "it is a word of SQL"),
    (("--table", "departments=" + "x" * 129), "1 to 128 letters"),
    (("--table", "departments=BITRIX24_DEPARTMENTS"), "names differ in case alone"),
    (("--table", "departments=same", "--table", "status_list=same"), "would both go into raw.same"),
    (("--table", "departments=same", "--table", "status_list=SAME"), "would both go into raw.SAME"),
    (("--table", "departments=bitrix24_status_list"), "would both go into raw.bitrix24_status_list"),
    (("--table", "departments=bitrix24_users"), "belongs to stream 'users'"),
    (("--table", "departments=theirs"), "was not made by b24lake"),
    (("--table", "departments=notes"), "holds files that are not a table's"),
    (("--table", "departmentz=x"), "no stream 'departmentz'"),
    (("--table", "departments"), "NAME=VALUE"),
    (("--folder", "a\nb"), "folder cannot be named"),
    (("--folder", "x" * 200), "folder cannot be named"),
]


def test_names_that_cannot_be_are_refused_before_anything_is_written(b24lake: Run, lake: Lake, url: str) -> None:
    b24lake("sync", url, "-s", "departments", "-s", "users")
    write_deltalake(str(lake.path / "raw" / "theirs"), pa.table({"a": [1]}))
    (lake.path / "raw" / "notes").mkdir()
    (lake.path / "raw" / "notes" / "todo.txt").write_text("mine")
    before = held(lake.path)
    for words, said in NAMES:
        ran = b24lake("sync", url, "-s", "departments", "-s", "status_list", *words)
        assert (ran.code, ran.err.count("\n"), "Traceback" in ran.said) == (2, 1, False), (words, ran.err)
        assert said in ran.err, (words, ran.err)
    assert held(lake.path) == before


def held(folder: Path) -> set[str]:
    return {str(file) for file in folder.rglob("*") if file.is_file()}


def test_tables_of_two_portals_never_share_a_name(b24lake: Run, serve: Serve, url: str) -> None:
    b24lake("sync", url, "-s", "departments")
    ran = b24lake("sync", serve().url, "-s", "departments")
    assert (ran.code, "belongs to stream 'departments' of portal" in ran.err) == (2, True)
    assert b24lake("sync", serve().url, "-s", "departments", "--prefix", "other_").code == 0


def test_a_view_is_shown_with_its_sources_and_its_sql(b24lake: Run, url: str) -> None:
    b24lake("sync", url, "-s", "deals", "-s", "deal_fields", "-s", "status_list")
    shown = b24lake("show", "raw.bitrix24_deals_readable").out
    assert "labels from raw.bitrix24_deal_fields, raw.bitrix24_status_list" in shown
    assert "these labels are null: companies, contacts, leads, spa_128, users" in shown
    assert "Label of STAGE_ID, from raw.bitrix24_status_list" in shown
    document = b24lake("show", "bitrix24_deals_readable", "--json").json
    assert document["labels_missing"] == ["companies", "contacts", "leads", "spa_128", "users"]
    assert {"name": "STAGE_ID_LABEL", "type": "string"}.items() <= {c["name"]: c for c in document["columns"]}[
        "STAGE_ID_LABEL"
    ].items()
    sql = b24lake("show", "bitrix24_deals_readable", "--sql").out
    assert sql.strip() == document["sql"].strip()
    assert b24lake("query", f"SELECT count(*) AS n FROM ({sql}) x", "--json").json["rows"] == [{"n": 260}]
    assert "`raw`.`bitrix24_deals`" in b24lake("show", "bitrix24_deals_readable", "--sql", "--engine", "spark").out
    for name in ("bitrix24_status_list_readable", "bitrix24_deal_readable"):
        ran = b24lake("show", name)
        assert (ran.code, ran.err.count("\n")) == (2, 1)


def test_a_column_is_described_in_ones_own_words(b24lake: Run, lake: Lake) -> None:
    write(lake.path, {1: "one"})
    done = b24lake("table", "describe", "deals", "What it is called", "--column", "TITLE", "--json")
    assert done.json == {"table": "raw.deals", "column": "TITLE", "description": "What it is called"}
    assert "What it is called" in b24lake("show", "deals").out
    assert b24lake("table", "describe", "deals", "", "--column", "TITLE").out == "TITLE of raw.deals is described.\n"
    (title,) = (each for each in b24lake("show", "deals", "--json").json["columns"] if each["name"] == "TITLE")
    assert title["comment"] == "Title"
    failed = b24lake("table", "describe", "deals", "x", "--column", "title")
    assert (failed.code, "There is no column 'title' in raw.deals" in failed.err) == (2, True)
    first = b24lake("history", "deals", "--json").json["versions"][-1]
    assert (first["rows"], first["bytes"] > 0, first["taken"]) == (1, True, None)

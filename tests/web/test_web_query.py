"""The SQL explorer: what it answers and what it refuses, its history, its saved queries and its files."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from people import account, log_in
from query_lake import ENDLESS, ODD, children, filled, run, wait_for
from web_site import Web, words

from b24lake.web import querying


@pytest.fixture
def lake(web: Web) -> Web:
    return filled(web)


# --- running ----------------------------------------------------------------------------------------------------------


def test_an_answer_has_typed_columns_and_tells_null_from_empty_text(lake: Web) -> None:
    found = run(lake, "SELECT * FROM raw.deals ORDER BY ID;")
    assert [(one["name"], one["type"], one["number"]) for one in found["columns"]] == [
        ("ID", "long", True),
        ("TITLE", "string", False),
        ("SUM", "decimal(38,9)", True),
        ("TAGS", "array<string>", False),
    ]
    assert found["columns"][2]["label"] == "What it is <i>worth</i>"
    assert found["rows"] == [["1", "Window", "10.5", '["a","b"]'], ["2", None, "-2", None], ["3", "", None, "[]"]]
    assert found["said"].startswith("3 rows · ")
    assert found["note"] == ""


def test_rows_beyond_the_limit_are_told_of(lake: Web) -> None:
    found = run(lake, "SELECT value FROM generate_series(1, 1000000) ORDER BY 1", limit=100)
    assert (len(found["rows"]), found["rows"][-1]) == (100, ["100"])
    assert "There are more rows" in found["note"]


def test_an_answer_that_would_fill_the_memory_is_cut(lake: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querying, "MOST_BYTES", 400_000)
    found = run(lake, "SELECT repeat('x', 1000) AS t FROM generate_series(1, 900)")
    assert 390 < len(found["rows"]) < 600
    assert "these fill the page" in found["note"]
    assert "too large" in run(lake, "SELECT repeat('x', 200000) AS t")["error"]["what"]


REFUSED = [
    ("", "There is no SQL"),
    (" \n ", "There is no SQL"),
    ("DROP TABLE raw.deals", "Only reading"),
    ("INSERT INTO raw.deals VALUES (1)", "Only reading"),
    ("COPY raw.deals TO 'x.csv'", "Only reading"),
    ("SET datafusion.execution.batch_size = 1", "Only reading"),
    ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "Only reading"),
    ("WITH x AS (DELETE FROM raw.deals RETURNING *) SELECT * FROM x", "Only reading"),
    ("SELECT * FROM '/etc/passwd'", "not SQL|not a table"),
    ('SELECT * FROM "/etc/passwd"', "not a table"),
    ("SELECT * FROM read_csv('http://example.com/x.csv')", "not allowed in FROM"),
    ("SELECT * FROM information_schema.tables", "There is no table"),
    ("SELECT 1; DROP TABLE raw.deals", "Several statements"),
    ("SELECT * FROM raw.nothing", "There is no table"),
    ("SELECT " + "(" * 2_000 + "1" + ")" * 2_000, "nested too deeply"),
    ("SELECT '" + "x" * 1_000_000 + "'", "too long"),
    ("'; --", "not SQL|Only reading"),
]


def test_what_does_not_only_read_is_refused(lake: Web) -> None:
    for sql, said in REFUSED:
        error = run(lake, sql)["error"]
        assert any(each in error["what"] for each in said.split("|")), error
    assert run(lake, "SELECT count(*) AS n FROM raw.deals")["rows"] == [["3"]]


def test_long_text_and_odd_names_are_no_trouble(lake: Web) -> None:
    assert run(lake, f"SELECT 1 AS a -- {'x' * 10_000}")["rows"] == [["1"]]
    found = run(lake, f'SELECT "order", "{ODD.replace(chr(34), chr(34) * 2)}" FROM raw."my table"')
    assert [one["name"] for one in found["columns"]] == ["order", ODD]
    assert found["rows"] == [["1", "<script>alert(1)</script>"]]


def test_text_with_nul_and_other_limits_are_refused(lake: Web) -> None:
    assert lake.post("/query/run", {"sql": "SELECT '\0'"}).status_code == 400
    assert lake.get("/query?sql=%00").status_code == 400
    assert "no choice for limit" in run(lake, "SELECT 1", limit="1000000")["error"]["what"]
    assert "no choice for seconds" in run(lake, "SELECT 1", seconds="-1")["error"]["what"]
    assert lake.client.post("/query/run", data={"sql": "SELECT 1", "token": "wrong"}).status_code == 403


PLACES = [
    ("SELECT ID, TITEL FROM raw.deals", "TITEL"),
    ("SELECT ID\nFROM raw.deal d", "raw.deal"),
    ("SELECT '😀', foo(ID) FROM raw.deals", "foo"),
    ("SELECT ID FROM raw.deals WHERE\n  ID = = 1", "="),
    ("SELECT /* a comment */ ID FROM raw.deals GROUP TITLE", "TITLE"),
    ("SELECT 'abc", "'abc"),
    ("SELECT a.ID FROM raw.deals AS d", "a.ID"),
    ("SELECT 1; SELECT 2", "SELECT 2"),
]


def test_an_error_tells_its_place(lake: Web) -> None:
    for sql, at in PLACES:
        error, units = run(lake, sql)["error"], sql.encode("utf-16-le")
        assert units[error["from"] * 2 : error["to"] * 2].decode("utf-16-le") == at


def test_a_query_that_never_ends_is_stopped_in_time(lake: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querying, "TIMES", (2,))
    error = run(lake, ENDLESS, seconds=2)["error"]
    assert "stopped after 2 seconds" in error["what"]
    assert "longer time limit" in error["fix"]
    assert children() == []


@pytest.mark.parametrize("path", ["/query/run", "/query/csv"])
def test_a_query_ends_when_nobody_waits_for_it(lake: Web, path: str) -> None:
    with pytest.raises(httpx.ReadTimeout):
        lake.post(path, {"sql": ENDLESS}, timeout=httpx.Timeout(30, read=2))
    wait_for(0)
    if path == "/query/run":
        lake.awaited(lambda: "The query was stopped" in lake.text("/query/past"))


def test_only_a_few_queries_run_at_once(lake: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querying, "PATIENCE", 0.3)
    while lake.site.queries.acquire(blocking=False):
        pass
    assert "Too many queries" in run(lake, "SELECT 1")["error"]["what"]
    lake.site.queries.release()
    assert run(lake, "SELECT 1 AS a")["rows"] == [["1"]]
    assert run(lake, "SELECT 2 AS a")["rows"] == [["2"]]  # the turn came back


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_is_filled_from_its_address_and_runs_nothing(lake: Web) -> None:
    assert "SELECT &lt;b&gt;1" in lake.get("/query", params={"sql": "SELECT <b>1"}).text
    assert "FROM raw.deals\nLIMIT 100" in lake.get("/query?table=raw.deals").text
    assert "FROM raw.&#34;my table&#34;" in lake.get("/query", params={"table": "raw.my table"}).text
    assert lake.get("/query?saved=nothing").status_code == 404
    assert lake.get("/query?past=7").status_code == 404
    assert "What you run is kept here." in lake.text("/query")


def test_without_a_script_the_form_shows_rows_and_errors(lake: Web) -> None:
    page = lake.post("/query", {"sql": 'SELECT * FROM raw."my table"', "limit": "100"}).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<b>odd</b>" not in page
    assert '<option value="100" selected>' in page
    answer = lake.post("/query", {"sql": "SELECT nope FROM raw.deals"})
    assert answer.status_code == 400
    assert "No field named nope" in words(answer.text)
    assert "SELECT nope FROM raw.deals</textarea>" in answer.text


def test_the_editor_is_told_tables_at_once_and_columns_when_it_asks(lake: Web) -> None:
    names = lake.get("/query/names").json()
    assert names["layers"] == ["raw", "trusted", "service"]
    assert [one[:2] for one in names["tables"]] == [["raw", "deals"], ["raw", "my table"]]
    assert "count" in names["functions"]
    columns = lake.get("/query/columns?table=raw.deals").json()
    assert columns[2] == ["SUM", "decimal(38,9)", "What it is <i>worth</i>"]
    assert lake.get("/query/columns?table=raw.nothing").status_code == 404


# --- files ------------------------------------------------------------------------------------------------------------


def test_the_whole_answer_is_a_file(lake: Web) -> None:
    answer = lake.post("/query/csv", {"sql": "SELECT * FROM raw.deals ORDER BY ID", "limit": "100"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="query-')
    assert answer.text == 'ID,TITLE,SUM,TAGS\n1,Window,10.5,"[""a"",""b""]"\n2,,-2,\n3,"",,[]\n'
    many = lake.post("/query/csv", {"sql": "SELECT value FROM generate_series(1, 300000)", "limit": "100"}).text
    assert many.count("\n") == 300_001
    assert children() == []


def test_a_file_keeps_formulas_from_being_run_where_that_is_wanted(lake: Web) -> None:
    for escape, cell in (("", "=1+1"), ("on", "'=1+1")):
        answer = lake.post("/query/csv", {"sql": 'SELECT formula FROM raw."my table"', "escape": escape})
        assert answer.text == f"formula\n{cell}\n"


def test_a_file_that_cannot_be_is_an_error_with_the_sql_kept(lake: Web) -> None:
    answer = lake.post("/query/csv", {"sql": "SELECT nope FROM raw.deals", "name": "mine"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "SELECT nope FROM raw.deals</textarea>" in answer.text
    assert 'value="mine"' in answer.text


def test_a_file_that_breaks_off_is_no_whole_file(lake: Web) -> None:
    late = "SELECT 10 / (200000 - value) AS n FROM generate_series(1, 400000)"
    with pytest.raises(httpx.RemoteProtocolError):
        lake.post("/query/csv", {"sql": late})
    wait_for(0)


# --- history and saved queries ----------------------------------------------------------------------------------------


def test_what_was_run_is_kept_and_forgotten_when_wanted(lake: Web) -> None:
    run(lake, "SELECT 7 AS seven")
    run(lake, "SELECT nope")
    said = lake.text("/query/past")
    assert said.index("SELECT nope") < said.index("SELECT 7 AS seven")
    assert "No field named nope" in said
    assert "1 row ·" in said
    past = lake.get("/query/past").text.split('href="/query?past=')[2].partition('"')[0]
    assert "SELECT 7 AS seven</textarea>" in lake.get(f"/query?past={past}").text
    lake.post("/query/past/forget")
    assert "What you run is kept here." in lake.text("/query/past")


def test_a_query_is_saved_loaded_changed_and_deleted(lake: Web) -> None:
    made = lake.post("/query/saved", {"name": "Wins & <b>losses</b>", "sql": "SELECT 1", "description": "for Monday"})
    address = made.headers["location"]
    page = lake.get(address)
    assert "The query is saved." in page.text
    assert "SELECT 1</textarea>" in page.text
    assert "<b>losses</b>" not in page.text
    again = lake.post("/query/saved", {"name": "Wins & <b>losses</b>", "sql": "SELECT 2"})
    assert again.status_code == 409
    assert "SELECT 2</textarea>" in again.text
    one = address.partition("saved=")[2]
    lake.post(f"/query/saved/{one}", {"name": "Wins", "sql": "SELECT 3"})
    assert "SELECT 3</textarea>" in lake.get(address).text
    lake.post(f"/query/saved/{one}/delete")
    assert lake.get(address).status_code == 404
    assert "None yet." in lake.text("/query")


def test_people_see_their_own_history_and_change_their_own_queries(
    start: Callable[..., Web], visit: Callable[[Web], Web]
) -> None:
    first = filled(start(login=True))
    people = {}
    for name, role in (("ann", "viewer"), ("bob", "viewer"), ("eve", "editor")):
        account(first.site, name, role)
        people[name] = visit(first)
        log_in(people[name], name)
    ann, bob, eve = people.values()
    assert first.get("/query").status_code == 303  # to the login
    run(ann, "SELECT 1 AS mine")
    assert "mine" not in bob.text("/query")
    past = ann.get("/query/past").text.partition('href="/query?past=')[2].partition('"')[0]
    assert bob.get(f"/query?past={past}").status_code == 404
    address = ann.post("/query/saved", {"name": "hers", "sql": "SELECT 1"}).headers["location"]
    one = address.partition("saved=")[2]
    assert "Save this query" in bob.text(address)
    assert "Change this saved query" in ann.text(address)
    for path in (f"/query/saved/{one}", f"/query/saved/{one}/delete"):
        assert bob.post(path, {"name": "his", "sql": "SELECT 2"}).status_code == 403
    assert eve.post(f"/query/saved/{one}", {"name": "ours", "sql": "SELECT 2"}).status_code == 303
    assert "Saved by ann" in ann.text(address)

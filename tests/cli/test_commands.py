"""The command line as scripts see it: exit codes, JSON, and one clear sentence when something is wrong."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from b24lake.sandbox import Server
from running import Lake, Ran, command, environment

Run = Callable[..., Ran]
SECRET = "sandboxcode1234ab"


def test_check_names_its_checks(serve: Callable[..., Server], b24lake: Run) -> None:
    ran = b24lake("check", serve().url, "--json")
    states = {check["name"]: check["state"] for check in ran.json["checks"]}
    assert ran.code == 0
    assert states == dict.fromkeys(("connection", "owner", "rights", "scopes", "clock", "streams"), "ok")


def test_check_fails_without_scopes_and_warns_without_rights(serve: Callable[..., Server], b24lake: Run) -> None:
    warned = b24lake("check", serve(admin=False).url)
    assert (warned.code, "missing from every list" in warned.out) == (0, True)
    failed = b24lake("check", serve(scopes=()).url, "--json")
    assert (failed.code, failed.json["status"]) == (1, "failed")
    ran = b24lake("check", serve().url.replace(SECRET, "0123456789abcdef"))
    assert ran.code == 1
    assert "cure" in ran.out


def test_streams_lists_keys_and_fields(serve: Callable[..., Server], b24lake: Run) -> None:
    found = {stream["name"]: stream for stream in b24lake("streams", serve().url, "--json").json["streams"]}
    assert found["deals"]["primary_key"] == ["ID"]
    assert found["deals"]["replication_key"] == "DATE_MODIFY"
    assert found["deals"]["sync_types"] == ["INCREMENTAL", "FULL_TABLE"]
    assert {"name": "ID", "type": "int64", "declared": "integer", "label": ""} in found["deals"]["fields"]
    assert "deals" in b24lake("streams", serve().url).out


def test_streams_says_why_one_is_locked(serve: Callable[..., Server], b24lake: Run) -> None:
    found = {s["name"]: s for s in b24lake("streams", serve(scopes=("user",)).url, "--json").json["streams"]}
    assert (found["deals"]["status"], found["users"]["status"]) == ("locked", "available")
    assert "scope crm" in found["deals"]["reason"]
    assert "tick CRM (crm)" in found["deals"]["cure"]
    assert (found["deals"]["lock"], found["users"]["lock"]) == ("scope", None)
    assert "elsewhere called departments" in found["departments"]["cure"]


def test_check_names_each_missing_scope_once(serve: Callable[..., Server], b24lake: Run) -> None:
    ran = b24lake("check", serve(scopes=("crm",), forbidden_types=(156,)).url, "--json")
    checks = {check["name"]: check for check in ran.json["checks"]}
    assert (ran.code, ran.json["status"]) == (0, "warning")
    assert "calls" in checks["scope telephony"]["says"]
    assert "tick Telephony (telephony)" in checks["scope telephony"]["cure"]
    assert "scope crm" not in checks
    assert "ACCESS_DENIED" in checks["stream spa_156"]["says"]


def test_streams_hides_what_a_setting_must_bring_out(serve: Callable[..., Server], b24lake: Run) -> None:
    url, names = serve().url, ("deal_comments", "deal_products")
    for switches in ((), ("--deal-comments",), ("--deal-comments", "--deal-products", "--deal-contacts")):
        found = {s["name"]: s for s in b24lake("streams", url, *switches, "--json").json["streams"]}
        for name in names:
            switch = f"--{name.replace('_', '-')}"
            shown = (found[name]["status"], found[name]["cure"], found[name]["cost"])
            on = switch in switches
            assert shown == ("available" if on else "hidden", None if on else f"add {switch}", "one call per deal")
        assert len(found) == 22 + 2 * 3


@pytest.mark.parametrize("columns", ["100", "160"])
def test_streams_is_readable_at_any_width(serve: Callable[..., Server], b24lake: Run, columns: str) -> None:
    url = serve(scopes=("crm",), admin=False, forbidden_types=(156,), missing_methods=("crm.product.fields",)).url
    shown = b24lake("streams", url, env={"COLUMNS": columns}).out
    lines = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    assert max(map(len, shown.splitlines())) <= int(columns)
    told = {"deals": "available", "product": "not on plan", "spa_156": "refused"}
    assert all(state in lines[name] for name, state in told.items())
    assert ["no scope" in lines["calls"], "--deal-comments" in lines["deal_comments"]] == [True, True]
    assert "CREATED, LAST_UPDATED" in lines["activities"]
    assert ("Purchase" in shown) is (columns == "160")
    assert "is not an administrator" in shown


def test_a_run_with_one_scope_says_what_it_did_not_read(serve: Callable[..., Server], b24lake: Run) -> None:
    ran = b24lake("sync", serve(scopes=("user",)).url)
    assert ran.code == 0
    assert "1 read, 19 locked" in ran.out
    assert ran.out.count("tick CRM (crm)") == 1


def test_sync_then_look_at_the_tables(serve: Callable[..., Server], b24lake: Run) -> None:
    url = serve().url
    ran = b24lake("sync", "--json", env={"B24LAKE_WEBHOOK_URL": url})
    document = ran.json
    assert (ran.code, document["status"]) == (0, "success")
    assert {"run_id", "started_at", "seconds", "requests", "peak_memory_mb"} <= document.keys()
    deals = next(line for line in document["streams"] if line["name"] == "deals")
    assert (deals["rows_read"], deals["rows_inserted"], deals["table"]) == (260, 260, "raw.bitrix24_deals")
    listed = {table["table"]: table["rows"] for table in b24lake("tables", "--json").json["tables"]}
    assert listed["raw.bitrix24_deals"] == 260
    assert len(listed) == 20 + 2 * 3
    shown = b24lake("show", "bitrix24_deals", "--json").json
    assert {column["name"]: column["type"] for column in shown["columns"]}["OPPORTUNITY"] == "decimal(38,9)"
    answer = b24lake("query", "SELECT count(*) AS n FROM raw.bitrix24_deals", "--json").json
    assert answer["rows"] == [{"n": 260}]
    for words in (("tables",), ("show", "raw.bitrix24_deals"), ("query", "SELECT * FROM raw.bitrix24_deals LIMIT 2")):
        assert b24lake(*words).code == 0


def test_the_webhook_may_come_from_a_file(serve: Callable[..., Server], b24lake: Run, tmp_path: Path) -> None:
    file = tmp_path / "webhook"
    file.write_text(f"{serve().url}\n")
    assert b24lake("sync", "--webhook-file", str(file), "-s", "departments").code == 0
    missing = b24lake("sync", "--webhook-file", str(tmp_path / "none"))
    assert (missing.code, "cannot be read" in missing.err) == (2, True)


def test_demo_ends_with_equal_counts_and_an_answer(b24lake: Run) -> None:
    ran = b24lake("demo", "--deals", "300", "--json")
    assert (ran.code, ran.json["counts_equal"]) == (0, True)
    assert sum(row["deals"] for row in ran.json["query"]) == 300


BAD_WEBHOOKS = [
    ("", 2, "webhook"),
    ("https://acme.bitrix24.com/", 2, "incoming"),
    ("https://crm.example.com/handler.php", 2, "outgoing"),
    ("a1b2c3d4e5f6g7h8", 2, "outgoing"),
    ("http://acme.bitrix24.com/rest/1/SECRETSECRET/", 2, "plain http"),
    ("ftp://acme.bitrix24.com/rest/1/SECRETSECRET/", 2, "https://"),
    ("https://nowhere.invalid/rest/1/SECRETSECRET/", 1, "nowhere.invalid"),
    ("http://127.0.0.1:9/rest/1/SECRETSECRET/", 1, "127.0.0.1:9"),
]


@pytest.mark.parametrize(("url", "code", "word"), BAD_WEBHOOKS)
def test_a_bad_webhook_is_one_clear_sentence(b24lake: Run, lake: Lake, url: str, code: int, word: str) -> None:
    ran = b24lake("sync", url)
    assert ran.code == code
    assert word in ran.err
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.said
    assert "SECRETSECRET" not in ran.said
    assert not (lake.path / "raw").exists()


@contextmanager
def page(status: int, body: bytes) -> Iterator[str]:
    """A web server that answers everything with one page."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/rest/1/SECRETSECRET/"
    finally:
        server.shutdown()
        server.server_close()


def test_a_portal_that_answers_html_is_one_clear_sentence(b24lake: Run) -> None:
    with page(404, b"<html><body>Not here</body></html>") as url:
        ran = b24lake("sync", url, "--json")
    assert ran.code == 1
    assert "web page" in ran.json["error"]["what"]
    assert "SECRETSECRET" not in ran.said


BAD_LAKES = [("a file", 2), ("under a file", 2), ("/proc/nothing/lake", 1)]


@pytest.mark.parametrize(("kind", "code"), BAD_LAKES)
def test_a_bad_lake_is_one_clear_sentence(
    serve: Callable[..., Server], b24lake: Run, tmp_path: Path, kind: str, code: int
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    place = {"a file": str(file), "under a file": str(file / "lake")}.get(kind, kind)
    ran = b24lake("sync", serve().url, "--lake", place)
    assert ran.code == code
    assert "lake" in ran.err
    assert ran.err.count("\n") == 1
    assert file.read_text() == "mine"


BAD_WORDS = [
    (("sync", "-s", "dealz"), "deals"),
    (("sync", "--operating-threshold", "-1"), "threshold"),
    (("sync", "--concurrency", "0"), "concurrency"),
    (("sync", "--overlap", "soon"), "duration"),
    (("sync", "--sync-type", "deals"), "NAME=VALUE"),
    (("sync", "--sync-type", "users=INCREMENTAL"), "users"),
    (("sync", "--replication-key", "deals=TITLE"), "DATE_MODIFY"),
    (("sync", "--portal-plan", "gold"), "enterprise"),
    (("sync", "--deleted", "perhaps"), "keep"),
    (("sync", "--prefix", "a/b"), "name"),
]


@pytest.mark.parametrize(("words", "said"), BAD_WORDS)
def test_wrong_usage_is_exit_code_2(
    serve: Callable[..., Server], b24lake: Run, words: tuple[str, ...], said: str
) -> None:
    ran = b24lake(*words, env={"B24LAKE_WEBHOOK_URL": serve().url})
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.said


def test_unknown_tables_and_writing_sql_are_refused(serve: Callable[..., Server], b24lake: Run) -> None:
    b24lake("sync", serve().url, "-s", "departments")
    for words in (
        ("show", "bitrix24_department"),
        ("query", "SELECT * FROM raw.bitrix24_department"),
        ("query", "DELETE FROM raw.bitrix24_departments"),
        ("query", "SELECT FROM WHERE"),
    ):
        ran = b24lake(*words)
        assert (ran.code, "Traceback" in ran.said) == (2, False), words


def test_a_webhook_given_as_an_argument_leaves_the_process_title(serve: Callable[..., Server], lake: Lake) -> None:
    url = serve(deals=60_000, code="t1tl3s3cr3t").url
    run = subprocess.Popen(
        command("sync", url, "-s", "deals"), env=environment(lake), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    title = Path(f"/proc/{run.pid}/cmdline")
    deadline = time.monotonic() + 30
    while b"***" not in title.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert b"***" in title.read_bytes()
    assert b"t1tl3s3cr3t" not in title.read_bytes()
    run.terminate()
    said, _ = run.communicate(timeout=60)
    assert b"t1tl3s3cr3t" not in said
    assert run.returncode in {130, -15}

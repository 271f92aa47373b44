"""The service on the command line: serve, worker, run, alert."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from receivers import hook

from b24lake.sandbox import Server
from running import Lake, Ran, command, environment
from service import Service, until

B24Lake = Callable[..., Ran]
Serve = Callable[..., Server]
SLOW = {"deals": 4000, "page_ms": 200, "deal_fields": 50}


@contextmanager
def service_of(lake: Lake, *words: str) -> Iterator[dict[str, Any]]:
    """The service as a process, told to end at the end; what it said when it began."""
    process = subprocess.Popen(
        command(*words, "--json"), env=environment(lake), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        lines = ""
        while not lines.rstrip().endswith("}"):
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            lines += line
        yield json.loads(lines)
    finally:
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (0, False), err


@pytest.mark.slow
def test_a_service_performs_what_is_asked_for_and_commands_show_it(
    small: Service, lake: Lake, b24lake: B24Lake, serve: Serve
) -> None:
    small.source("crm", serve().url, "deals", "deal_fields")
    small.source("lost", "http://127.0.0.1:9/rest/1/SECRETSECRET/")
    with service_of(lake, "serve", "--port", "0") as told:
        ran = b24lake("source", "run", "crm", "--wait", "--json")
        assert (ran.code, ran.json["state"], ran.json["cause"]) == (0, "success", "manual")
        run_id = ran.json["id"]
        part = b24lake("source", "run", "crm", "-s", "deal_f*", "--full", "--wait")
        assert (part.code, "deal_fields" in part.out, "deals " in part.out) == (0, True, False)
        listed = b24lake("run", "list", "--json").json["runs"]
        assert [(run["chosen"], run["full"]) for run in listed] == [(["deal_fields"], True), ([], False)]
        assert run_id in b24lake("run", "list", "--source", "crm", "--state", "success").out
        shown = b24lake("run", "show", run_id, "--json").json
        assert [line["stream"] for line in shown["streams"]] == ["deal_fields", "deals"]
        lines = [json.loads(line) for line in b24lake("run", "logs", run_id, "--follow", "--json").out.splitlines()]
        assert [lines[0]["event"], lines[-1]["event"]] == ["queued", "success"]
        assert b24lake("run", "logs", run_id, "--level", "error").out == ""
        again = b24lake("run", "retry", run_id, "--wait", "--json")
        assert (again.code, again.json["retry_of"], again.json["cause"]) == (0, run_id, "retry")
        with urllib.request.urlopen(f"{told['address']}/metrics") as answer:
            assert 'b24lake_runs_total{source="crm",state="success"} 3' in answer.read().decode()
        taken = b24lake("serve", "--port", told["address"].rpartition(":")[2])
        assert (taken.code, "--port" in taken.err) == (2, True)


def test_a_run_is_canceled_from_the_command_line_and_shows_how_far_it_is(
    small: Service, lake: Lake, b24lake: B24Lake, serve: Serve
) -> None:
    small.source("crm", serve(**SLOW).url)
    with service_of(lake, "worker"):
        run_id = b24lake("source", "run", "crm", "--json").json["id"]
        until(lambda: bool(small.run(run_id)["progress"].get("rows")))
        progress = b24lake("run", "show", run_id, "--json").json["progress"]
        assert progress["streams"][0]["state"] == "reading"
        ran = b24lake("run", "cancel", run_id, "--wait", "--json")
        assert (ran.code, ran.json["state"]) == (0, "canceled")
        ran = b24lake("run", "cancel", run_id)
        assert (ran.code, "has ended" in ran.err) == (2, True)


def test_a_service_that_is_told_to_end_gives_its_runs_back(small: Service, lake: Lake, serve: Serve) -> None:
    small.source("crm", serve(**SLOW).url)
    run_id = small.request("crm")
    with service_of(lake, "worker"):
        until(lambda: bool(small.run(run_id)["progress"].get("rows")))
    run = small.run(run_id)
    assert (run["state"], run["worker"], run["claims"]) == ("queued", None, 1)


def test_a_run_that_fails_is_the_exit_code_of_who_waits(small: Service, lake: Lake, b24lake: B24Lake) -> None:
    small.source("crm", "http://127.0.0.1:9/rest/1/SECRETSECRET/")
    with small.database.writing() as session:
        session.get_one(type(small.get("crm")), "crm").webhook = b"sealed with another key"
    with service_of(lake, "worker"):
        ran = b24lake("source", "run", "crm", "--wait")
    assert ran.code == 1
    assert ran.out.startswith("what: ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "show", "2026"), "There is no run"),
        (("run", "list", "--state", "done"), "no state 'done'"),
        (("source", "run", "nobody"), "no source 'nobody'"),
        (("alert", "test", "nobody"), "no channel 'nobody'"),
        (("alert", "channel", "add", "x"), "a webhook or a mail server"),
        (("alert", "channel", "add", "x", "--smtp", "mail.a.de", "--from", "a@a.de", "--to", "b@a.de"), "HOST:PORT"),
    ],
)
def test_wrong_words_are_refused_in_words(b24lake: B24Lake, words: tuple[str, ...], says: str) -> None:
    ran = b24lake(*words)
    assert (ran.code, says in ran.err) == (2, True), ran.said


def test_without_a_worker_a_run_waits_and_says_so(small: Service, b24lake: B24Lake) -> None:
    small.source("crm")
    ran = b24lake("source", "run", "crm")
    assert (ran.code, "queued" in ran.out, "No worker is alive" in ran.err) == (0, True, True)


@pytest.mark.slow
def test_a_channel_is_added_tried_listed_and_removed(lake: Lake, b24lake: B24Lake, tmp_path: Path) -> None:
    file = tmp_path / "address"
    with hook() as posted:
        file.write_text(f"{posted.url}\n")
        assert b24lake("alert", "channel", "add", "team", "--webhook-file", str(file), "--event", "failed").code == 0
        assert b24lake("alert", "test", "team").code == 0
        assert [message["event"] for message in posted.got] == ["test"]
        posted.status = 404
        failed = b24lake("alert", "test", "team", "--json")
        assert (failed.code, "404" in failed.json["error"]) == (1, True)
    [listed] = b24lake("alert", "channel", "list", "--json").json["channels"]
    assert (listed["name"], listed["kind"], listed["events"]) == ("team", "webhook", ["failed"])
    assert "SECRETHOOK" not in str(listed)
    assert [one["tries"] for one in b24lake("alert", "list", "--json").json["alerts"]] == [1, 1]
    assert b24lake("alert", "channel", "delete", "team").code == 0
    assert b24lake("alert", "channel", "list", "--json").json == {"channels": []}

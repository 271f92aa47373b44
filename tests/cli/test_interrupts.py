"""A run that is stopped ends at once, leaves its tables as they were, and says so."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from b24lake.sandbox import Server
from running import Lake, command, environment


@pytest.fixture
def hanging() -> Iterator[tuple[str, threading.Event]]:
    """A portal that takes requests and never answers; the event tells that one has come."""
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            peers = []
            while True:
                try:
                    peers.append(server.accept())
                except OSError:
                    return
                asked.set()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/rest/1/SECRETSECRET/", asked


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_waits_for_a_silent_portal_ends_on_the_first_signal(
    lake: Lake, hanging: tuple[str, threading.Event], number: signal.Signals
) -> None:
    url, asked = hanging
    run = subprocess.Popen(
        command("sync", url, "--json"), env=environment(lake), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert asked.wait(30)
    run.send_signal(number)
    out, err = run.communicate(timeout=20)
    assert run.returncode == 130
    assert json.loads(out)["status"] == "canceled"
    assert b"Traceback" not in err


def test_a_run_stopped_while_reading_leaves_no_half_table(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=50_000, deal_fields=50)
    run = subprocess.Popen(
        command("sync", server.url, "-s", "deals", "--json"),
        env=environment(lake),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    staging = Path(lake.table("deals")) / "_staging"
    while not any(staging.glob("*/*")) and run.poll() is None:
        pass
    run.send_signal(signal.SIGTERM)
    out, _ = run.communicate(timeout=20)
    document = json.loads(out)
    assert (run.returncode, document["status"]) == (130, "canceled")
    assert [line["status"] for line in document["streams"]] == ["failed"]
    assert not (Path(lake.table("deals")) / "_delta_log").exists()

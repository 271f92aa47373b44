"""A portal that changed its address: followed with the request's body, announced, and asked there from then on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from b24lake.errors import StopError
from b24lake.sandbox import Server
from running import Lake


@contextmanager
def redirecting(location: str) -> Iterator[tuple[str, list[str]]]:
    """An old address that sends everybody on; the list holds the paths that were asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", location + self.path.lstrip("/"))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_moved_portal_is_followed_announced_and_remembered(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    with redirecting(server.root) as (old, asked):
        url = old + server.url.removeprefix(server.root)
        first = lake.sync(url, "deals")
        assert (first.status, first.streams[0].rows_read) == ("success", 260)
        assert server.root.split("/")[2] in first.notes[0]
        once = len(asked)
        second = lake.sync(url, "deals")
        assert (second.status, second.streams[0].sync_type, len(asked)) == ("success", "INCREMENTAL", once)
    assert lake.sync(server.url, "deals").streams[0].rows_read == 0


def test_the_secret_does_not_follow_to_a_stranger_in_clear(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    with redirecting("http://stranger.example/") as (old, _), pytest.raises(StopError, match="unsafe"):
        lake.sync(old + server.url.removeprefix(server.root), "deals")

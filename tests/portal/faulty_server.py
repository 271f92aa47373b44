"""A tiny HTTP server that plays a script of faults, one answer per request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What to answer.

    promised   Content-Length, where it is not the body's
    hang_up    close the connection without a word
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = None
    hang_up: bool = False


def good(result: Any = True) -> Reply:
    return Reply(body=json.dumps({"result": result}).encode())


def refusal(status: int, code: str, text: str = "") -> Reply:
    return Reply(status, json.dumps({"error": code, "error_description": text}).encode())


def moved(to: str, status: int = 302) -> Reply:
    return Reply(status, b"moved", {"Location": to})


BAD_GATEWAY = Reply(502, b"<html><h1>502 Bad Gateway</h1></html>")
CUT_OFF = Reply(body=b'{"result": [1, 2', promised=4000)
HANG_UP = Reply(hang_up=True)
BUSY = refusal(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")


@dataclass
class Faulty:
    """The server: what it will answer (the last answer is repeated), and what it was asked."""

    script: list[Reply]
    base: str = ""
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _verb, _path, _headers, body in self.seen]

    def next(self) -> Reply:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def handler(faulty: Faulty) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            faulty.seen.append((self.command, self.path, dict(self.headers), body))
            reply = faulty.next()
            if reply.hang_up:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body) if reply.promised is None else reply.promised))
            self.end_headers()
            self.wfile.write(reply.body)
            self.close_connection = reply.promised is not None

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Silence."""

    return Handler


@contextmanager
def serving(*script: Reply | Callable[[Faulty], Reply]) -> Iterator[Faulty]:
    """Serve a script; a callable entry gets the server itself, for redirects to its own address."""
    faulty = Faulty([])
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(faulty))
    server.daemon_threads = True
    faulty.base = f"http://127.0.0.1:{server.server_address[1]}"
    faulty.script += [entry(faulty) if callable(entry) else entry for entry in script]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield faulty
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

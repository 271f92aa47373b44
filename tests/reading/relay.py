"""Stands between a reader and a sandbox portal, and changes what is asked and answered."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Commands = dict[str, str]
Sections = dict[str, Any]


class Relay:
    """What to change. `asked` gets the commands of a batch, `told` the same and the sections of its answer."""

    def asked(self, commands: Commands) -> Commands:
        return commands

    def told(self, commands: Commands, sections: Sections) -> None:
        """Change the sections in place."""

    def overlong(self, commands: Commands) -> bool:
        """Whether a gateway gives up on a batch of these commands."""
        return False


@contextmanager
def between(url: str, relay: Relay) -> Iterator[str]:
    """The URL at which a portal answers by way of a relay."""
    target = urlsplit(url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            commands = body.get("cmd", {})
            if relay.overlong(commands):
                self.give_up()
                return
            answer = forward(target.netloc, self.path, {**body, "cmd": relay.asked(commands)})
            if isinstance(answer["result"], dict) and "result_error" in answer["result"]:
                relay.told(commands, answer["result"])
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def give_up(self) -> None:
            page = b"<html><h1>504 Gateway Time-out</h1></html>"
            self.send_response(504)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: Any) -> None:
            """Silence."""

    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}{target.path}"


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def forward(host: str, path: str, body: Any) -> Any:
    connection = http.client.HTTPConnection(host)
    connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def refuse(sections: Sections, key: str, code: str) -> None:
    """Make an error of a command's answer."""
    for name in ("result", "result_time", "result_total", "result_next"):
        if isinstance(sections[name], dict):
            sections[name].pop(key, None)
    sections["result_error"] = {**dict(sections["result_error"] or {}), key: {"error": code, "error_description": ""}}

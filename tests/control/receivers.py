"""Those who get alerts, in tests: an HTTP server that keeps what is posted, and a mail server that keeps mail."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Posted:
    """What was posted to `url`; `status` is what it answers."""

    url: str = ""
    status: int = 200
    got: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def hook() -> Iterator[Posted]:
    posted = Posted()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if posted.status < 300:
                posted.got.append(json.loads(body))
            self.send_response(posted.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        posted.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/SECRETHOOK"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield posted
        server.shutdown()


@dataclass
class Mails:
    """Mail that came to `port`, as lines; `logins` are the words of AUTH."""

    port: int = 0
    got: list[list[str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[Mails]:
    """Speaks as much SMTP as a client needs that sends one mail without TLS."""
    mails = Mails()
    with socket.create_server(("127.0.0.1", 0)) as server:
        mails.port = server.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer, peer.makefile("rwb") as lines:
                    _talk(mails, lines)

        threading.Thread(target=accept, daemon=True).start()
        yield mails
        server.shutdown(socket.SHUT_RDWR)


def _talk(mails: Mails, lines: Any) -> None:
    def say(text: str) -> None:
        lines.write(f"{text}\r\n".encode())
        lines.flush()

    say("220 here")
    for line in lines:
        word, _, rest = line.decode().strip().partition(" ")
        match word.upper():
            case "EHLO":
                say("250-here")
                say("250 AUTH PLAIN")
            case "AUTH":
                mails.logins.append(rest)
                say("235 welcome")
            case "DATA":
                say("354 go on")
                mail = []
                while (text := lines.readline().decode().rstrip("\r\n")) != ".":
                    mail.append(text)
                mails.got.append(mail)
                say("250 kept")
            case "QUIT":
                say("221 bye")
                return
            case _:
                say("250 fine")

"""An S3-compatible store over HTTP: moto's, in a process of its own, with a real store's atomicity, and with faults.

with ObjectStore() as store:       one bucket, BUCKET
    store.settings                 environment variables that lead to it
    store.requests()               what was asked since the last question, as "PUT lake/raw/..."
    store.fault("PUT _delta_log")  answer 403 to requests that match, until `fault("")`
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any, Self

BUCKET = "lake"
CONTROL = "/_control/"
KEY = "AKIATESTS"
SECRET = "never-to-be-seen"
SIGNED = {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request"}


class ObjectStore:
    """The process, and the way to it."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self._process = subprocess.Popen(
            [sys.executable, __file__, self.url.rpartition(":")[2]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: text for name, text in os.environ.items() if not name.startswith("AWS_")},
        )

    def __enter__(self) -> Self:
        for _attempt in range(200):
            try:
                self.ask("PUT", f"/{BUCKET}", SIGNED)
            except OSError:
                assert self._process.poll() is None, "the store did not start"
                time.sleep(0.1)
            else:
                return self
        raise AssertionError("the store does not answer")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def settings(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def requests(self) -> list[str]:
        told: list[str] = json.loads(self.ask("POST", f"{CONTROL}requests"))
        return told

    def fault(self, pattern: str, code: str = "AccessDenied", status: int = 403, times: int = -1) -> None:
        """Refuse requests whose "METHOD /bucket/key?query" matches, so many times (-1: until the next fault)."""
        asked = {"pattern": pattern, "code": code, "status": status, "times": times}
        self.ask("POST", f"{CONTROL}fault", body=json.dumps(asked).encode())

    def keys(self, prefix: str = "") -> list[str]:
        listed = self.ask("GET", f"/{BUCKET}?list-type=2&prefix={prefix}", SIGNED).decode()
        return re.findall("<Key>([^<]*)</Key>", listed)

    def uploads(self) -> int:
        """Uploads in several parts that nobody has completed."""
        return self.ask("GET", f"/{BUCKET}?uploads", SIGNED).decode().count("<Upload>")

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            content: bytes = answer.read()
            return content


# --- the process ------------------------------------------------------------------------------------------------------

Start = Callable[..., Any]
Environment = dict[str, Any]


class _Faulty:
    """Requests one after the other, so that conditions hold as at a real store; with the faults asked for."""

    def __init__(self, inner: Callable[[Environment, Start], Iterable[bytes]]) -> None:
        self.inner, self.lock = inner, threading.Lock()
        self.asked: list[str] = []
        self.faulty: dict[str, Any] = {"pattern": "", "times": 0}

    def __call__(self, environment: Environment, start: Start) -> Iterable[bytes]:
        path = environment["PATH_INFO"]
        with self.lock:
            if path.startswith(CONTROL):
                return self.control(path, environment, start)
            told = f"{environment['REQUEST_METHOD']} {path}?{environment['QUERY_STRING']}"
            self.asked.append(told)
            if self.faulty["times"] and self.faulty["pattern"] and re.search(self.faulty["pattern"], told):
                self.faulty["times"] -= 1
                return self.refuse(environment, start)
            return list(self.inner(environment, start))

    def control(self, path: str, environment: Environment, start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        if path.endswith("fault"):
            self.faulty = json.loads(environment["wsgi.input"].read(int(environment["CONTENT_LENGTH"])))
            return [b"{}"]
        told, self.asked = self.asked, []
        return [json.dumps(told).encode()]

    def refuse(self, environment: Environment, start: Start) -> Iterable[bytes]:
        length = int(environment.get("CONTENT_LENGTH") or 0)
        environment["wsgi.input"].read(length)
        start(f"{self.faulty['status']} Refused", [("Content-Type", "application/xml")])
        said = f"<Error><Code>{self.faulty['code']}</Code><Message>Refused by the test {KEY}</Message></Error>"
        return [] if environment["REQUEST_METHOD"] == "HEAD" else [said.encode()]


def main(port: int) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_: object) -> None:
            """Say nothing."""

    app = _Faulty(DomainDispatcherApplication(create_backend_app))
    make_server("127.0.0.1", port, app, threaded=True, request_handler=Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))

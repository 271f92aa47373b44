"""The HTTP port of the service: /metrics for Prometheus, /healthz for whoever keeps it running."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from b24lake.control import metrics
from b24lake.control.database import Database
from b24lake.control.moments import Clock
from b24lake.errors import B24LakeError, UsageError

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
JSON = "application/json"
_log = logging.getLogger(__name__)
Answer = tuple[int, str, str]
"""Status, content type, body."""


def answers(database: Database, clock: Clock) -> dict[str, Callable[[], Answer]]:
    """What each path answers."""

    def shown_metrics() -> Answer:
        return 200, PROMETHEUS, metrics.text(metrics.families(database, clock()))

    def healthz() -> Answer:
        return 200, JSON, json.dumps({"status": "ok", **metrics.vital(database, clock())})

    return {"/metrics": shown_metrics, "/healthz": healthz}


class Endpoint:
    """Serves until it is closed. Raises UsageError where the port is taken."""

    def __init__(self, database: Database, clock: Clock, host: str, port: int) -> None:
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(answers(database, clock)))
        except OSError as error:
            raise UsageError(
                f"Port {port} of {host} cannot be used", why=error.strerror or "", fix="choose another --port"
            ) from None
        self._server.daemon_threads = True
        self.address = f"http://{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Let go of the port."""
        self._server.shutdown()
        self._server.server_close()


def _handler(paths: dict[str, Callable[[], Answer]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = paths.get(self.path.partition("?")[0])
            try:
                status, kind, body = answer() if answer else (404, JSON, '{"status": "there is no such page"}')
            except B24LakeError as error:
                status, kind, body = 503, JSON, json.dumps({"status": "failed", "error": error.as_json()})
            except Exception:  # noqa: BLE001  the library would print it, and keep the asker waiting
                _log.exception("The page %s cannot be made", self.path)
                status, kind, body = 500, JSON, '{"status": "failed"}'
            said = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing: a probe every few seconds is no news."""

    return Handler

"""The portal over HTTP."""

import contextlib
import logging
import socket
import threading
from types import TracebackType
from typing import BinaryIO, Self

from b24lake.sandbox import dispatch, errors
from b24lake.sandbox.control import CONTROL, control
from b24lake.sandbox.errors import ApiError
from b24lake.sandbox.params import Params, parse_body, parse_query
from b24lake.sandbox.portal import Portal
from b24lake.sandbox.replies import envelope, refusal
from b24lake.sandbox.wire import BadRequestError, Request, read_request, write_answer

log = logging.getLogger(__name__)

BACKLOG = 128
SEND_BUFFER = 1 << 20
POLL = 0.2  # seconds between looks at whether to stop


class Server:
    """Serves a portal on a loopback address; a thread per connection.

    port   0 = a free one; `url` tells which
    """

    def __init__(self, portal: Portal, host: str = "127.0.0.1", port: int = 0) -> None:
        self.portal, self.host = portal, host
        self._socket = socket.create_server((host, port), backlog=BACKLOG)
        self._socket.settimeout(POLL)
        self.port: int = self._socket.getsockname()[1]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._open: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """The webhook URL, with a slash at the end."""
        return f"{self.root}rest/{self.portal.settings.user_id}/{self.portal.settings.code}/"

    @property
    def root(self) -> str:
        """The server's own address, with a slash at the end."""
        return f"http://{self.host}:{self.port}/"

    def start(self) -> Self:
        """Serve in a background thread."""
        self._thread = threading.Thread(target=self.serve_forever, name="sandbox", daemon=True)
        self._thread.start()
        return self

    def serve_forever(self) -> None:
        """Serve in this thread until `close` is called from another."""
        while not self._stop.is_set():
            try:
                peer, address = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(peer, address[0]), daemon=True).start()

    def close(self) -> None:
        """Stop serving and cut all connections."""
        self._stop.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept() where the system allows it; elsewhere it polls
        if self._thread is not None:
            self._thread.join()
        self._socket.close()
        for peer in list(self._open):
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self, peer: socket.socket, address: str) -> None:
        peer.settimeout(None)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._open.add(peer)
        try:
            with peer, peer.makefile("rb") as source:
                while self._exchange(peer, source, address):
                    continue
        except OSError:
            return  # the peer went away
        finally:
            self._open.discard(peer)

    def _exchange(self, peer: socket.socket, source: BinaryIO, address: str) -> bool:
        """One request and its answer; False where the connection ends."""
        try:
            request = read_request(source, peer)
        except (BadRequestError, ValueError):
            write_answer(peer, None, 400, b'{"error":"INVALID_REQUEST","error_description":"Bad request"}')
            return False
        if request is None:
            return False
        status, body = self.answer(request, address)
        write_answer(peer, request, status, body, zipped=self.portal.settings.gzip)
        return request.keep_alive

    def answer(self, request: Request, address: str) -> tuple[int, bytes]:
        """The status and body for a request."""
        if request.path.startswith(CONTROL):
            return control(self.portal, request, address)
        try:
            method = self._method(request.path)
            reply, time = dispatch.request(self.portal, method, _params(request), address)
        except ApiError as error:
            return error.status, refusal(error)
        except Exception:
            log.exception("The sandbox failed at %s", request.path.rpartition("/")[2])
            return 500, refusal(ApiError(500, "INTERNAL_SERVER_ERROR", "Internal server error"))
        return 200, envelope(reply, time)

    def _method(self, path: str) -> str:
        """The method's name in `/rest/USER/CODE/METHOD`; raises NO_AUTH_FOUND for another user or code."""
        parts = path.strip("/").split("/")
        settings = self.portal.settings
        if len(parts) < 3 or parts[:3] != ["rest", str(settings.user_id), settings.code]:
            raise errors.no_auth()
        return "/".join(parts[3:]).removesuffix(".json")


def _params(request: Request) -> Params:
    """Parameters of the URL, overlaid by those of the body."""
    params = parse_query(request.query)
    if request.body:
        params |= parse_body(request.body, request.headers.get("content-type", ""))
    return params

"""The portal over HTTP."""

import contextlib
import logging
import socket
import threading
from types import TracebackType
from typing import Any, BinaryIO, Self

from b24lake.sandbox import dispatch, errors, gateway
from b24lake.sandbox.control import CONTROL, control
from b24lake.sandbox.errors import ApiError, GatewayError
from b24lake.sandbox.params import Params, parse_body, parse_query
from b24lake.sandbox.portal import Portal
from b24lake.sandbox.replies import envelope, refusal
from b24lake.sandbox.wire import Answer, BadRequestError, Request, read_request, write_answer

log = logging.getLogger(__name__)

BACKLOG = 128
SEND_BUFFER = 1 << 20
POLL = 0.2  # seconds between looks at whether to stop


class Server:
    """Serves a portal on a loopback address; a thread per connection.

    port   0 = a free one; `url` tells which, also after a `move`
    """

    def __init__(self, portal: Portal, host: str = "127.0.0.1", port: int = 0) -> None:
        self.portal, self.host = portal, host
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._doors: list[socket.socket] = []  # the last one is where the portal lives
        self._open: set[socket.socket] = set()
        self._moved_by = 302
        self.port = self._listen(port)

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
        self._watch(self._doors[-1])
        return self

    def serve_forever(self) -> None:
        """Serve in this thread until `close` is called from another."""
        self._accept(self._doors[-1])

    def move(self, status: int = 302) -> str:
        """Move the portal to another port: the old one answers with `status` and the new address, the new URL."""
        if status not in gateway.NAMES or status >= 400:
            raise ValueError(f"{status} is no redirect")
        self._moved_by, self.port = status, self._listen(0)
        self._watch(self._doors[-1])
        return self.url

    def close(self) -> None:
        """Stop serving and cut all connections."""
        self._stop.set()
        for door in self._doors:
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)  # wakes accept() where the system allows it; elsewhere it polls
        for thread in self._threads:
            thread.join()
        for door in self._doors:
            door.close()
        for peer in list(self._open):
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def _listen(self, port: int) -> int:
        """Open another door; returns its port."""
        door = socket.create_server((self.host, port), backlog=BACKLOG)
        door.settimeout(POLL)
        self._doors.append(door)
        return int(door.getsockname()[1])

    def _watch(self, door: socket.socket) -> None:
        thread = threading.Thread(target=self._accept, args=(door,), name="sandbox", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, door: socket.socket) -> None:
        """Let peers in until the server is closed."""
        port = door.getsockname()[1]
        while not self._stop.is_set():
            try:
                peer, address = door.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(peer, address[0], port), daemon=True).start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self, peer: socket.socket, address: str, port: int) -> None:
        peer.settimeout(None)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._open.add(peer)
        try:
            with peer, peer.makefile("rb") as source:
                while self._exchange(peer, source, address, port):
                    continue
        except OSError:
            return  # the peer went away
        finally:
            self._open.discard(peer)

    def _exchange(self, peer: socket.socket, source: BinaryIO, address: str, port: int) -> bool:
        """One request and its answer; False where the connection ends."""
        try:
            request = read_request(source, peer)
        except (BadRequestError, ValueError):
            write_answer(peer, None, Answer(400, b'{"error":"INVALID_REQUEST","error_description":"Bad request"}'))
            return False
        if request is None:
            return False
        answer = self.answer(request, address, port)
        return write_answer(peer, request, answer, zipped=self.portal.settings.gzip)

    def answer(self, request: Request, address: str, port: int = 0) -> Answer:
        """The answer to a request that came in at `port` (0 = where the portal lives)."""
        if request.path.startswith(CONTROL):
            return control(self.portal, request, address, {"move": self._move})
        self.portal.travel()
        answer = self._moved(request) if port not in (0, self.port) else self._answered(request, address)
        self.portal.travel()
        return answer

    def _move(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"url": self.move(**asked)}

    def _moved(self, request: Request) -> Answer:
        with self.portal.lock:
            self.portal.counters.moved += 1
        query = f"?{request.query}" if request.query else ""
        return gateway.moved(self._moved_by, f"{self.root}{request.path.lstrip('/')}{query}")

    def _answered(self, request: Request, address: str) -> Answer:
        """What the portal itself says, or its proxy."""
        try:
            method = self._method(request.path)
            reply, time = dispatch.request(self.portal, method, _params(request), address)
        except ApiError as error:
            return Answer(error.status, refusal(error))
        except GatewayError as error:
            return gateway.page(error.status)
        except Exception:
            log.exception("The sandbox failed at %s", request.path.rpartition("/")[2])
            return Answer(500, refusal(errors.internal()))
        answer = Answer(200, envelope(reply, time))
        if not self.portal.faults:
            return answer
        with self.portal.lock:
            return gateway.spoiled(self.portal.faults, dispatch.plain_name(method), answer)

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

"""The web server: uvicorn in a thread of the service, beside its scheduler and worker."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack

import uvicorn

from b24lake.errors import UsageError
from b24lake.web.app import create_app
from b24lake.web.site import Site

_SECONDS = 3  # that open requests get at the end


class Server:
    """Serves the app from a thread until it is closed. Raises UsageError where the port is taken.

    proxies   addresses and networks whose forwarded headers are believed; nobody else's are
    """

    def __init__(self, site: Site, host: str, port: int, *, proxies: Sequence[str] = ()) -> None:
        self._socket = _listening(host, port)
        name = f"[{host}]" if ":" in host else host
        self.address = f"http://{name}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(site),
            log_level="warning",
            access_log=False,  # addresses hold what people search for
            lifespan="off",
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            timeout_graceful_shutdown=_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="web", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let open requests come to their end, and let go of the port."""
        self._server.should_exit = True
        self._thread.join(2 * _SECONDS)
        self._socket.close()


def _listening(host: str, port: int) -> socket.socket:
    """The socket, open before anything else is ready: whoever comes early waits and is served."""
    with ExitStack() as undone:
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            # Only where the protocol is named does asyncio send at once (TCP_NODELAY); else answers wait some 40 ms.
            made = undone.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((host, port))
            made.listen(128)
        except OSError as error:
            raise UsageError(
                f"Port {port} of {host} cannot be used", why=error.strerror or "", fix="choose another --port"
            ) from None
        undone.pop_all()
        return made

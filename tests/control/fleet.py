"""Several worker processes in tests: started, watched from outside, cut off from the database, and judged."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil
from deltalake import DeltaTable

from b24lake.control.models import Run
from b24lake.sandbox import Server
from service import Service, spawn

SLOW = {"deals": 8000, "page_ms": 400, "deal_fields": 50}  # more than fifteen seconds of reading
WORKERS = 3


class Watch:
    """Looks all the time which runs have a process, and remembers the most that one run of a service had at once."""

    def __init__(self, service: Service) -> None:
        self._service, self._most = service, Counter[str]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            at_once = Counter(title for process in psutil.process_iter() if (title := title_of(process)))
            self._most |= at_once

    @property
    def most(self) -> set[int]:
        """Of each run; other tests may go on at the same time."""
        return {self._most[f"b24lake run {run['id']}"] for run in self._service.runs()}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def title_of(process: psutil.Process) -> str:
    """What the process of a run calls itself; "" for any other process."""
    try:
        title = " ".join(process.cmdline())
    except psutil.Error:
        return ""
    return title.strip() if title.startswith("b24lake run ") else ""


def children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes of the runs of a worker."""
    return [one for one in psutil.Process(process.pid).children() if title_of(one)]


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended, whether or not its parent has taken note of it."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@contextmanager
def workers(address: str, service: Service, count: int = WORKERS) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Worker processes; what is left of them at the end is killed."""
    with ExitStack() as stack:
        yield [stack.enter_context(killed(spawn(address, service))) for _ in range(count)]


@contextmanager
def killed(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end, also where it is frozen."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def elsewhere(service: Service, folder: Path) -> Path:
    """A home with the same key, as on another machine: it knows nothing of the locks of the first one."""
    folder.mkdir()
    shutil.copy(service.home.path / "key", folder / "key")
    return folder


def holder(service: Service, run_id: str, processes: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """The process of the worker that holds a run."""
    pid = int(service.run(run_id)["worker"].split("-")[-2])
    return next(process for process in processes if process.pid == pid)


def read_some(service: Service, run_id: str) -> bool:
    """Whether a run has read much of a slow portal; the rest takes longer than a lease of the tests' pace."""
    return bool(service.run(run_id)["progress"].get("rows", 0) >= 3500)


def table(service: Service, name: str) -> dict[str, str]:
    """The deals of a source by their ids; each id is there once."""
    rows = DeltaTable(str(service.lake / "raw" / f"{name}_deals")).to_pyarrow_table(columns=["ID", "TITLE"]).to_pylist()
    found = {str(row["ID"]): row["TITLE"] for row in rows}
    assert len(found) == len(rows)
    return found


def truth(server: Server) -> dict[str, str]:
    return {str(row["ID"]): row["TITLE"] for row in server.portal.truth("deals")}


def asked(service: Service, run_id: str) -> tuple[int, int]:
    """Requests and pages of a run, of its last process alone."""
    [stream] = service.run(run_id)["streams"]
    with service.database.reading() as session:
        return int(session.get_one(Run, run_id).report["requests"]), int(stream["commands"])


def assert_gone_on(service: Service, run: dict[str, Any], server: Server) -> None:
    """The run's second process read less than a new full read does, and the table is what the portal has."""
    assert (run["state"], run["claims"], run["attempt"], run["error"]) == ("success", 2, 1, None)
    assert any("goes on behind" in note for note in run["notes"])
    assert table(service, run["source"]) == truth(server)
    with service.worker():
        full = service.awaited(service.request(run["source"], full=True))
    assert full["state"] == "success"
    (requests, pages), (all_requests, all_pages) = asked(service, run["id"]), asked(service, full["id"])
    assert requests < all_requests
    assert pages < all_pages


class Line:
    """A way to a PostgreSQL server that can be cut: what is connected breaks, and nobody gets through."""

    def __init__(self, address: str) -> None:
        self.name, _, folder = address.removeprefix("postgresql://b24lake@/").partition("?host=")
        self._server = f"{folder}/.s.PGSQL.5432"
        self._door = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"postgresql://b24lake@127.0.0.1:{self._door.getsockname()[1]}/{self.name}"

    def cut(self) -> None:
        self._cut = True
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        self.cut()
        self._door.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._door.accept()
                if self._cut:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._open += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with closing(target), suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)

"""A PostgreSQL server of the tests' own, on a socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import psycopg

ARGUMENTS = ("-h", "", "-F", "-c", "max_connections=200", "-c", "shared_buffers=16MB")
PATIENCE = 60  # seconds to start or to stop


def program(name: str) -> str | None:
    """Where one of PostgreSQL's programs is: Debian keeps the server's out of the way."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or next((str(place) for place in debian), None)


def missing() -> bool:
    return not (program("initdb") and program("postgres"))


class Postgres:
    """One server; every database made by `database()` is a new, empty one."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="b24pg-"))
        self.user = _unprivileged()
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        if self.user:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)
        data = str(self.folder / "data")
        initdb = str(program("initdb"))
        made = [initdb, "-D", data, "-U", "b24lake", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, user=self.user, cwd=self.folder)
        self.start()

    def start(self) -> None:
        command = [str(program("postgres")), "-D", str(self.folder / "data"), "-k", str(self.folder), *ARGUMENTS]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, user=self.user, cwd=self.folder)
        for _ in range(PATIENCE * 10):
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.address("postgres")).close()
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """As when the machine is switched off: every connection breaks."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: at once
            self._process.wait(PATIENCE)
            self._process = None

    def address(self, name: str) -> str:
        return f"postgresql://b24lake@/{name}?host={self.folder}"

    def database(self) -> str:
        """The address of a new database."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _unprivileged() -> str | None:
    """Whom the server runs as where we are root, for it refuses that."""
    if os.geteuid() != 0:
        return None
    users = {each.pw_name for each in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in users)

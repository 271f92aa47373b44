"""The command line as processes that start at once: one process imports what commands need, and forks for each.

Most of a short command's time goes into imports. A forked command is a process of its own, as one from a shell: its own
environment, standard streams, exit code and end. What a command imports is tested where it is started from scratch
(`running.command`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock, Timer
from typing import Any

IMPORTED = (
    "alembic.command",
    "deltalake",
    "pyarrow.compute",
    "rich.table",
    "sqlalchemy.orm",
    "b24lake.control.sources",
)


class Forge:
    """The process that forks. One command at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def run(self, words: tuple[str, ...], env: Mapping[str, str], seconds: float) -> tuple[int, str, str]:
        """A command's exit code and what it printed. Raises TimeoutError where it takes longer."""
        with self._lock, tempfile.TemporaryDirectory() as folder:
            files = [str(Path(folder, name)) for name in ("out", "err")]
            pid = int(self._asked({"words": words, "env": dict(env), "cwd": str(Path.cwd()), "files": files}))
            late = Timer(seconds, os.kill, (pid, 9))
            late.start()
            code = int(self._line())
            late.cancel()
            if late.finished.is_set() and code == -9:
                raise TimeoutError(f"`b24lake {' '.join(words)}` took more than {seconds} s")
            out, err = (Path(file).read_text(encoding="utf-8") for file in files)
            return code, out, err

    def _asked(self, request: dict[str, Any]) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@cache
def forge() -> Forge:
    return Forge()


def main() -> None:
    """Fork for every line that comes in; the end of the input is the end."""
    for name in IMPORTED:
        __import__(name)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            command(**json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def command(words: list[str], env: dict[str, str], cwd: str, files: list[str]) -> None:
    """Become the command."""
    from b24lake.cli.main import main as run

    for number, file in enumerate((os.devnull, *files)):
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["b24lake", *words]
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115  the one before has read ahead
    run()  # it ends the process


if __name__ == "__main__":
    main()

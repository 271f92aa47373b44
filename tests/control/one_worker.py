"""A worker as a process: ADDRESS HOME LAKE and its pace."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from b24lake.control.database import open_database
from b24lake.control.keys import open_keyring
from b24lake.control.moments import now
from b24lake.control.worker import Worker
from b24lake.control.workers import Pace
from b24lake.sync.home import Home

if __name__ == "__main__":
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    address, home, lake, *pace = sys.argv[1:]
    database = open_database(address, Home(Path(home)))
    keyring = open_keyring(database, Home(Path(home)), {})
    worker = Worker(database, keyring, Home(Path(home)), Path(lake), now, pace=Pace(*map(float, pace)), most=1)
    worker.work(lambda: bool(stopped))

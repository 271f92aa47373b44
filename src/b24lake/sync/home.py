"""The home directory, as a run sees it: of its locks, some are those of tables."""

from __future__ import annotations

import hashlib

from b24lake.lake.place import Place
from b24lake.reading.home import Home as Home
from b24lake.reading.home import connect as connect
from b24lake.reading.home import portal_id as portal_id


def lock_name(path: Place) -> str:
    """A file name that stands for a path of any length."""
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]

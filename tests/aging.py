"""Tables that are older than they are."""

from __future__ import annotations

import os
import re
from pathlib import Path

_STAMPS = re.compile(r'("(?:timestamp|deletionTimestamp|modificationTime|createdTime)":)(\d{13})')


def aged(table: Path, days: int) -> None:
    """Have so many days pass since everything that happened to a table: its log says so, and the times of its files."""
    before = days * 86400

    def earlier(found: re.Match[str]) -> str:
        return f"{found[1]}{int(found[2]) - before * 1000}"

    for file in [each for each in table.rglob("*") if each.is_file()]:
        then = file.stat().st_mtime - before
        if file.suffix == ".json" and file.parent.name == "_delta_log":
            file.write_text(_STAMPS.sub(earlier, file.read_text("utf-8")), "utf-8")
        os.utime(file, (then, then))

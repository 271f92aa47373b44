"""What a run did: per stream and in all, as the JSON that scripts read."""

from __future__ import annotations

import resource
import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from b24lake.errors import B24LakeError

SUCCESS, EMPTY, LOCKED, FAILED, SKIPPED = "success", "empty", "locked", "failed", "skipped"
PARTIAL, CANCELED = "partial", "canceled"
EXIT_CODES = {SUCCESS: 0, FAILED: 1, PARTIAL: 3, CANCELED: 130}


@dataclass(slots=True)
class StreamReport:
    """The completeness record of one stream.

    rows_read       different keys that came, the overlap included
    rows_updated    None where nobody compared the rows (full reads)
    bookmark        where the next incremental read begins, ISO; None = it reads in full
    portal_total    the portal's own count, where it told one
    version         of the table that the run made; None = it made none
    """

    name: str
    status: str = SKIPPED
    sync_type: str = "FULL_TABLE"
    table: str = ""
    rows_read: int = 0
    rows_inserted: int = 0
    rows_updated: int | None = None
    rows_deleted: int = 0
    misfits: int = 0
    bookmark: str | None = None
    commands: int = 0
    portal_seconds: float = 0.0
    rests: int = 0
    rest_seconds: float = 0.0
    portal_total: int | None = None
    version: int | None = None
    filter_ignored: bool = False
    schema_changes: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None


@dataclass(slots=True)
class RunReport:
    """The whole run; `status` is success, partial, failed or canceled.

    error   what ended the run before its time
    notes   what its owner should know although nothing failed
    """

    run_id: str
    started_at: datetime
    status: str = FAILED
    seconds: float = 0.0
    requests: int = 0
    streams: list[StreamReport] = field(default_factory=list)
    error: B24LakeError | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 success, 1 failed, 3 partial, 130 canceled."""
        return EXIT_CODES[self.status]

    def as_json(self) -> dict[str, Any]:
        """The document that `sync --json` prints."""
        return {
            "status": self.status,
            "run_id": self.run_id,
            "started_at": self.started_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "requests": self.requests,
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "error": self.error.as_json() if self.error else None,
            "notes": self.notes,
            "streams": [
                {**asdict(stream), "portal_seconds": round(stream.portal_seconds, 3)} for stream in self.streams
            ],
        }


def new_run_id(now: datetime) -> str:
    """An id that tells when the run began, and that no other run has."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def run_status(streams: Sequence[StreamReport]) -> str:
    """A run succeeded if nothing failed and at least one stream was read; it is partial if some failed."""
    landed = any(stream.status in {SUCCESS, EMPTY} for stream in streams)
    broken = any(stream.status == FAILED for stream in streams)
    if landed:
        return PARTIAL if broken else SUCCESS
    return FAILED


def peak_memory_mb() -> float:
    """The most memory this process ever had in use, in megabytes of 10**6 bytes."""
    try:  # on Linux `ru_maxrss` begins with the size of the process that started this one
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6

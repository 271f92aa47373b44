"""Why a stream that could be read from its bookmark on is read in full."""

from __future__ import annotations

from b24lake.lake.table import bookmark
from b24lake.reading.marks import ASKED_OTHERWISE
from b24lake.streams.selection import INCREMENTAL
from b24lake.sync.job import Job
from b24lake.sync.options import Options

BEGUN_ANEW = "its bookmark was reset, or a column has changed its type"


def why_full(job: Job, options: Options) -> str:
    """The reason, where there is a table and nobody wanted a full read; "" otherwise."""
    wanted = options.full or job.selected.sync_type != INCREMENTAL
    if wanted or job.incremental or job.version is None:
        return ""
    if job.others:
        return f"another program has changed its rows ({job.others})"
    marked = bookmark(job.path, job.kind, job.fingerprint)
    return ASKED_OTHERWISE if marked is None else BEGUN_ANEW

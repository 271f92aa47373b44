"""What other programs did to the rows of a table since a run wrote it.

An incremental read brings what has changed at the source. Rows that somebody else took, wrote or turned back stay
wrong until all are read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deltalake import DeltaTable

from b24lake.lake.table import MARK

NEUTRAL = frozenset(
    {
        "ADD COLUMN",
        "ADD COLUMNS",
        "ADD CONSTRAINT",
        "ADD FEATURE",
        "CHANGE COLUMN",
        "COMPUTE STATS",
        "DROP CONSTRAINT",
        "OPTIMIZE",
        "SET TBLPROPERTIES",
        "UNSET TBLPROPERTIES",
        "UPDATE FIELD METADATA",
        "UPDATE SCHEMA",
        "UPDATE TABLE METADATA",
        "VACUUM END",
        "VACUUM START",
    }
)
"""Operations, as commits name them, that leave every row as it was."""
LOOKED_AT = (3, 1_000)
"""Commits: the last few tell mostly."""


def changed_by_others(table: DeltaTable) -> str:
    """What was done, as "RESTORE in version 7"; "" where nothing was, or the log does not go back that far."""
    for limit in LOOKED_AT:
        told = _since_a_run(table.history(limit))
        if told is not None:
            return told
    return ""


def _since_a_run(commits: Iterable[Mapping[str, Any]]) -> str | None:
    """The last thing that was done to rows, newest commits first; None where none of ours wrote rows."""
    done = ""
    for commit in commits:
        if {f"{MARK}rows_read", f"{MARK}restored"} & commit.keys():
            return done
        operation = str(commit.get("operation", "a change"))
        if f"{MARK}run" not in commit and operation.upper() not in NEUTRAL:
            done = done or f"{operation} in version {commit['version']}"
    return None

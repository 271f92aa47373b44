"""Columns in people's own words, which no run takes away.

What every reader of a Delta table shows of a column is its `comment`. The label that the source gives it goes there,
until a person writes something else: then that is the comment, and the label is kept beside it, where runs renew it.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable

from b24lake.errors import UsageError
from b24lake.lake.columns import LABEL, OWN, comment, label, note, own_comment
from b24lake.lake.files import storage_errors
from b24lake.lake.place import Place
from b24lake.lake.table import MARK, our_owner, schema_of

LONGEST = 1_000
"""Signs of a comment."""


def describe_columns(path: Place, table: DeltaTable, comments: Mapping[str, str], run_id: str) -> tuple[str, ...]:
    """Write comments of columns, one version for each that is not so already; "" brings the source's label back.

    comments   column -> text
    run_id     what the versions are to tell of where they came from

    Returns the columns that have another comment now. Raises UsageError where a comment is too long, there is no such
    column, or the table is not ours; the caller holds the table's lock.
    """
    our_owner(path, table)
    fields = {each.name: each for each in schema_of(table)}
    for name, text in comments.items():
        check_comment(text)
        if name not in fields:
            raise UsageError(
                f"There is no column {name!r} in {path.parent.name}.{path.name}",
                fix="`b24lake show` lists them; upper and lower case are told apart",
            )
    changed = {name: text for name, text in comments.items() if own_comment(fields[name]) != text}
    with storage_errors(path):
        for name, text in changed.items():
            by = CommitProperties(custom_metadata={f"{MARK}run": run_id})
            table.alter.set_column_metadata(name, notes(fields[name], text), commit_properties=by)
    return tuple(changed)


def check_comment(text: str) -> None:
    """Raises UsageError where a comment is longer than it may be, or holds what no reader can show."""
    if len(text) > LONGEST:
        raise UsageError(f"A comment has at most {LONGEST:,} signs", fix="write a shorter one")
    if any(not sign.isprintable() and sign not in "\n\t" for sign in text):
        raise UsageError("A comment cannot have control characters", fix="write it as plain text")


def notes(field: pa.Field, text: str) -> dict[str, str]:
    """The entries of a column's metadata when a person wrote this of it. Delta takes none away: "" counts as none."""
    if text:
        return {"comment": text, OWN: "true", LABEL: label(field)}
    return {"comment": label(field), OWN: "", LABEL: ""}


def own_comments(schema: pa.Schema) -> dict[str, str]:
    """What people wrote, by column."""
    return {each.name: comment(each) for each in schema if note(each, OWN)}

"""The names that columns keep: a field has its column for good, and no two fields ever share one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from b24lake.lake.columns import SYSTEM_COLUMNS, note
from b24lake.lake.evolution import SPLIT_FROM
from b24lake.streams.fields import CODE, distinct
from b24lake.streams.selection import Selected


def held(*schemas: pa.Schema) -> dict[str, str]:
    """The columns of a table and of what is staged for it, each with the code of its field.

    That is "" for columns that no field may take: those that b24lake adds, and side columns of a changed type.
    """
    return {each.name: _code(each) for schema in schemas for each in schema}


def named(selected: Selected, held: Mapping[str, str]) -> Selected:
    """The stream with the names that its fields have in the table."""
    found = selected.found
    return replace(selected, found=replace(found, columns=distinct(found.columns, held)))


def _code(field: pa.Field) -> str:
    if field.name in SYSTEM_COLUMNS or note(field, SPLIT_FROM):
        return ""
    return note(field, CODE) or field.name

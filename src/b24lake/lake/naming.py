"""Names of tables and columns as SQL takes them: in quotes only where that has to be (pure)."""

from __future__ import annotations

import re

from b24lake.lake.columns import quoted
from b24lake.lake.table import RESERVED

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = RESERVED | frozenset(
    word
    for line in (
        "cluster cube current_catalog current_schema current_user distribute glob ilike interval isnull localtime",
        "localtimestamp lock minus notnull only partitioned_by qualify regexp returning revoke rlike rollback rollup",
        "session_user sort straight_join struct tablesample uncache variadic xor",
    )
    for word in line.split()
)
"""Words that mean something to the engine or the parser where a column may stand, as `SORT` of `SORT BY` does."""


def name(text: str) -> str:
    """A name as people write it.

    >>> name("STAGE_ID"), name("order"), name("SORT"), name("a-b")
    ('STAGE_ID', '"order"', '"SORT"', '"a-b"')
    """
    return text if _PLAIN.fullmatch(text) and text.casefold() not in _WORDS else quoted(text)


def table_name(text: str) -> str:
    """A table that people call `layer.table`.

    >>> table_name("raw.my deals")
    'raw."my deals"'
    """
    return ".".join(map(name, text.split(".", 1)))

"""How a table is read in the languages and programs that people have, as texts to copy. Pure."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from b24lake.lake.catalog import TableInfo
from b24lake.lake.columns import literal
from b24lake.lake.naming import name, table_name
from b24lake.lake.place import ObjectPath, Place
from b24lake.lake.readable import SUFFIX

SHOWN = 4  # columns that a SELECT names


class Snippet(NamedTuple):
    """A text to copy; `needs` is what has to be installed for it."""

    key: str
    title: str
    needs: str
    code: str


def select(info: TableInfo, columns: list[str], *, readable: bool = False) -> str:
    """The first rows, by the name that SQL here has for the table."""
    table = table_name(f"{info.sql_name}{SUFFIX}" if readable else info.sql_name)
    named = "*" if readable or not columns else ", ".join(map(name, columns[:SHOWN]))
    return f"SELECT {named}\nFROM {table}\nLIMIT 100"


def snippets(info: TableInfo, columns: list[str], path: Place) -> list[Snippet]:
    """All of them."""
    where, far = str(path if isinstance(path, ObjectPath) else path.absolute()), isinstance(path, ObjectPath)
    sql = select(info, columns)
    one_line = sql.replace("\n", " ")
    secret = "CREATE SECRET (TYPE s3, PROVIDER credential_chain);\n" if far else ""
    spark = where.replace("s3://", "s3a://", 1) if far else where
    named = ", ".join(map(repr, columns[:SHOWN]))
    found = [
        Snippet("sql", "SQL", "", sql),
        Snippet("command", "b24lake", "", f"b24lake query {shlex.quote(one_line)} --lake {shlex.quote(_lake(where))}"),
        Snippet(
            "duckdb",
            "DuckDB",
            "",
            f"INSTALL delta; LOAD delta;\n{secret}SELECT * FROM delta_scan({literal(where)}) LIMIT 100;",  # noqa: S608
        ),
        Snippet(
            "polars",
            "Polars",
            "pip install polars deltalake",
            f"import polars as pl\n\ndf = pl.scan_delta({where!r}).select({named}).head(100).collect()",
        ),
        Snippet(
            "pandas",
            "pandas",
            "pip install pandas deltalake pyarrow",
            f"from deltalake import DeltaTable\n\ndf = DeltaTable({where!r}).to_pandas(columns=[{named}])",
        ),
        Snippet(
            "spark",
            "Spark",
            "pip install pyspark delta-spark",
            f'df = spark.read.format("delta").load({spark!r})\ndf.select({named}).show()',
        ),
    ]
    if info.has_view:
        found.insert(1, Snippet("readable", "SQL", "", select(info, columns, readable=True)))
    return found


def _lake(where: str) -> str:
    """The lake of a table's folder."""
    return where.rsplit("/", 2)[0]

"""Which tables of a lake somebody may read, by name and in SQL."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from b24lake.errors import NotFoundError, UsageError
from b24lake.lake.query import stream
from b24lake.lake.reach import Reach, exactly


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A lake with tables of several layers; the folder of one has a dot in its name."""
    for name in ("raw/deals", "raw/users", "trusted/deals", "secret/raw.pay", "raw/a*b", "raw/axb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_deltalake(str(tmp_path / name), pa.table({"ID": [1]}))
    return tmp_path


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        ((), ["raw.a*b", "raw.axb", "raw.deals", "raw.users", "secret.raw.pay", "trusted.deals"]),
        ((("*.deals",),), ["raw.deals", "trusted.deals"]),
        ((("raw.*",), ("*.deals", "*.users")), ["raw.deals", "raw.users"]),
        (((),), []),
        ((exactly(["raw.a*b"]),), ["raw.a*b"]),
    ],
)
def test_a_table_has_to_fit_a_glob_of_each_list(
    many: Path, limits: tuple[tuple[str, ...], ...], names: list[str]
) -> None:
    assert Reach(many, limits).names() == names


def test_a_table_is_found_with_or_without_its_layer_among_those_in_reach(many: Path) -> None:
    assert Reach(many, (("raw.*",),)).found("deals") == "raw.deals"
    assert Reach(many).found("raw.users") == "raw.users"
    with pytest.raises(UsageError, match="several layers"):
        Reach(many).found("deals")
    with pytest.raises(UsageError, match="There is no table 'users'") as said:
        Reach(many, (("*.deals",),)).found("users")
    assert "raw.users" not in str(said.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM raw.users",
        'SELECT * FROM "raw"."users" VERSION AS OF 0',
        "WITH deals AS (SELECT * FROM raw.users) SELECT * FROM deals",
        "SELECT * FROM raw.deals UNION SELECT * FROM raw.users",
        "SELECT * FROM raw.deals WHERE ID = (SELECT max(ID) FROM raw.users)",
        "SELECT * FROM raw.pay",
        'SELECT * FROM secret."raw.pay"',
        "SELECT * FROM RAW.deals",
        "DROP TABLE raw.deals",
        "SELECT 1; SELECT 2",
    ],
)
def test_sql_is_judged_by_the_tables_that_it_reads(many: Path, sql: str) -> None:
    limits = (("raw.deals", "raw.pay", "RAW.deals"),)
    own = "SELECT count(*) FROM raw.deals d JOIN (SELECT * FROM raw.deals) e ON d.ID = e.ID"
    assert stream(many, own, limits=limits).read_all().num_rows == 1
    assert stream(many, "SELECT 'raw.users' AS text", limits=limits).read_all().num_rows == 1
    with pytest.raises(UsageError):
        stream(many, sql, limits=limits)


def test_what_may_not_be_read_sounds_as_if_it_were_not_there(many: Path) -> None:
    write_deltalake(str(many / "raw" / "deals_readable"), pa.table({"secret": [1]}))  # a table, no view
    for name in ("raw.users", "raw.deals_readable", "raw.users_readable", "raw.pay"):
        told = []
        for asked in (name, name.replace("raw.", "raw.x")):
            with pytest.raises(NotFoundError) as said:
                stream(many, f"SELECT * FROM {asked}", limits=(("raw.deals",),))
            told.append(said.value.what.replace("raw.x", "raw."))
        assert told[0] == told[1], name

"""Columns in people's own words: runs leave them alone."""

from __future__ import annotations

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from lake_rows import Deals, rows, with_columns

from b24lake.errors import UsageError
from b24lake.lake.catalog import opened
from b24lake.lake.columns import comment, label, own_comment
from b24lake.lake.describing import LONGEST, describe_columns, own_comments
from b24lake.lake.restoring import restore
from b24lake.lake.table import schema_of
from b24lake.lake.versions import history


def labelled(text: str) -> pa.Schema:
    return with_columns(pa.field("TITLE", pa.string(), metadata={"comment": text}))


def describe(deals: Deals, **comments: str) -> tuple[str, ...]:
    return describe_columns(deals.path, opened(deals.path), comments, "by-hand")


def said(deals: Deals, name: str = "TITLE") -> tuple[str, str, str]:
    """What readers see, what the source says, and what a person wrote."""
    field = schema_of(deals.delta()).field(name)
    return comment(field), label(field), own_comment(field)


def test_a_comment_of_a_person_stands_before_the_label_and_gives_way_to_it_again(deals: Deals) -> None:
    deals.full(rows([1]))
    before = deals.delta().version()
    assert said(deals) == ("Title", "Title", "")
    assert describe(deals, TITLE="What it is <i>called</i>", SUM="Net") == ("TITLE", "SUM")
    assert said(deals) == ("What it is <i>called</i>", "Title", "What it is <i>called</i>")
    assert said(deals, "SUM") == ("Net", "", "Net")
    found = history(deals.path, opened(deals.path))
    assert [(one.did, one.run_id) for one in found if one.version > before] == [("column notes", "by-hand")] * 2
    assert describe(deals, TITLE="What it is <i>called</i>") == ()
    assert describe(deals, TITLE="", SUM="") == ("TITLE", "SUM")
    assert said(deals) == ("Title", "Title", "")
    assert said(deals, "SUM") == ("", "", "")
    assert describe(deals, TITLE="") == ()


def test_runs_renew_the_label_and_leave_the_comment(deals: Deals) -> None:
    deals.full(rows([1, 2], schema=labelled("Title")))
    describe(deals, TITLE="Ours")
    deals.merge(rows([2], title="new", schema=labelled("Name")))
    assert said(deals)[::2] == ("Ours", "Ours")
    counts = deals.full(rows([1, 2, 3], schema=labelled("Name")))
    assert said(deals) == ("Ours", "Name", "Ours")
    assert [(each.kind, each.before, each.after) for each in counts.changes] == [("relabeled", "Title", "Name")]
    assert deals.full(rows([1, 2, 3, 4], schema=labelled("Name"))).changes == ()
    deals.full(rows([1, 2]))
    assert said(deals) == ("Ours", "Title", "Ours")
    describe(deals, TITLE="")
    assert said(deals) == ("Title", "Title", "")


def test_a_comment_like_the_label_is_one_of_its_own(deals: Deals) -> None:
    deals.full(rows([1], schema=labelled("Title")))
    assert describe(deals, TITLE="Title") == ("TITLE",)
    deals.full(rows([1, 2], schema=labelled("Name")))
    assert said(deals) == ("Title", "Name", "Title")


def test_a_full_read_with_nothing_new_writes_nothing_because_of_it(deals: Deals) -> None:
    deals.full(rows([1, 2]), mark=1)
    describe(deals, TITLE="Ours")
    version = deals.delta().version()
    assert deals.full(rows([1, 2]), mark=2).version is None
    assert deals.delta().version() == version
    describe(deals, TITLE="")
    version = deals.delta().version()
    assert deals.full(rows([1, 2]), mark=3).version is None
    assert deals.delta().version() == version


def test_a_vanished_column_keeps_its_comment_and_so_does_one_with_another_type(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    describe(deals, TITLE="Ours", SUM="Net")
    deals.full(rows([1, 2, 3], schema=with_columns(pa.field("SUM", pa.string()), without=("TITLE",)), SUM="much"))
    assert said(deals)[0] == "Ours"
    assert (said(deals, "SUM")[0], schema_of(deals.delta()).field("SUM").type) == ("Net", pa.string())


def test_a_restore_keeps_what_people_wrote_meanwhile(deals: Deals) -> None:
    deals.full(rows([1, 2]))
    describe(deals, TITLE="Early", SUM="Net")
    early = deals.delta().version()
    deals.full(rows([1, 2, 3], schema=with_columns(pa.field("CITY", pa.string())), CITY="Perm"))
    describe(deals, TITLE="Late", SUM="", CITY="Town")
    restore(deals.path, opened(deals.path), early, "by-hand")
    assert own_comments(schema_of(deals.delta())) == {"TITLE": "Late"}
    assert said(deals, "SUM") == ("", "", "")
    assert sorted(deals.read()) == [1, 2]


@pytest.mark.parametrize(
    ("comments", "why"),
    [
        ({"NOWHERE": "x"}, "There is no column 'NOWHERE' in raw.bitrix24_deals"),
        ({"title": "x"}, "upper and lower case"),
        ({"TITLE": "x" * (LONGEST + 1)}, "at most 1,000"),
        ({"TITLE": "a\x07b"}, "control characters"),
    ],
)
def test_what_cannot_be_a_comment_changes_nothing(deals: Deals, comments: dict[str, str], why: str) -> None:
    deals.full(rows([1]))
    version = deals.delta().version()
    with pytest.raises(UsageError, match=why):
        describe(deals, **{"SUM": "Net", **comments})
    assert deals.delta().version() == version


def test_a_table_of_another_program_is_left_alone(deals: Deals) -> None:
    path = deals.lake / "raw" / "theirs"
    write_deltalake(str(path), pa.table({"id": [1]}))
    with pytest.raises(UsageError, match="not made by b24lake"):
        describe_columns(path, opened(path), {"id": "x"}, "by-hand")

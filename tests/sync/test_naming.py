"""Which names the columns of a table and of what is staged for it leave to fields."""

from __future__ import annotations

import pyarrow as pa

from b24lake.lake.columns import with_notes
from b24lake.lake.evolution import evolve
from b24lake.streams.fields import distinct, schema, undeclared
from b24lake.sync.naming import held

TEXT = pa.string()


def test_a_column_holds_the_field_of_its_name_or_the_one_that_it_notes() -> None:
    twins = schema(distinct([undeclared("Id"), undeclared("ID")]))
    assert held(twins) == {"Id": "Id", "ID__2": "ID"}
    assert held(pa.schema([pa.field("_misfits", TEXT), pa.field("A", TEXT)]), twins) == {
        "_misfits": "", "A": "A", "Id": "Id", "ID__2": "ID",
    }  # fmt: skip


def test_nobody_may_have_the_column_beside_one_whose_type_has_changed() -> None:
    old, new = schema(distinct([undeclared("x"), undeclared("X")])), pa.schema([("X__2", pa.list_(TEXT))])
    new = pa.schema([with_notes(new.field(0), b24lake__code="X")])
    table = evolve(old, new, full=False).schema
    assert held(table) == {"x": "x", "X__2": "X", "X__2__ARRAY": ""}

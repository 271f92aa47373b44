"""Labels beside ids: the tables alone hold all that a readable view needs, for smart processes just as for deals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import deltalake
import duckdb
import pyarrow as pa
import pytest
from portal_labels import categories, truth

from b24lake.sandbox import Server
from running import Lake

# A field's dictionary is `statusType`; stages have one for each funnel, told apart by the number at its end.
LABELS = r"""
SELECT f.id AS field, item.ID AS value, item.VALUE AS label FROM fields f, unnest(f.items) AS each(item)
UNION ALL
SELECT f.id, s.STATUS_ID, s.NAME FROM fields f
JOIN status_list s ON regexp_replace(s.ENTITY_ID, '_\d+$', '') = regexp_replace(f.statusType, '_\d+$', '')
UNION ALL
SELECT f.id, CAST(u.ID AS VARCHAR), concat_ws(' ', u.NAME, u.LAST_NAME) FROM fields f, users u
WHERE f.type IN ('user', 'employee')
"""
ENTITIES = [("deals", "deal_fields", "ID"), ("leads", "lead_fields", "ID"), ("contacts", "contact_fields", "ID")]
ENTITIES += [(f"spa_{number}", f"spa_fields_{number}", "id") for number in (128, 156, 1032)]


def opened(lake: Lake, stream: str) -> pa.Table:
    return deltalake.DeltaTable(lake.table(stream)).to_pyarrow_table()


def readable(lake: Lake, entity: str, fields: str, key: str) -> dict[int, dict[str, Any]]:
    """The view: labels by record and field, built by SQL from four tables."""
    database = duckdb.connect()
    for name, stream in (("records", entity), ("fields", fields), ("status_list", "status_list"), ("users", "users")):
        database.register(name, opened(lake, stream))
    database.execute(
        f"CREATE TABLE maps AS SELECT field, map(list(value), list(label)) AS known FROM ({LABELS}) GROUP BY 1"
    )
    many = {row[0]: row[1].endswith("[]") for row in database.execute("DESCRIBE records").fetchall()}
    asked = [row[0] for row in database.execute("SELECT field FROM maps").fetchall() if row[0] in many]
    chosen = [f'{_label(field, many=many[field])} AS "{field}"' for field in asked]
    maps = [f"""(SELECT known FROM maps WHERE field = '{field}') AS "of {field}\"""" for field in asked]
    select = f'SELECT "{key}" AS key, {", ".join(chosen)} FROM {", ".join(["records", *maps])}'
    rows = database.sql(select).to_arrow_table().to_pylist()
    return {row.pop("key"): row for row in rows}


def _label(field: str, *, many: bool) -> str:
    known, value = f'"of {field}".known', f'records."{field}"'
    if many:
        return f"[map_extract({known}, CAST(each AS VARCHAR))[1] for each in {value}]"
    return f"map_extract({known}, CAST({value} AS VARCHAR))[1]"


@pytest.mark.parametrize(("entity", "fields", "key"), ENTITIES)
def test_a_readable_view_is_built_from_the_tables_alone(
    serve: Callable[..., Server], lake: Lake, entity: str, fields: str, key: str
) -> None:
    server = serve()
    assert lake.sync(server.url, entity, fields, "status_list", "users").status == "success"
    here, wanted = readable(lake, entity, fields, key), truth(server, entity)
    assert here.keys() == wanted.keys()
    for id_, row in wanted.items():
        assert {name: here[id_].get(name) for name in row} == row
    told = {type(value) for row in here.values() for value in row.values()}
    assert {str, list} <= told or entity == "spa_1032", "a sandbox has no records of that smart process"


def test_the_universal_reader_gives_the_same_labels_and_those_of_its_own_columns(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve()
    for entity, fields in (("deals", "deal_fields"), ("leads", "lead_fields"), ("contacts", "contact_fields")):
        assert lake.sync(server.url, entity, fields, "status_list", "users", reader="universal").status == "success"
        here, wanted = readable(lake, entity, fields, "ID"), truth(server, entity)
        assert here.keys() == wanted.keys()
        for id_, row in wanted.items():
            assert {name: here[id_].get(name) for name in row} == row
        assert any(row["OBSERVERS"] and all(row["OBSERVERS"]) for row in here.values())
        ids = {row["id"] for row in opened(lake, fields).to_pylist()}
        columns = {name for name in opened(lake, entity).column_names if not name.startswith("_")}
        assert columns - ids <= {"ORDER_STAGE", "UF_LOGO", "UF_STAMP", "UF_DIRECTOR_SIGN", "UF_ACCOUNTANT_SIGN"}
        assert ids <= columns


def test_older_portals_tell_their_funnels_otherwise_and_a_new_name_comes_with_the_next_run(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve(missing_methods=("crm.category.list",))
    names = []
    for _run in range(2):
        lake.sync(server.url, "deal_fields")
        (funnels,) = (row["items"] for row in opened(lake, "deal_fields").to_pylist() if row["id"] == "CATEGORY_ID")
        names.append({item["ID"]: item["VALUE"] for item in funnels})
        server.portal.set(missing_methods=())
    assert names[0].keys() == names[1].keys() == categories(server, "deals").keys()
    assert (names[0]["0"], names[1]) == ("General", categories(server, "deals"))


@pytest.mark.parametrize(("entity", "fields", "key"), ENTITIES)
def test_labels_of_fields_are_comments_and_stand_in_the_fields_table(
    serve: Callable[..., Server], lake: Lake, entity: str, fields: str, key: str
) -> None:
    """Custom fields say their label as listLabel, formLabel or filterLabel, those of smart processes as title."""
    lake.sync(serve().url, entity, fields)
    rows = opened(lake, fields).to_pylist()
    names = ("listLabel", "formLabel", "filterLabel", "title")
    labels = {
        row["id"]: next((row[name] for name in names if row[name] and row[name] != row["id"]), None) for row in rows
    }
    columns = pa.schema(deltalake.DeltaTable(lake.table(entity)).schema().to_arrow())
    comments = {each.name: (each.metadata or {}).get(b"comment", b"").decode() or None for each in columns}
    assert all(comments[name] == label for name, label in labels.items() if name in comments)
    assert sum(name.startswith("UF_") and bool(label) for name, label in labels.items()) > 20

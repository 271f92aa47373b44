"""How a table is used elsewhere: snippets to copy, and the table as a file."""

from __future__ import annotations

from fastapi import APIRouter, Response

from b24lake.errors import UsageError
from b24lake.lake.exporting import Form
from b24lake.lake.index import Indexed
from b24lake.lake.readable import SUFFIX
from b24lake.lake.selecting import select_of
from b24lake.web import downloads
from b24lake.web.asking import Asked
from b24lake.web.pages.one_table import frame
from b24lake.web.snippets import snippets

router = APIRouter(prefix="/catalog", include_in_schema=False)
FORMS = {
    "csv": Form("csv"),
    "csv.gz": Form("csv", gzipped=True),
    "parquet": Form("parquet"),
    "json": Form("json"),
    "ndjson": Form("ndjson"),
}


@router.get("/{layer}/{name}/use")
def use(layer: str, name: str, asked: Asked) -> Response:
    """Snippets, and the form for a file."""
    told = frame(asked, layer, name, "use")
    table: Indexed = told["table"]
    names = [column.name for column in table.columns]
    found = snippets(table.info, names, asked.site.here.lake / layer / name)
    return asked.page("catalog/use.html", **told, snippets=found)


@router.get("/{layer}/{name}/export")
def export(layer: str, name: str, asked: Asked) -> Response:
    """The table, its readable view or some of its columns as a file, written while it is downloaded."""
    fields = asked.request.query_params
    table = asked.site.index.table(layer, name)
    kind = fields.get("format") or "csv"
    if kind not in FORMS:
        raise UsageError(f"{kind[:40]!r} is not a format", fix=f"choose {', '.join(FORMS)}")
    form, view = FORMS[kind], SUFFIX if fields.get("view") == "readable" else ""
    if form.format == "csv":
        form = Form("csv", form.gzipped, bool(fields.get("bom")), bool(fields.get("escape")))
    wanted = [each.strip() for each in (fields.get("columns") or "").split(",") if each.strip()]
    sql, _ = select_of(asked.site.here.lake, f"{table.info.sql_name}{view}", at=fields.get("as_of"), columns=wanted)
    return downloads.download(asked.site.here.lake, sql, form, f"{table.info.sql_name}{view}")

"""What comes into the API and what goes out: tables, and SQL over them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from b24lake.web.api.shapes import Incoming


class Column(BaseModel):
    """A column of a table."""

    name: str
    type: str = Field(description="As in Delta: long, decimal(38,9), array<string>")
    comment: str
    nullable: bool


class TableLine(BaseModel):
    """A table in a list, or the readable view of one."""

    name: str = Field(description="As SQL has it: layer.table")
    kind: Literal["table", "view"]
    layer: str
    table: str
    folder: str
    stream: str
    description: str
    rows: int | None
    bytes: int
    version: int | None
    committed_at: datetime | None
    run_id: str
    error: str = Field(description="Why it cannot be read")


class Tables(BaseModel):
    """All tables and views, by name."""

    tables: list[TableLine]


class Table(BaseModel):
    """A table or view with its columns."""

    name: str
    kind: Literal["table", "view"]
    description: str
    rows: int | None
    version: int | None
    committed_at: datetime | None
    columns: list[Column]


class Query(Incoming):
    """One statement that reads."""

    sql: str = Field(max_length=100_000, description="One SELECT, WITH or EXPLAIN; tables are layer.table")
    limit: int = Field(1_000, ge=1, le=10_000, description="Most rows")
    seconds: int = Field(60, ge=1, le=300, description="It is stopped after this time")
    model_config = ConfigDict(
        json_schema_extra={"example": {"sql": "SELECT STAGE_ID, count(*) AS deals FROM raw.bitrix24_deals GROUP BY 1"}}
    )


class AnswerColumn(BaseModel):
    """A column of an answer."""

    name: str
    type: str


class Answer(BaseModel):
    """The rows of a query; numbers of more than 15 digits are texts."""

    columns: list[AnswerColumn]
    rows: list[dict[str, Any]]
    truncated: bool = Field(description="Whether there are more rows: of `limit`, or of 16 MB")

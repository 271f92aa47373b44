"""What comes into the API and what goes out: errors, sources, triggers, runs. Times are RFC 3339, in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from b24lake.control.source_settings import FIELDS

Text = Annotated[str, Field(max_length=2_000)]
Name = Annotated[str, Field(max_length=200)]
Names = Annotated[list[Name], Field(max_length=1_000)]
State = Literal["pending_events", "queued", "running", "success", "partial", "failed", "cancelling", "canceled"]
_SETTINGS: dict[str, Any] = {
    "properties": {
        name: {"description": one.about, **({"default": one.default} if one.default is not None else {})}
        for name, one in FIELDS.items()
    }
}


class Incoming(BaseModel):
    """A body: a name that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid")


# --- errors -----------------------------------------------------------------------------------------------------------


class Problem(BaseModel):
    """What happened, why, and what to do."""

    what: str
    why: str
    fix: str
    code: str = Field(description="For programs: not_found, conflict, invalid, changed_meanwhile, …")


class Failure(BaseModel):
    """Every answer but a good one."""

    error: Problem
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "error": {
                    "what": "There is no source 'crm'",
                    "why": "",
                    "fix": "GET /api/v1/sources lists the sources",
                    "code": "not_found",
                }
            }
        }
    )


class Done(BaseModel):
    """What is gone."""

    deleted: str


# --- sources ----------------------------------------------------------------------------------------------------------


class SourceLine(BaseModel):
    """A source in a list."""

    id: str
    name: str
    description: str
    state: str = Field(description="draft, active, paused or stopped")
    health: str = Field(description="ok, late, partial, failing, new, queued, running, draft, paused or stopped")
    portal: str
    streams: int = Field(description="How many it reads")
    last_state: str | None
    last_ended_at: datetime | None
    fresh_at: datetime | None = Field(description="Its data is at least as new as this")
    next_at: datetime | None
    updated_at: datetime


class Sources(BaseModel):
    """All sources."""

    sources: list[SourceLine]


class Check(BaseModel):
    """What a check found."""

    name: str
    state: str = Field(description="ok, warning or failed")
    says: str
    cause: str
    cure: str


class SourceStream(BaseModel):
    """A stream of a source."""

    stream: str
    selected: bool
    sync_type: str
    replication_key: str | None
    table: str


class Source(BaseModel):
    """A source, without its secret."""

    id: str
    name: str
    state: str
    webhook: str = Field(description="Masked")
    portal: str
    settings: dict[str, Any] = Field(json_schema_extra=_SETTINGS)
    lake: str
    failures: int
    created_at: datetime
    updated_at: datetime
    checked_at: datetime | None
    checks: list[Check]
    streams: list[SourceStream]


class StreamChange(Incoming):
    """What is not to be as suggested; null or "" = as suggested."""

    sync_type: Name | None = None
    replication_key: Name | None = None
    table: Name | None = None


Settings = Annotated[dict[str, Any], Field(json_schema_extra={**_SETTINGS, "additionalProperties": False})]
StreamChanges = Annotated[dict[str, StreamChange], Field(max_length=1_000)]


class NewSource(Incoming):
    """A source that is to be made."""

    name: Name
    webhook: Text = Field(description="https://PORTAL/rest/USER/CODE/; never shown again")
    id: Name = Field("", description="Empty: made from the name")
    streams: Names = Field([], description="Names and globs; none: all that can be read")
    settings: Settings = {}
    stream_settings: StreamChanges = {}
    draft: bool = Field(False, description="Keep it as a draft, without asking the portal; streams by exact names")
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "Sales CRM",
                "webhook": "https://example.bitrix24.com/rest/1/your-code/",
                "streams": ["deals", "contacts"],
                "settings": {"description": "What sales works on", "retries": 3},
                "stream_settings": {"deals": {"table": "crm_deals"}},
            }
        }
    )


class SourceChange(Incoming):
    """What is to be changed of a source; what is left out stays."""

    settings: Settings = {}
    stream_settings: StreamChanges = {}
    streams: Names | None = Field(None, description="Read exactly these from now on, by exact names")
    webhook: Text | None = None
    updated_at: AwareDatetime | None = Field(
        None, description="As it was when you looked; the source has changed since: 409. The same as If-Match"
    )
    model_config = ConfigDict(
        json_schema_extra={
            "example": {"settings": {"retries": 5}, "stream_settings": {"deals": {"sync_type": "FULL_TABLE"}}}
        }
    )


class Changed(BaseModel):
    """A source after a change."""

    source: Source
    effects: list[str] = Field(description="What the change means for its tables")


class Checked(BaseModel):
    """What all checks found."""

    status: str = Field(description="ok, warning or failed")
    checks: list[Check]


class Offer(BaseModel):
    """A stream that a portal offers."""

    stream: str
    group: str
    title: str
    status: str = Field(description="available, locked, hidden or gone")
    reason: str | None
    cure: str | None
    selected: bool
    sync_type: str
    sync_types: list[str]
    replication_key: str | None
    replication_keys: list[str]
    table: str
    cost: str


class Offers(BaseModel):
    """What a portal offers."""

    streams: list[Offer]


class Copy(Incoming):
    """How a copy is called."""

    name: Name = ""


class Deleted(BaseModel):
    """A source that is gone."""

    deleted: str
    tables: Literal["keep", "remove"]
    removed: list[str] = Field(description="The tables that went with it")


class SchemaChange(BaseModel):
    """What happened to a column."""

    id: int
    at: datetime
    run: str
    stream: str
    table: str
    kind: str
    column: str
    detail: dict[str, Any]


class SchemaChanges(BaseModel):
    """The newest first."""

    schema_changes: list[SchemaChange]
    next_cursor: str | None


# --- triggers ---------------------------------------------------------------------------------------------------------


class Spec(Incoming):
    """When a trigger fires: weekdays and times, or a cron line, in a zone; or after other sources."""

    cron: Name | None = None
    weekdays: Annotated[list[Name], Field(max_length=50)] | None = None
    times: Annotated[list[Name], Field(max_length=300)] | None = None
    zone: Name | None = Field(None, description="IANA, as Europe/Berlin")
    sources: Annotated[list[Name], Field(max_length=1_000)] | None = None
    mode: Literal["any", "all"] | None = None


class NewTrigger(Incoming):
    """A trigger that is to be made."""

    spec: Spec
    name: Name = ""
    full: bool = Field(False, description="An additional full sync: reads everything")
    enabled: bool = True
    model_config = ConfigDict(
        json_schema_extra={
            "example": {"spec": {"weekdays": ["mon", "fri"], "times": ["06:30"], "zone": "Europe/Berlin"}}
        }
    )


class TriggerChange(Incoming):
    """What is to be changed of a trigger; what is left out stays."""

    spec: Spec | None = None
    name: Name | None = None
    full: bool | None = None
    enabled: bool | None = None


class Trigger(BaseModel):
    """When a source runs."""

    id: str
    source: str
    name: str
    kind: str
    spec: dict[str, Any]
    says: str
    full: bool
    enabled: bool
    next: list[datetime]
    next_local: list[str]
    last_due_at: datetime | None


class Triggers(BaseModel):
    """Triggers, by source."""

    triggers: list[Trigger]


# --- runs -------------------------------------------------------------------------------------------------------------


class RunError(BaseModel):
    """Why a run failed."""

    model_config = ConfigDict(extra="allow")
    what: str = ""
    why: str = ""
    fix: str = ""
    code: str = ""


class RunLine(BaseModel):
    """A run in a list."""

    id: str
    source: str
    state: State
    cause: str = Field(description="schedule, event, manual, retry or full_sync")
    full: bool
    chosen: list[str] = Field(description="The streams that it reads; none: all")
    attempt: int
    retry_of: str | None
    trigger: str | None
    due_at: datetime | None
    queued_at: datetime
    not_before: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    worker: str | None
    claims: int
    requested_by: str
    rows_read: int
    requests: int
    portal_seconds: float
    rests: int
    error: RunError | None


class Runs(BaseModel):
    """The newest first."""

    runs: list[RunLine]
    next_cursor: str | None


class Run(RunLine):
    """A run with its streams."""

    progress: dict[str, Any]
    notes: list[str]
    streams: list[dict[str, Any]] = Field(description="As `b24lake sync --json` tells them")
    schema_changes: list[dict[str, Any]]


class NewRun(Incoming):
    """A run that is asked for."""

    full: bool = Field(False, description="Read everything, also what INCREMENTAL would skip")
    streams: Names = Field([], description="Names and globs among those that the source reads; none: all")
    model_config = ConfigDict(json_schema_extra={"example": {"full": False, "streams": ["deals"]}})


class LogLine(BaseModel):
    """A line of a run's log."""

    id: int
    at: datetime
    level: Literal["info", "warning", "error"]
    stream: str | None
    event: str
    data: dict[str, Any]


class Log(BaseModel):
    """Lines of a log, the oldest first."""

    lines: list[LogLine]
    next_cursor: str | None = Field(description="null: nothing follows yet")

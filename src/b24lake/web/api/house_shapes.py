"""What comes into the API and what goes out: alerts, and the installation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from b24lake.control.alerts import KINDS
from b24lake.web.api.shapes import Done as Done
from b24lake.web.api.shapes import Incoming, Name, Names, Text

Event = Literal["failed", "stopped", "late", "recovered"]


# --- alerts -----------------------------------------------------------------------------------------------------------


class NewChannel(Incoming):
    """Where alerts are to go: a webhook with its `url`, or a mail server."""

    name: Name
    kind: Literal["webhook", "smtp"]
    events: list[Event] = Field(default_factory=list, description="None: all", max_length=10)
    url: Text = ""
    host: Name = ""
    port: int = Field(587, ge=1, le=65_535)
    sender: Name = ""
    to: Names = Field(default_factory=list)
    user: Name = ""
    password: Name = ""
    tls: Literal["starttls", "ssl", "none"] = "starttls"
    model_config = ConfigDict(
        json_schema_extra={
            "example": {"name": "team", "kind": "webhook", "url": "https://chat.example.com/hooks/abc", "events": []}
        }
    )


class Channel(BaseModel):
    """Where alerts go, without secrets."""

    name: str
    kind: str
    shown: str
    events: list[str]
    enabled: bool


class Channels(BaseModel):
    """All channels."""

    channels: list[Channel]


class Alert(BaseModel):
    """A message through a channel."""

    id: int
    event: str = Field(description=f"{', '.join(KINDS)} or test")
    source: str | None
    run: str | None
    channel: str
    created_at: datetime
    sent_at: datetime | None
    tries: int
    error: str | None


class Alerts(BaseModel):
    """The newest first."""

    alerts: list[Alert]
    next_cursor: str | None


# --- the installation -------------------------------------------------------------------------------------------------


class NewLayer(Incoming):
    """A layer that is to be made."""

    name: Name
    description: Annotated[str, Field(max_length=4_000)] = ""


class LayerChange(Incoming):
    """What a layer is for."""

    description: Annotated[str, Field(max_length=4_000)]


class Layer(BaseModel):
    """A layer of the lake."""

    name: str
    description: str


class Layers(BaseModel):
    """All layers."""

    layers: list[Layer]


class AuditEntry(BaseModel):
    """Who did what to which object."""

    id: int
    at: datetime
    who: str
    action: str
    object: str
    detail: dict[str, Any]


class AuditTrail(BaseModel):
    """The newest first."""

    entries: list[AuditEntry]
    next_cursor: str | None


class Worker(BaseModel):
    """A process that performs runs."""

    id: str
    host: str
    pid: int
    state: str = Field(description="alive, dead or ended")
    version: str
    started_at: datetime
    heartbeat_at: datetime


class Workers(BaseModel):
    """The one that was heard of last first."""

    workers: list[Worker]


class Configuration(BaseModel):
    """Layers, sources with their triggers, and channels; secrets as names of environment variables."""

    layers: dict[str, str]
    sources: dict[str, dict[str, Any]]
    channels: dict[str, dict[str, Any]]

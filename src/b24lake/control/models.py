"""The tables of the database, as declarations.

Every time is in UTC and knows it. Lists and maps are JSON: to change one, put another in its place.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator, TypeEngine

JsonMap = dict[str, Any]
JsonList = list[Any]


class Moment(TypeDecorator[datetime]):
    """A point in time. Goes in with any zone and comes out in UTC; one without a zone is a mistake and is refused."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """PostgreSQL keeps zones, SQLite a text without one."""
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """As the database keeps it."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no zone")
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """With its zone."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_AT_WORK = text("state IN ('running', 'cancelling')")
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up INTEGER keys alone


class Base(DeclarativeBase):
    """What all tables share."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text(),
        float: Double(),
        datetime: Moment(),
        bytes: LargeBinary(),
        JsonMap: _JSON,
        JsonList: _JSON,
    }


class Source(Base):
    """A portal that is read, through which webhook, and where to; `lake` "" is the installation's own.

    state      draft, active, paused or stopped (by too many failures in a row: `failures`)
    webhook    sealed; `webhook_shown` is what people may see of it
    portal     its id, which survives a changed address; "" before the first check
    options    settings of `sources.OPTIONS` that differ from their defaults
    checks     what the last validation found, `checked_at`
    setup      the steps of a draft's setup that are done (`control.setup`)
    """

    __tablename__ = "sources"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    state: Mapped[str] = mapped_column(default="draft", index=True)
    webhook: Mapped[bytes | None]
    webhook_shown: Mapped[str] = mapped_column(default="")
    portal: Mapped[str] = mapped_column(default="", index=True)
    portal_address: Mapped[str] = mapped_column(default="")
    lake: Mapped[str] = mapped_column(default="")
    layer: Mapped[str] = mapped_column(default="raw")
    folder: Mapped[str] = mapped_column(default="bitrix24")
    prefix: Mapped[str] = mapped_column(default="bitrix24_")
    options: Mapped[JsonMap] = mapped_column(default=dict)
    log_days: Mapped[int] = mapped_column(default=30)
    file_days: Mapped[int] = mapped_column(default=7)
    retries: Mapped[int] = mapped_column(default=2)
    retry_delay_seconds: Mapped[int] = mapped_column(default=300)
    max_failures: Mapped[int] = mapped_column(default=3)
    late_after_seconds: Mapped[int | None]
    failures: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    checked_at: Mapped[datetime | None]
    checks: Mapped[JsonList] = mapped_column(default=list)
    setup: Mapped[JsonList] = mapped_column(default=list, server_default="[]")
    streams: Mapped[list[SourceStream]] = relationship(
        lazy="selectin", cascade="all, delete-orphan", passive_deletes=True, order_by="SourceStream.stream"
    )


class SourceStream(Base):
    """A stream of a source: whether it is read, how, and into which table (its full name, without the layer)."""

    __tablename__ = "source_streams"

    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True)
    stream: Mapped[str] = mapped_column(primary_key=True)
    selected: Mapped[bool] = mapped_column(default=True)
    sync_type: Mapped[str]
    replication_key: Mapped[str | None]
    table_name: Mapped[str]
    excluded: Mapped[JsonList] = mapped_column(default=list)
    hashed: Mapped[JsonList] = mapped_column(default=list)


class Trigger(Base):
    """When a source is read.

    kind    schedule or event
    spec    {cron | weekdays, times; zone}, or {sources: [ids], mode: any | all}
    full    the additional full sync
    """

    __tablename__ = "triggers"

    id: Mapped[str] = mapped_column(primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(default="")
    spec: Mapped[JsonMap]
    full: Mapped[bool] = mapped_column(default=False)
    enabled: Mapped[bool] = mapped_column(default=True)
    next_at: Mapped[datetime | None] = mapped_column(index=True)
    last_due_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class TriggerArrival(Base):
    """A source for which a trigger of mode all no longer waits, and by which run."""

    __tablename__ = "trigger_arrivals"

    trigger_id: Mapped[str] = mapped_column(ForeignKey("triggers.id", ondelete="CASCADE"), primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True)
    run_id: Mapped[str]
    at: Mapped[datetime]


class Run(Base):
    """One run of a source; its id is that of `sync`.

    cause     schedule, event, manual, retry or full_sync
    state     pending_events, queued, running, success, partial, failed, cancelling or canceled
    portal    whose requests it uses up: one run at a time for each portal, too
    due_at    when its trigger wanted it: one run for each trigger and time
    claims    how many times a worker took it up
    streams   the chosen names; [] = all that are selected
    """

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("trigger_id", "due_at"),
        Index("ix_runs_source_id_queued_at", "source_id", "queued_at"),
        # In the order of the lists, so that a page of 50,000 runs costs what one of fifty does.
        Index("ix_runs_queued_at_id", "queued_at", "id"),
        Index("ix_runs_state_queued_at_id", "state", "queued_at", "id"),
        Index("ix_runs_source_id_state_queued_at", "source_id", "state", "queued_at"),
        # The database itself refuses a second run at once, whatever else goes wrong.
        Index("uq_runs_source_id_at_work", "source_id", unique=True, sqlite_where=_AT_WORK, postgresql_where=_AT_WORK),
        Index("uq_runs_portal_at_work", "portal", unique=True, sqlite_where=_AT_WORK, postgresql_where=_AT_WORK),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"))
    portal: Mapped[str]
    trigger_id: Mapped[str | None] = mapped_column(ForeignKey("triggers.id", ondelete="SET NULL"))
    cause: Mapped[str]
    full: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=1)
    retry_of: Mapped[str | None]
    due_at: Mapped[datetime | None]
    queued_at: Mapped[datetime]
    not_before: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    worker_id: Mapped[str | None]
    claims: Mapped[int] = mapped_column(default=0)
    streams: Mapped[JsonList] = mapped_column(default=list)
    progress: Mapped[JsonMap] = mapped_column(default=dict)
    report: Mapped[JsonMap] = mapped_column(default=dict)
    error: Mapped[JsonMap | None]
    requests: Mapped[int] = mapped_column(default=0)
    rows_read: Mapped[int] = mapped_column(BigInteger, default=0)
    portal_seconds: Mapped[float] = mapped_column(default=0.0)
    rests: Mapped[int] = mapped_column(default=0)
    requested_by: Mapped[str] = mapped_column(default="")


class RunStream(Base):
    """One stream of a run; `result` is its part of the report."""

    __tablename__ = "run_streams"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    stream: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    result: Mapped[JsonMap] = mapped_column(default=dict)


class RunLog(Base):
    """One line of a run's log."""

    __tablename__ = "run_logs"
    __table_args__ = (Index("ix_run_logs_run_id_id", "run_id", "id"),)

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    level: Mapped[str]
    stream: Mapped[str | None]
    event: Mapped[str]
    data: Mapped[JsonMap] = mapped_column(default=dict)


class SchemaChange(Base):
    """What happened to a column, and by which run."""

    __tablename__ = "schema_changes"

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[str]
    stream: Mapped[str]
    table_name: Mapped[str]
    at: Mapped[datetime]
    kind: Mapped[str]
    column: Mapped[str]
    detail: Mapped[JsonMap] = mapped_column(default=dict)


class Worker(Base):
    """A process that performs runs; one whose heartbeat stands still is dead."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    state: Mapped[str]
    version: Mapped[str]


class Channel(Base):
    """Where alerts go: a JSON webhook or e-mail. Secrets in `config` are sealed; `events` are the kinds it gets."""

    __tablename__ = "channels"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    config: Mapped[JsonMap]
    events: Mapped[JsonList] = mapped_column(default=list)
    enabled: Mapped[bool] = mapped_column(default=True)


class Alert(Base):
    """One message about one event through one channel; kind failed, recovered, stopped, late or test."""

    __tablename__ = "alerts"
    __table_args__ = (UniqueConstraint("event_key", "channel_id"),)

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    source_id: Mapped[str | None] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[str | None]
    kind: Mapped[str]
    event_key: Mapped[str]
    channel_id: Mapped[str] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]


class Setting(Base):
    """A setting of the whole installation."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[JsonMap]


class Audit(Base):
    """Who did what to which object; never a secret."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    who: Mapped[str]
    action: Mapped[str]
    object: Mapped[str]
    detail: Mapped[JsonMap] = mapped_column(default=dict)


class RunRequest(Base):
    """A run that was asked for under a key, so that asking again gives the same run; `asked` tells for what."""

    __tablename__ = "run_requests"

    key: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    asked: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)


class Account(Base):
    """Somebody who logs in.

    password   its argon2 hash
    stamp      another one with every change of password or role: sessions that have an older one are over
    """

    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    password: Mapped[str]
    stamp: Mapped[str]
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]


class Token(Base):
    """What a program shows instead of logging in; kept is its hash alone.

    account   whose: it may do no more than they may; None = the installation's own
    sources   what it is limited to, by id; [] = all
    tables    globs over `layer.table`: what it may read; [] = all
    """

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    account: Mapped[str | None] = mapped_column(ForeignKey("accounts.name", ondelete="CASCADE"), index=True)
    scopes: Mapped[JsonList]
    sources: Mapped[JsonList] = mapped_column(default=list)
    tables: Mapped[JsonList] = mapped_column(default=list, server_default="[]")
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class LoginAttempt(Base):
    """An attempt to log in that has not succeeded, once for its account and once for its address (`subject`)."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("ix_login_attempts_subject_at", "subject", "at"),)

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    subject: Mapped[str]
    at: Mapped[datetime]


class EndedSession(Base):
    """A session that was logged out before its time; its cookie is worth nothing."""

    __tablename__ = "ended_sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)


class SavedQuery(Base):
    """SQL that was given a name, for everybody."""

    __tablename__ = "saved_queries"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")
    sql: Mapped[str]
    saved_by: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class PastQuery(Base):
    """SQL that somebody ran, and how it went: `rows` None and `error` what it said where it failed."""

    __tablename__ = "past_queries"
    __table_args__ = (Index("ix_past_queries_who_id", "who", "id"),)

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    who: Mapped[str]
    at: Mapped[datetime]
    sql: Mapped[str]
    seconds: Mapped[float] = mapped_column(default=0.0)
    rows: Mapped[int | None]
    error: Mapped[str] = mapped_column(default="")

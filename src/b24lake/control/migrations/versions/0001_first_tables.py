"""The first tables: sources, triggers, runs, alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision, down_revision, branch_labels, depends_on = "0001", None, None, None

TEXT = sa.Text()
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
AT_WORK = sa.text("state IN ('running', 'cancelling')")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, those that others refer to first."""
    op.create_table(
        "audit",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("object", TEXT, nullable=False),
        sa.Column("detail", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_table(
        "channels",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("config", JSON, nullable=False),
        sa.Column("events", JSON, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_channels"),
    )
    op.create_table(
        "settings",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_settings"),
    )
    op.create_table(
        "sources",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("webhook", sa.LargeBinary(), nullable=True),
        sa.Column("webhook_shown", TEXT, nullable=False),
        sa.Column("portal", TEXT, nullable=False),
        sa.Column("portal_address", TEXT, nullable=False),
        sa.Column("lake", TEXT, nullable=False),
        sa.Column("layer", TEXT, nullable=False),
        sa.Column("folder", TEXT, nullable=False),
        sa.Column("prefix", TEXT, nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("log_days", sa.Integer(), nullable=False),
        sa.Column("file_days", sa.Integer(), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("retry_delay_seconds", sa.Integer(), nullable=False),
        sa.Column("max_failures", sa.Integer(), nullable=False),
        sa.Column("late_after_seconds", sa.Integer(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("checked_at", MOMENT, nullable=True),
        sa.Column("checks", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sources"),
    )
    op.create_index("ix_sources_portal", "sources", ["portal"])
    op.create_index("ix_sources_state", "sources", ["state"])
    op.create_table(
        "workers",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("heartbeat_at", MOMENT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "alerts",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("source_id", TEXT, nullable=True),
        sa.Column("run_id", TEXT, nullable=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("event_key", TEXT, nullable=False),
        sa.Column("channel_id", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["channel_id"], ["channels.id"], name="fk_alerts_channel_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_alerts_source_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.UniqueConstraint("event_key", "channel_id", name="uq_alerts_event_key_channel_id"),
    )
    op.create_index("ix_alerts_source_id", "alerts", ["source_id"])
    op.create_table(
        "schema_changes",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("table_name", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("column", TEXT, nullable=False),
        sa.Column("detail", JSON, nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_schema_changes_source_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_schema_changes"),
    )
    op.create_index("ix_schema_changes_source_id", "schema_changes", ["source_id"])
    op.create_table(
        "source_streams",
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("selected", sa.Boolean(), nullable=False),
        sa.Column("sync_type", TEXT, nullable=False),
        sa.Column("replication_key", TEXT, nullable=True),
        sa.Column("table_name", TEXT, nullable=False),
        sa.Column("excluded", JSON, nullable=False),
        sa.Column("hashed", JSON, nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_source_streams_source_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("source_id", "stream", name="pk_source_streams"),
    )
    op.create_table(
        "triggers",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("full", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("last_due_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_triggers_source_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_triggers"),
    )
    op.create_index("ix_triggers_next_at", "triggers", ["next_at"])
    op.create_index("ix_triggers_source_id", "triggers", ["source_id"])
    op.create_table(
        "runs",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("portal", TEXT, nullable=False),
        sa.Column("trigger_id", TEXT, nullable=True),
        sa.Column("cause", TEXT, nullable=False),
        sa.Column("full", sa.Boolean(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("retry_of", TEXT, nullable=True),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("queued_at", MOMENT, nullable=False),
        sa.Column("not_before", MOMENT, nullable=True),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("worker_id", TEXT, nullable=True),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("streams", JSON, nullable=False),
        sa.Column("progress", JSON, nullable=False),
        sa.Column("report", JSON, nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("portal_seconds", sa.Double(), nullable=False),
        sa.Column("rests", sa.Integer(), nullable=False),
        sa.Column("requested_by", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_runs_source_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trigger_id"], ["triggers.id"], name="fk_runs_trigger_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("trigger_id", "due_at", name="uq_runs_trigger_id_due_at"),
    )
    op.create_index("ix_runs_source_id_queued_at", "runs", ["source_id", "queued_at"])
    op.create_index("ix_runs_state", "runs", ["state"])
    for column in ("source_id", "portal"):
        name = f"uq_runs_{column}_at_work"
        op.create_index(name, "runs", [column], unique=True, sqlite_where=AT_WORK, postgresql_where=AT_WORK)
    op.create_table(
        "trigger_arrivals",
        sa.Column("trigger_id", TEXT, nullable=False),
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.id"], name="fk_trigger_arrivals_source_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["trigger_id"], ["triggers.id"], name="fk_trigger_arrivals_trigger_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trigger_id", "source_id", name="pk_trigger_arrivals"),
    )
    op.create_table(
        "run_logs",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("level", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=True),
        sa.Column("event", TEXT, nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_logs_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_run_logs"),
    )
    op.create_index("ix_run_logs_run_id_id", "run_logs", ["run_id", "id"])
    op.create_table(
        "run_streams",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("result", JSON, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_streams_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "stream", name="pk_run_streams"),
    )

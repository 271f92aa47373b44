"""Runs by the time they were asked for: a page of any list of them costs the same, however many there are."""

from __future__ import annotations

from alembic import op

revision, down_revision, branch_labels, depends_on = "0004", "0002", None, None


def upgrade() -> None:
    """Indexes in the order of the lists: of all runs, of a state, and of a state of a source."""
    op.drop_index("ix_runs_state", "runs")
    op.create_index("ix_runs_queued_at_id", "runs", ["queued_at", "id"])
    op.create_index("ix_runs_state_queued_at_id", "runs", ["state", "queued_at", "id"])
    op.create_index("ix_runs_source_id_state_queued_at", "runs", ["source_id", "state", "queued_at"])

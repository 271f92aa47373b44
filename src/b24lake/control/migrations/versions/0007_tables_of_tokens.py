"""Tokens may be limited to tables, so that an agent reads what it is for and nothing else."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision, down_revision, branch_labels, depends_on = "0007", "0006", None, None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """A column of `tokens`; those that are there may read all tables, as before."""
    op.add_column("tokens", sa.Column("tables", JSON, nullable=False, server_default="[]"))

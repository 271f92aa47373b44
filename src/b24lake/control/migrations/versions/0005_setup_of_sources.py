"""Sources remember which steps of their setup are done, so that a draft goes on where it was left."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision, down_revision, branch_labels, depends_on = "0005", "0004", None, None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """A column of `sources`; of drafts that are there no step counts as done."""
    op.add_column("sources", sa.Column("setup", JSON, nullable=False, server_default="[]"))

"""Publications that may not be tried before a time, and what editors say of uncertain ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("publications", sa.Column("not_before", sa.DateTime(timezone=True)))
    op.add_column("publications", sa.Column("settled", sa.Text()))

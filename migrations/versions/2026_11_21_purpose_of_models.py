"""What a model is used for: output, threshold, decision; and where it was fetched from.

Revision: 0002
After: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("network", schema=None) as batch_op:
        batch_op.add_column(sa.Column("output", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("threshold", sa.Double(), nullable=True))
        batch_op.add_column(
            sa.Column("decision", sa.String(length=255), server_default="max", nullable=False)
        )
        batch_op.add_column(sa.Column("reference", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Go back; networks keep what inspection made of them."""
    with op.batch_alter_table("network", schema=None) as batch_op:
        batch_op.drop_column("reference")
        batch_op.drop_column("decision")
        batch_op.drop_column("threshold")
        batch_op.drop_column("output")

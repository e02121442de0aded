"""Where a job began that was resumed: its speed is what it has done since.

Revision: 0005
After: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.add_column(sa.Column("inputs_done_before", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    """Go back; the speed of a job that was resumed counts all inputs again."""
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_column("inputs_done_before")

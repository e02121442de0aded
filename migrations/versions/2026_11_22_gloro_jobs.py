"""GloRo jobs: learning curves, bounds that jobs share, a second data set for validation.

Revision: 0003
After: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from models.base import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "lipschitz_bound",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_lipschitz_bound")),
    )
    with op.batch_alter_table("lipschitz_bound", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lipschitz_bound_sha256"), ["sha256"], unique=False)
    op.create_table(
        "training_epoch",
        sa.Column("job_id", sa.String(length=255), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("log", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("fk_training_epoch_job_id_job"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_training_epoch")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.add_column(sa.Column("validation_dataset_id", sa.String(length=255), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_job_validation_dataset_id"), ["validation_dataset_id"], unique=False
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_job_validation_dataset_id_dataset"), "dataset", ["validation_dataset_id"], ["id"]
        )


def downgrade() -> None:
    """Go back; jobs of the kinds that the older release does not know are removed with their rows."""
    kinds = "('lipschitz-certification', 'gloro-wrap', 'gloro-training')"
    gone = f"SELECT id FROM job WHERE kind IN {kinds}"  # noqa: S608 - constants of this file
    op.execute(f"DELETE FROM unit WHERE subject IN ({gone})")  # noqa: S608
    for table in ("artifact", "result"):
        op.execute(f"DELETE FROM {table} WHERE job_id IN ({gone})")  # noqa: S608
    op.drop_table("training_epoch")
    op.execute(f"DELETE FROM job WHERE kind IN {kinds}")  # noqa: S608
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_job_validation_dataset_id_dataset"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_job_validation_dataset_id"))
        batch_op.drop_column("validation_dataset_id")
    with op.batch_alter_table("lipschitz_bound", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_lipschitz_bound_sha256"))
    op.drop_table("lipschitz_bound")

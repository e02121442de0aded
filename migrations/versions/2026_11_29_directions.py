"""Directions of generators, cards of trained networks, and the networks that latent mutations need.

Revision: 0006
After: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from models.base import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("network", schema=None) as batch_op:
        batch_op.add_column(sa.Column("card", sa.JSON(), nullable=True))
    op.create_table(
        "job_network",
        sa.Column("job_id", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=255), nullable=False),
        sa.Column("network_id", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("fk_job_network_job_id_job"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["network_id"], ["network.id"], name=op.f("fk_job_network_network_id_network")
        ),
        sa.PrimaryKeyConstraint("job_id", "role", name=op.f("pk_job_network")),
    )
    with op.batch_alter_table("job_network", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_network_network_id"), ["network_id"], unique=False)
    _create_direction()


def _create_direction() -> None:
    op.create_table(
        "direction",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("generator_id", sa.String(length=255), nullable=False),
        sa.Column("job_id", sa.String(length=255), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("vector", sa.JSON(), nullable=False),
        sa.Column("extent", sa.Double(), nullable=False),
        sa.Column("scale", sa.JSON(), nullable=True),
        sa.Column("energy", sa.Double(), nullable=False),
        sa.Column("leakage", sa.Double(), nullable=True),
        sa.Column("mask", sa.JSON(), nullable=True),
        sa.Column("measures", sa.JSON(), nullable=False),
        sa.Column("preview_sha256", sa.String(length=255), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["generator_id"],
            ["network.id"],
            name=op.f("fk_direction_generator_id_network"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("fk_direction_job_id_job"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_direction")),
    )
    with op.batch_alter_table("direction", schema=None) as batch_op:
        for column in ("generator_id", "job_id", "owner", "preview_sha256"):
            batch_op.create_index(batch_op.f(f"ix_direction_{column}"), [column], unique=False)


def downgrade() -> None:
    """Go back; jobs that the older release does not know are removed with their rows."""
    with op.batch_alter_table("direction", schema=None) as batch_op:
        for column in ("generator_id", "job_id", "owner", "preview_sha256"):
            batch_op.drop_index(batch_op.f(f"ix_direction_{column}"))
    op.drop_table("direction")
    _remove("SELECT id FROM job WHERE kind IN ('generator-training', 'direction-mining')")
    _remove("SELECT job_id FROM job_network")  # of mutations through a generator
    with op.batch_alter_table("job_network", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_network_network_id"))
    op.drop_table("job_network")
    with op.batch_alter_table("network", schema=None) as batch_op:
        batch_op.drop_column("card")


def _remove(jobs: str) -> None:
    """Remove the jobs that a query names; what refers to them goes with them, but for their units."""
    op.execute(f"DELETE FROM unit WHERE subject IN ({jobs})")  # noqa: S608 - constants of this file
    for table in ("artifact", "result", "partial_result", "training_epoch"):
        op.execute(f"DELETE FROM {table} WHERE job_id IN ({jobs})")  # noqa: S608
    op.execute(f"DELETE FROM job WHERE id IN ({jobs})")  # noqa: S608

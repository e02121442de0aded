"""The first tables.

Revision: 0001
After: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table('api_key',
    sa.Column('id', sa.String(length=255), nullable=False),
    sa.Column('owner', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('prefix', sa.String(length=255), nullable=False),
    sa.Column('sha256', sa.String(length=255), nullable=False),
    sa.Column('scopes', sa.JSON(), nullable=False),
    sa.Column('created_at', models.base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('expires_at', models.base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('last_used_at', models.base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', models.base.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_key')),
    sa.UniqueConstraint('sha256', name=op.f('uq_api_key_sha256'))
    )
    with op.batch_alter_table('api_key', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_api_key_owner'), ['owner'], unique=False)

    op.create_table('dataset',
    sa.Column('id', sa.String(length=255), nullable=False),
    sa.Column('owner', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('filename', sa.String(length=255), nullable=False),
    sa.Column('sha256', sa.String(length=255), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=False),
    sa.Column('status', sa.String(length=255), nullable=False),
    sa.Column('items', sa.Integer(), nullable=True),
    sa.Column('inputs_sha256', sa.String(length=255), nullable=True),
    sa.Column('labels_sha256', sa.String(length=255), nullable=True),
    sa.Column('inspection', sa.JSON(), nullable=True),
    sa.Column('rejection', sa.JSON(), nullable=True),
    sa.Column('created_at', models.base.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dataset')),
    sa.UniqueConstraint('owner', 'sha256', name=op.f('uq_dataset_owner'))
    )
    with op.batch_alter_table('dataset', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_dataset_name'), ['name'], unique=False)
        batch_op.create_index(batch_op.f('ix_dataset_owner'), ['owner'], unique=False)
        batch_op.create_index(batch_op.f('ix_dataset_sha256'), ['sha256'], unique=False)
        batch_op.create_index(batch_op.f('ix_dataset_status'), ['status'], unique=False)

    op.create_table('network',
    sa.Column('id', sa.String(length=255), nullable=False),
    sa.Column('owner', sa.String(length=255), nullable=False),
    sa.Column('identity', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('filename', sa.String(length=255), nullable=False),
    sa.Column('role', sa.String(length=255), nullable=False),
    sa.Column('format', sa.String(length=255), nullable=True),
    sa.Column('sha256', sa.String(length=255), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=False),
    sa.Column('input_shape', sa.JSON(), nullable=True),
    sa.Column('classes', sa.JSON(), nullable=True),
    sa.Column('preprocessing', sa.JSON(), nullable=False),
    sa.Column('status', sa.String(length=255), nullable=False),
    sa.Column('graph_sha256', sa.String(length=255), nullable=True),
    sa.Column('inspection', sa.JSON(), nullable=True),
    sa.Column('rejection', sa.JSON(), nullable=True),
    sa.Column('created_at', models.base.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_network')),
    sa.UniqueConstraint('owner', 'identity', name=op.f('uq_network_owner'))
    )
    with op.batch_alter_table('network', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_network_name'), ['name'], unique=False)
        batch_op.create_index(batch_op.f('ix_network_owner'), ['owner'], unique=False)
        batch_op.create_index(batch_op.f('ix_network_sha256'), ['sha256'], unique=False)
        batch_op.create_index(batch_op.f('ix_network_status'), ['status'], unique=False)

    op.create_table('unit',
    sa.Column('id', sa.String(length=255), nullable=False),
    sa.Column('kind', sa.String(length=255), nullable=False),
    sa.Column('subject', sa.String(length=255), nullable=False),
    sa.Column('ordinal', sa.Integer(), nullable=False),
    sa.Column('payload', sa.JSON(), nullable=False),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('status', sa.String(length=255), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('token', sa.String(length=255), nullable=True),
    sa.Column('lease_until', models.base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('worker', sa.String(length=255), nullable=True),
    sa.Column('published_at', models.base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('publications', sa.Integer(), nullable=False),
    sa.Column('created_at', models.base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('finished_at', models.base.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_unit')),
    sa.UniqueConstraint('subject', 'ordinal', name=op.f('uq_unit_subject'))
    )
    with op.batch_alter_table('unit', schema=None) as batch_op:
        batch_op.create_index('ix_unit_status_lease_until', ['status', 'lease_until'], unique=False)
        batch_op.create_index(batch_op.f('ix_unit_subject'), ['subject'], unique=False)

    op.create_table('worker',
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('queues', sa.JSON(), nullable=False),
    sa.Column('device', sa.String(length=255), nullable=False),
    sa.Column('version', sa.String(length=255), nullable=False),
    sa.Column('started_at', models.base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('beat_at', models.base.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_worker'))
    )
    with op.batch_alter_table('worker', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_worker_beat_at'), ['beat_at'], unique=False)

    op.create_table('job',
    sa.Column('id', sa.String(length=255), nullable=False),
    sa.Column('owner', sa.String(length=255), nullable=False),
    sa.Column('kind', sa.String(length=255), nullable=False),
    sa.Column('status', sa.String(length=255), nullable=False),
    sa.Column('spec', sa.JSON(), nullable=False),
    sa.Column('network_id', sa.String(length=255), nullable=True),
    sa.Column('dataset_id', sa.String(length=255), nullable=True),
    sa.Column('tags', sa.JSON(), nullable=False),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('cancel_requested', sa.Boolean(), nullable=False),
    sa.Column('units_total', sa.Integer(), nullable=False),
    sa.Column('units_done', sa.Integer(), nullable=False),
    sa.Column('inputs_total', sa.Integer(), nullable=False),
    sa.Column('inputs_done', sa.Integer(), nullable=False),
    sa.Column('clean_accuracy', sa.Double(), nullable=True),
    sa.Column('warnings', sa.JSON(), nullable=False),
    sa.Column('summary', sa.JSON(), nullable=True),
    sa.Column('error', sa.JSON(), nullable=True),
    sa.Column('certificate_sha256', sa.String(length=255), nullable=True),
    sa.Column('idempotency_key', sa.String(length=255), nullable=True),
    sa.Column('body_sha256', sa.String(length=255), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('created_at', models.base.UtcDateTime(timezone=True), nullable=False),
    sa.Column('started_at', models.base.UtcDateTime(timezone=True), nullable=True),
    sa.Column('finished_at', models.base.UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['dataset_id'], ['dataset.id'], name=op.f('fk_job_dataset_id_dataset')),
    sa.ForeignKeyConstraint(['network_id'], ['network.id'], name=op.f('fk_job_network_id_network')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_job')),
    sa.UniqueConstraint('owner', 'idempotency_key', name=op.f('uq_job_owner'))
    )
    with op.batch_alter_table('job', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_job_dataset_id'), ['dataset_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_job_network_id'), ['network_id'], unique=False)
        batch_op.create_index('ix_job_owner_created_at_id', ['owner', 'created_at', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_job_status'), ['status'], unique=False)

    op.create_table('artifact',
    sa.Column('job_id', sa.String(length=255), nullable=False),
    sa.Column('index', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('media_type', sa.String(length=255), nullable=False),
    sa.Column('sha256', sa.String(length=255), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_artifact_job_id_job'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_id', 'index', 'name', name=op.f('pk_artifact'))
    )
    op.create_table('result',
    sa.Column('job_id', sa.String(length=255), nullable=False),
    sa.Column('index', sa.Integer(), nullable=False),
    sa.Column('verdict', sa.String(length=255), nullable=False),
    sa.Column('row', sa.JSON(), nullable=False),
    sa.Column('created_at', models.base.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_result_job_id_job'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_id', 'index', name=op.f('pk_result'))
    )
    with op.batch_alter_table('result', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_result_verdict'), ['verdict'], unique=False)



def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table('result', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_result_verdict'))

    op.drop_table('result')
    op.drop_table('artifact')
    with op.batch_alter_table('job', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_job_status'))
        batch_op.drop_index('ix_job_owner_created_at_id')
        batch_op.drop_index(batch_op.f('ix_job_network_id'))
        batch_op.drop_index(batch_op.f('ix_job_dataset_id'))

    op.drop_table('job')
    with op.batch_alter_table('worker', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_worker_beat_at'))

    op.drop_table('worker')
    with op.batch_alter_table('unit', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_unit_subject'))
        batch_op.drop_index('ix_unit_status_lease_until')

    op.drop_table('unit')
    with op.batch_alter_table('network', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_network_status'))
        batch_op.drop_index(batch_op.f('ix_network_sha256'))
        batch_op.drop_index(batch_op.f('ix_network_owner'))
        batch_op.drop_index(batch_op.f('ix_network_name'))

    op.drop_table('network')
    with op.batch_alter_table('dataset', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_dataset_status'))
        batch_op.drop_index(batch_op.f('ix_dataset_sha256'))
        batch_op.drop_index(batch_op.f('ix_dataset_owner'))
        batch_op.drop_index(batch_op.f('ix_dataset_name'))

    op.drop_table('dataset')
    with op.batch_alter_table('api_key', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_api_key_owner'))

    op.drop_table('api_key')

"""Fill in the folded texts and the times of completion, in transactions of their own.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

from app.maintenance.backfill import backfill

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade():
    # Outside the migration's transaction, which would lock each task until its end.
    with op.get_context().autocommit_block():
        backfill()


def downgrade():
    pass

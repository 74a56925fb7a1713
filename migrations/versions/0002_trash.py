"""An index for the trash, latest first, and a count of its purges.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TRASHED = sa.text("deleted_at IS NOT NULL")


def upgrade():
    purge_count = sa.Column("purge_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    op.add_column("users", purge_count)
    columns = ["user_id", sa.text("deleted_at DESC"), sa.text("id DESC")]
    op.create_index("ix_tasks_trash", "tasks", columns, sqlite_where=TRASHED, postgresql_where=TRASHED)


def downgrade():
    op.drop_index("ix_tasks_trash", "tasks")
    op.drop_column("users", "purge_count")

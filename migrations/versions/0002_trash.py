"""An index for the trash, latest first.

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
    columns = ["user_id", sa.text("deleted_at DESC"), sa.text("id DESC")]
    op.create_index("ix_tasks_trash", "tasks", columns, sqlite_where=TRASHED, postgresql_where=TRASHED)


def downgrade():
    op.drop_index("ix_tasks_trash", "tasks")

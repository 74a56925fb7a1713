"""An index for the trash of completed tasks, and of others, so that none is looked at in vain.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TRASHED = sa.text("deleted_at IS NOT NULL")


def upgrade():
    columns = ["user_id", "completed", sa.text("deleted_at DESC"), sa.text("id DESC")]
    op.create_index("ix_tasks_trash_completed", "tasks", columns, sqlite_where=TRASHED, postgresql_where=TRASHED)


def downgrade():
    op.drop_index("ix_tasks_trash_completed", "tasks")

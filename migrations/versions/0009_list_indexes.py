"""Indexes for the orders of lists.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_tasks_updated_at": ("updated_at", ""),
    "ix_tasks_priority": ("priority", ""),
    "ix_tasks_title": ("title_folded", ""),
    "ix_tasks_due_date": ("due_date", " AND due_date IS NOT NULL"),
    "ix_tasks_position": ("position", " AND position IS NOT NULL"),
    "ix_tasks_completed_at": ("completed_at", " AND completed_at IS NOT NULL"),
}


def upgrade():
    with op.get_context().autocommit_block():
        for name, (column, filled) in INDEXES.items():
            where = sa.text(f"deleted_at IS NULL{filled}")
            op.create_index(
                name,
                "tasks",
                ["user_id", column, "id"],
                sqlite_where=where,
                postgresql_where=where,
                if_not_exists=True,
                postgresql_concurrently=True,
            )


def downgrade():
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.drop_index(name, "tasks", if_exists=True, postgresql_concurrently=True)

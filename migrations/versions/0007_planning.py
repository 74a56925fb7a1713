"""Due dates, priorities, tags, positions, times of completion, and folded texts to search and sort by.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def columns(postgresql):
    bytewise = sa.Text(collation="C" if postgresql else None)
    texts, no_tags = (sa.ARRAY(sa.Text()), "'{}'") if postgresql else (sa.Text(), "'[]'")
    return (
        sa.Column("title_folded", bytewise),
        sa.Column("description_folded", bytewise),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.Column("priority", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("due_date", bytewise),
        sa.Column("tags", texts, server_default=sa.text(no_tags), nullable=False),
        sa.Column("position", bytewise),
    )


def upgrade():
    postgresql = op.get_context().dialect.name == "postgresql"
    if postgresql:
        op.execute("SET LOCAL lock_timeout = '3s'")
    for column in columns(postgresql):
        op.add_column("tasks", column)


def downgrade():
    postgresql = op.get_context().dialect.name == "postgresql"
    if postgresql:
        op.execute("SET LOCAL lock_timeout = '3s'")
    for column in columns(postgresql):
        op.drop_column("tasks", column.name)

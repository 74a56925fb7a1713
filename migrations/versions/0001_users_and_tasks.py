"""Users and their tasks.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LIVE = sa.text("deleted_at IS NULL")
NEWEST_FIRST = (sa.text("created_at DESC"), sa.text("id DESC"))


def upgrade():
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("purged_rev", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("length(id) BETWEEN 1 AND 255", name=op.f("ck_users_id_length")),
        sa.CheckConstraint("purged_rev BETWEEN 0 AND rev", name=op.f("ck_users_purged_rev_range")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_table(
        "tasks",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("completed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("length(title) BETWEEN 1 AND 200", name=op.f("ck_tasks_title_length")),
        sa.CheckConstraint("length(description) <= 2000", name=op.f("ck_tasks_description_length")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tasks_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_tasks")),
    )
    for name, columns in (
        ("ix_tasks_list", ["user_id", *NEWEST_FIRST]),
        ("ix_tasks_list_completed", ["user_id", "completed", *NEWEST_FIRST]),
    ):
        op.create_index(name, "tasks", columns, sqlite_where=LIVE, postgresql_where=LIVE)
    op.create_index("ix_tasks_user_id_rev", "tasks", ["user_id", "rev"])


def downgrade():
    op.drop_table("tasks")
    op.drop_table("users")

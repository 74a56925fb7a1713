"""Up to which rev a forgotten user's tasks wait to be deleted.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade():
    forgotten_rev = sa.Column("forgotten_rev", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    op.add_column("users", forgotten_rev)


def downgrade():
    # Old code would show them again.
    op.execute(
        "DELETE FROM tasks WHERE EXISTS "
        "(SELECT 1 FROM users WHERE tasks.user_id = users.id AND tasks.rev <= users.forgotten_rev)"
    )
    op.drop_column("users", "forgotten_rev")

"""Validate the checks of 0005 on PostgreSQL, which locks out no writer.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade():
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_users_email_format")
        op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_users_name_length")


def downgrade():
    pass

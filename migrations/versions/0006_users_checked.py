"""Clear stored emails and names that no longer pass, and validate the checks on all rows.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

EMAIL = "length(email) <= 255 AND email LIKE '%_@_%'"
NAME = "length(name) BETWEEN 1 AND 100"


def upgrade():
    op.execute(sa.text(f"UPDATE users SET email = NULL WHERE NOT ({EMAIL})"))
    op.execute(sa.text(f"UPDATE users SET name = NULL WHERE NOT ({NAME})"))
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_users_email_format")
        op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_users_name_length")
    else:
        with op.batch_alter_table("users") as users:
            users.create_check_constraint(op.f("ck_users_email_format"), sa.text(EMAIL))
            users.create_check_constraint(op.f("ck_users_name_length"), sa.text(NAME))


def downgrade():
    if op.get_context().dialect.name == "sqlite":
        with op.batch_alter_table("users") as users:
            users.drop_constraint(op.f("ck_users_email_format"), type_="check")
            users.drop_constraint(op.f("ck_users_name_length"), type_="check")

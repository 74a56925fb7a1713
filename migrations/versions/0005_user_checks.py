"""Checks on users' emails and names, for new rows.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CHECKS = {
    "ck_users_email_format": "length(email) <= 255 AND email LIKE '%_@_%'",
    "ck_users_name_length": "length(name) BETWEEN 1 AND 100",
}


def upgrade():
    # SQLite cannot add a check to a table; the next migration copies it.
    if op.get_context().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '3s'")
        for name, check in CHECKS.items():
            op.create_check_constraint(op.f(name), "users", sa.text(check), postgresql_not_valid=True)


def downgrade():
    if op.get_context().dialect.name == "postgresql":
        for name in CHECKS:
            op.drop_constraint(op.f(name), "users", type_="check")

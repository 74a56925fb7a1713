"""Check users' emails and names, and clear those stored that do not pass.

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
    "email_format": "length(email) <= 255 AND email LIKE '%_@_%'",
    "name_length": "length(name) BETWEEN 1 AND 100",
}


def upgrade():
    email, name = CHECKS.values()
    op.execute(
        sa.text(
            f"UPDATE users SET email = CASE WHEN {email} THEN email END, name = CASE WHEN {name} THEN name END "
            f"WHERE NOT ({email}) OR NOT ({name})"
        )
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '3s'")
        for check, condition in CHECKS.items():
            op.create_check_constraint(
                op.f(f"ck_users_{check}"), "users", sa.text(condition), postgresql_not_valid=True
            )
    else:
        with op.batch_alter_table("users") as users:
            for check, condition in CHECKS.items():
                users.create_check_constraint(op.f(f"ck_users_{check}"), sa.text(condition))


def downgrade():
    with op.batch_alter_table("users") as users:
        for check in CHECKS:
            users.drop_constraint(op.f(f"ck_users_{check}"), type_="check")

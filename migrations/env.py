"""Alembic's entry point, with the application's engine and tables."""

from logging.config import fileConfig

import sqlalchemy as sa
from alembic import context
from flask import current_app

# An arbitrary number that identifies the lock.
MIGRATION_LOCK = 7_305_468
db = current_app.extensions["migrate"].db

fileConfig(context.config.config_file_name, disable_existing_loggers=False)

if context.is_offline_mode():
    context.configure(url=db.engine.url, target_metadata=db.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=db.metadata, compare_server_default=True)
        with context.begin_transaction():
            if connection.dialect.name == "postgresql":
                # Hosts that are deployed at the same time take turns; the second one has nothing to do.
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            context.run_migrations()

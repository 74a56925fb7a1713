"""Alembic's entry point, with the application's engine and tables."""

import logging
import time
from contextlib import ExitStack
from logging.config import fileConfig

import sqlalchemy as sa
from alembic import context
from flask import current_app

from app.db.timeouts import clear_timeouts

# An arbitrary number that identifies the lock.
MIGRATION_LOCK = 7_305_468
db = current_app.extensions["migrate"].db

fileConfig(context.config.config_file_name, disable_existing_loggers=False)
# Alembic also announces the kind of the database at each start.
logging.getLogger("alembic.runtime.migration").addFilter(lambda record: record.msg.startswith("Running"))

if context.is_offline_mode():
    context.configure(url=db.engine.url, target_metadata=db.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with db.engine.connect() as connection, ExitStack() as stack:
        # Closed afterwards, not pooled: it has no time limits, holds a lock and, on SQLite, ignores foreign
        # keys, which would forbid to replace a table.
        stack.callback(connection.invalidate)
        clear_timeouts(connection)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        else:
            # Hosts that are deployed at once take turns, and the second finds nothing left to do. It asks
            # again and again, as a transaction that waits would stop CREATE INDEX CONCURRENTLY.
            lock = sa.select(sa.func.pg_try_advisory_lock(MIGRATION_LOCK))
            while not connection.execute(lock).scalar_one():
                connection.commit()
                time.sleep(0.5)
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            compare_server_default=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()

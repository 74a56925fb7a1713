"""Time limits on PostgreSQL that hold through a pooler, and against a server that hangs."""

import select
import time
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from .config import Settings

# What the server's own limit needs to be told and to arrive.
MARGIN_SECONDS = 1


def engine_options(settings: Settings) -> dict[str, Any]:
    """What SQLAlchemy's create_engine takes beside the URL."""
    # An error's text goes to the log, and what users wrote must not.
    options: dict[str, Any] = {"hide_parameters": True}
    if settings.database_url.get_backend_name() == "sqlite":
        return options | {"connect_args": {"timeout": settings.statement_timeout}}
    return options | {
        "pool_size": settings.pool_size,
        "max_overflow": settings.max_overflow,
        "pool_timeout": settings.pool_timeout,
        "pool_recycle": settings.pool_recycle,
        # The connection used last is used next, so that idle ones can be closed by the server unnoticed.
        "pool_use_lifo": True,
        "connect_args": {"connection_factory": limited_connection(settings)},
    }


class TookTooLong(psycopg2.OperationalError):
    """The server did not answer in time; the connection is closed, and what became of the work is unknown."""


class LimitedConnection(extensions.connection):
    """A psycopg2 connection that waits no longer than `patience` seconds; for ever where that is None."""

    prefix = ""
    seconds: float
    patience: float | None = None


def limited_connection(settings: Settings) -> type[LimitedConnection]:
    """The kind of connection that has the settings' limits."""
    # In front of the statement in the same message, and for this transaction alone: a pooler that hands
    # the connection to somebody else after it (PgBouncer, Neon) keeps both. Neither option nor SET would do.
    limits = (
        f"SET LOCAL statement_timeout = {settings.statement_timeout * 1000}; "
        f"SET LOCAL lock_timeout = {settings.lock_timeout * 1000}; "
    )
    connect_seconds = settings.database_url.query.get("connect_timeout", settings.connect_timeout)

    class Limited(LimitedConnection):
        prefix = limits
        seconds = settings.statement_timeout + MARGIN_SECONDS
        # libpq's own limit does not count where a wait callback is set.
        patience = float(str(connect_seconds))

    return Limited


def begin_nothing(connection: Connection) -> None:
    """Have psycopg2 leave out the BEGIN before the next statement, as sqlite3 does before a SELECT.

    SQLAlchemy's own way, an isolation level, sends a SET to the server afterwards.
    """
    driver = connection.connection.driver_connection
    if isinstance(driver, LimitedConnection):
        driver.autocommit = True


@event.listens_for(Pool, "checkout")
def _begin_again(driver: Any, *_args: object) -> None:
    if isinstance(driver, LimitedConnection):
        driver.autocommit = False


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def limit_statement(
    _connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
) -> tuple[str, Any]:
    """Put the limits before a statement that asks for them; a migration takes the time that it takes."""
    connection = cursor.connection
    if isinstance(connection, LimitedConnection):
        limited = context is not None and context.execution_options.get("limited", False)
        connection.patience = connection.seconds if limited else None
        if limited:
            statement = connection.prefix + statement
    return statement, parameters


def wait(connection: Any) -> None:
    """Wait for the server as psycopg2 does, but no longer than the connection's `patience`.

    psycopg2 closes a connection whose wait failed.
    """
    patience = getattr(connection, "patience", None)
    deadline = None if patience is None else time.monotonic() + patience
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        poller.register(
            connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        )
        left = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
        if not poller.poll(left):
            raise TookTooLong("the server did not answer in time")


extensions.set_wait_callback(wait)

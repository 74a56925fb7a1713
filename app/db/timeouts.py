"""Time limits on PostgreSQL that hold through a pooler, and against a server that hangs."""

import select
import time
from functools import partial
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import Connection

from ..config import Settings

# What the server's own limit takes to be reported and to arrive.
MARGIN_SECONDS = 1
# Ids go from the database to JSON as text; SQLAlchemy has psycopg2 make an object of each.
UUID_AS_TEXT = extensions.new_type((2950,), "UUID", extensions.UNICODE)


def engine_options(settings: Settings) -> dict[str, Any]:
    """The arguments of SQLAlchemy's create_engine beside the URL."""
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
        # A returned connection has nothing to roll back: its messages are transactions of their own, and a
        # longer transaction that cannot be ended closes it.
        "pool_reset_on_return": None,
        # SQLAlchemy would look for the type on each new connection.
        "use_native_hstore": False,
        "connect_args": {
            "connection_factory": partial(TimeoutConnection, settings=settings),
            "cursor_factory": TimeoutCursor,
        },
    }


class ServerTimeout(psycopg2.OperationalError):
    """The server did not answer in time; the connection is closed, and what became of the work is unknown."""


class TimeoutCursor(extensions.cursor):
    """A cursor that sends its connection's limits in front of each statement, in the same message."""

    connection: "TimeoutConnection"
    deadline: float | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        extensions.register_type(UUID_AS_TEXT, self)

    def execute(self, query: Any, vars: Any = None) -> None:
        """Execute the limits and the query as one transaction, or as a part of the one that `begin` began."""
        if self.deadline and time.monotonic() > self.deadline:
            raise ServerTimeout("the transaction took too long")
        super().execute(self.connection.prefix + query, vars)

    def begin(self) -> None:
        """Begin a transaction of several messages, which together may take as long as one statement.

        The server ends it if the next message does not come, because it holds a lock.
        """
        limit = self.connection.statement_timeout
        self.execute(f"BEGIN; SET LOCAL idle_in_transaction_session_timeout = {limit * 1000}")
        self.deadline = time.monotonic() + limit

    def end(self, command: str) -> None:
        """Execute COMMIT or ROLLBACK, alone: a failed transaction takes no limits.

        If that fails, nobody knows what the connection is in, and it is closed.
        """
        try:
            super().execute(command)
        except psycopg2.Error:
            self.connection.close()
            raise


class TimeoutConnection(extensions.connection):
    """A psycopg2 connection that limits every statement and every wait, its own making included.

    It waits no longer than `wait_timeout` seconds, or forever where that is None. Each message is a
    transaction, unless a cursor's `begin` was sent.
    """

    prefix = ""
    is_new = True

    def __init__(self, dsn: str, *, settings: Settings) -> None:
        # libpq ignores its own connect_timeout where a wait callback is set.
        connect_timeout = settings.database_url.query.get("connect_timeout", settings.connect_timeout)
        self.wait_timeout: float | None = float(str(connect_timeout))
        super().__init__(dsn)
        self.statement_timeout = settings.statement_timeout
        self.wait_timeout = settings.statement_timeout + MARGIN_SECONDS
        self.autocommit = True
        # For one transaction alone: a pooler that hands the connection to another client after it (PgBouncer,
        # Neon) would keep the options of a session. The server's default isolation may be another one, under
        # which a write that waited for its owner's lock fails.
        self.prefix = (
            "SET LOCAL transaction_isolation = 'read committed'; "
            f"SET LOCAL statement_timeout = {settings.statement_timeout * 1000}; "
            f"SET LOCAL lock_timeout = {settings.lock_timeout * 1000}; "
        )

    def is_alive(self) -> bool:
        """Whether the server has kept the connection, as far as is known here: nothing is sent."""
        poller = select.poll()
        poller.register(self.fileno(), select.POLLIN)
        # The only unasked message from a server is that it closes the connection.
        return not poller.poll(0)


def clear_timeouts(connection: Connection) -> None:
    """Let the transactions of a connection, which must not return to its pool, take as long as they need."""
    driver = connection.connection.driver_connection
    if isinstance(driver, TimeoutConnection):
        driver.prefix, driver.wait_timeout, driver.autocommit = "", None, False


def wait(connection: Any) -> None:
    """Wait for the server as psycopg2 does, but no longer than the connection's `wait_timeout`.

    psycopg2 closes a connection whose wait failed.
    """
    wait_timeout = getattr(connection, "wait_timeout", None)
    deadline = None if wait_timeout is None else time.monotonic() + wait_timeout
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        poller.register(
            connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        )
        left = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
        if not poller.poll(left):
            raise ServerTimeout("the server did not answer in time")


extensions.set_wait_callback(wait)

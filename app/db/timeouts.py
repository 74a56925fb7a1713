"""Time limits on PostgreSQL that hold through a pooler, and against a server that hangs."""

import select
import time
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import event, exc
from sqlalchemy.pool import Pool

from ..config import Settings

# What the server's own limit needs to be told and to arrive.
MARGIN_SECONDS = 1
# Ids go from the database to JSON as text; SQLAlchemy has psycopg2 make an object of each.
UUID_AS_TEXT = extensions.new_type((2950,), "UUID", extensions.UNICODE)


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
        "connect_args": {"connection_factory": timeout_connection(settings), "cursor_factory": TimeoutCursor},
    }


class ServerTimeout(psycopg2.OperationalError):
    """The server did not answer in time; the connection is closed, and what became of the work is unknown."""


class TimeoutCursor(extensions.cursor):
    """A cursor that sends its connection's limits in front of each statement, in the same message."""

    connection: "TimeoutConnection"

    def execute(self, query: Any, vars: Any = None) -> None:
        super().execute(self.connection.prefix + query, vars)


class TimeoutConnection(extensions.connection):
    """A psycopg2 connection with time limits, for as long as it is told to have them.

    It waits no longer than `wait_timeout` seconds; for ever where that is None.
    """

    limits: str
    seconds: float
    has_text_ids = False
    prefix = ""
    wait_timeout: float | None = None

    def apply_timeouts(self, *, autocommit: bool) -> None:
        """Limit what comes; with `autocommit` each statement is a transaction, and no BEGIN is sent.

        SQLAlchemy's own way to that, an isolation level, would send a SET to the server afterwards.
        """
        self.prefix, self.wait_timeout, self.autocommit = self.limits, self.seconds, autocommit
        if not self.has_text_ids:
            # Not when it is made: SQLAlchemy registers its own type then.
            extensions.register_type(UUID_AS_TEXT, self)
            self.has_text_ids = True

    def clear_timeouts(self) -> None:
        """Let what comes take the time that it takes, as migrations do."""
        self.prefix, self.wait_timeout, self.autocommit = "", None, False

    def is_alive(self) -> bool:
        """Whether the server has kept the connection, as far as is known here: nothing is sent."""
        poller = select.poll()
        poller.register(self.fileno(), select.POLLIN)
        # A server that says something to a client that asked nothing says goodbye.
        return not poller.poll(0)


def timeout_connection(settings: Settings) -> type[TimeoutConnection]:
    """The kind of connection that has the settings' limits."""
    connect_seconds = settings.database_url.query.get("connect_timeout", settings.connect_timeout)

    class Limited(TimeoutConnection):
        # For one transaction alone: a pooler that hands the connection to somebody else after it (PgBouncer,
        # Neon) keeps that. Neither an option at the start of the connection nor a SET would do.
        limits = (
            f"SET LOCAL statement_timeout = {settings.statement_timeout * 1000}; "
            f"SET LOCAL lock_timeout = {settings.lock_timeout * 1000}; "
        )
        seconds = settings.statement_timeout + MARGIN_SECONDS
        # libpq's own limit does not count where a wait callback is set.
        wait_timeout = float(str(connect_seconds))

    return Limited


@event.listens_for(Pool, "connect")
@event.listens_for(Pool, "checkin")
def _free(driver: Any, *_args: object) -> None:
    if isinstance(driver, TimeoutConnection):
        driver.clear_timeouts()


@event.listens_for(Pool, "checkout")
def _refuse_dead(driver: Any, *_args: object) -> None:
    if isinstance(driver, TimeoutConnection) and not driver.is_alive():
        raise exc.DisconnectionError


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

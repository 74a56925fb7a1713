"""How statements reach the database: reads outside a transaction, writes in one, past dead connections."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from psycopg2.errors import DivisionByZero
from sqlalchemy import Connection, Executable, exc

from .extensions import db
from .limits import LimitedConnection, TookTooLong

T = TypeVar("T")
Row = dict[str, Any]


def fetch(statement: Executable, params: Row) -> tuple[tuple[str, ...], Sequence[Sequence[Any]]]:
    """The names of the columns and the rows of one statement, which is a transaction by itself."""
    with db.engine.connect() as connection:
        limit(connection, autocommit=True)
        result = connection.execute(statement, params)
        # Plain strings: a subquery's names are of a subclass that orjson does not take.
        return tuple(map(str, result.keys())), result.all()


def read_rows(statement: Executable, params: Row) -> tuple[tuple[str, ...], Sequence[Sequence[Any]]]:
    """What `fetch` returns of a SELECT, which may be sent again."""
    return _retry_dead_connection(lambda: fetch(statement, params))


def read(statement: Executable, params: Row) -> list[Row]:
    """The rows of one SELECT."""
    names, rows = read_rows(statement, params)
    return [dict(zip(names, row, strict=True)) for row in rows]


def write_once(statement: Executable, params: Row) -> Row | None:
    """The row that a writing statement of PostgreSQL returns, in one round trip; None where it wrote nothing.

    Not sent again: whether it was carried out, nobody would know. A connection that was closed before is
    found when the pool hands it out.
    """
    try:
        names, rows = fetch(statement, params)
    except exc.DataError as error:
        if isinstance(error.orig, DivisionByZero):
            return None
        raise
    return dict(zip(names, rows[0], strict=True)) if rows else None


def read_one(statement: Executable, params: Row) -> Row | None:
    """The one row of a SELECT by a whole key, or None."""
    return next(iter(read(statement, params)), None)


def write(work: Callable[[Connection], T]) -> T:
    """What `work` returns, done in one transaction."""
    committing = False

    def attempt() -> T:
        nonlocal committing
        with db.engine.connect() as connection:
            limit(connection, autocommit=False)
            result = work(connection)
            committing = True
            connection.commit()
            return result

    # Before the COMMIT nothing has happened, so all of it may happen again; after it nobody knows.
    return _retry_dead_connection(attempt, unless=lambda: committing)


def limit(connection: Connection, *, autocommit: bool) -> None:
    """Give the connection the time limits, until it is returned to the pool."""
    driver = connection.connection.driver_connection
    if isinstance(driver, LimitedConnection):
        driver.limit(autocommit=autocommit)


def _retry_dead_connection(work: Callable[[], T], unless: Callable[[], bool] = lambda: False) -> T:
    """Run `work`, and once more if its pooled connection turns out to have been closed by the server.

    One that the server did not answer on in time is no such connection: another would wait as long.
    """
    try:
        return work()
    except exc.DBAPIError as error:
        if not error.connection_invalidated or isinstance(error.orig, TookTooLong) or unless():
            raise
        return work()

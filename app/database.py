"""How statements reach the database: reads outside a transaction, writes in one, past dead connections."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, exc

from .extensions import db
from .limits import TookTooLong, begin_nothing

T = TypeVar("T")
Row = dict[str, Any]


def read(statement: Executable, params: Row) -> list[Row]:
    """The rows of one SELECT, outside a transaction."""

    def work() -> list[Row]:
        with db.engine.connect().execution_options(limited=True) as connection:
            begin_nothing(connection)
            result = connection.execute(statement, params)
            # Plain strings: a subquery's names are of a subclass that orjson does not take.
            names = tuple(map(str, result.keys()))
            return [dict(zip(names, row, strict=True)) for row in result]

    return _retry_dead_connection(work)


def read_one(statement: Executable, params: Row) -> Row | None:
    """The one row of a SELECT by a whole key, or None."""
    return next(iter(read(statement, params)), None)


def write(work: Callable[[Connection], T]) -> T:
    """What `work` returns, done in one transaction."""
    committing = False

    def attempt() -> T:
        nonlocal committing
        with db.engine.connect().execution_options(limited=True) as connection:
            result = work(connection)
            committing = True
            connection.commit()
            return result

    # Before the COMMIT nothing has happened, so all of it may happen again; after it nobody knows.
    return _retry_dead_connection(attempt, unless=lambda: committing)


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

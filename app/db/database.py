"""How statements reach the database: reads outside a transaction, writes in one, past dead connections."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import psycopg2
from psycopg2.errors import DivisionByZero
from sqlalchemy import Connection, Engine, Executable, exc

from ..extensions import db
from .timeouts import ServerTimeout, TimeoutConnection

T = TypeVar("T")
Record = dict[str, Any]
Fetched = tuple[tuple[str, ...], Sequence[Sequence[Any]]]


def fetch(statement: Any, params: Record) -> Fetched:
    """The names of the columns and the rows of one statement, which is a transaction by itself.

    PostgreSQL's go through the driver, whose values are what SQLAlchemy's types would make of them: its share
    of a request would be a third.
    """
    if db.engine.dialect.name == "postgresql":
        return _fetch_by_driver(db.engine, statement, params)
    with db.engine.connect() as connection:
        result = connection.execute(statement, params)
        return _names(statement), result.all()


def _fetch_by_driver(engine: Engine, statement: Any, params: Record) -> Fetched:
    text, constants = _compiled(statement)
    pooled = None
    try:
        pooled = engine.raw_connection()
        driver: Any = pooled.driver_connection
        driver.apply_timeouts(autocommit=True)
        with driver.cursor() as cursor:
            send(cursor, text, {**constants, **params})
            return _names(statement), cursor.fetchall()
    except psycopg2.Error as error:
        is_dead = pooled is not None and bool(driver.closed)
        if pooled is not None and is_dead:
            pooled.invalidate(error)
            pooled = None
        raise exc.DBAPIError.instance(
            text,
            None,
            error,
            psycopg2.Error,
            hide_parameters=True,
            connection_invalidated=is_dead,
            dialect=engine.dialect,
        ) from error
    finally:
        if pooled is not None:
            pooled.close()


def send(cursor: Any, text: str, params: Record) -> None:
    """Execute; by a name of its own, so that others can look on."""
    cursor.execute(text, params)


@cache
def _compiled(statement: Any) -> tuple[str, Record]:
    compiled = statement.compile(dialect=db.engine.dialect)
    return compiled.string, compiled.params


@cache
def _names(statement: Any) -> tuple[str, ...]:
    # Plain strings: a subquery's names are of a subclass that orjson does not take.
    return tuple(str(column.key) for column in statement.selected_columns)


def read_rows(statement: Executable, params: Record) -> Fetched:
    """What `fetch` returns of a SELECT, which may be sent again."""
    return _retry_dead_connection(lambda: fetch(statement, params))


def read(statement: Executable, params: Record) -> list[Record]:
    """The rows of one SELECT."""
    names, rows = read_rows(statement, params)
    return [dict(zip(names, row, strict=True)) for row in rows]


def write_once(statement: Executable, params: Record) -> Record | None:
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


def read_one(statement: Executable, params: Record) -> Record | None:
    """The one row of a SELECT by a whole key, or None."""
    return next(iter(read(statement, params)), None)


def run_transaction(work: Callable[[Connection], T]) -> T:
    """What `work` returns, done in one transaction."""
    committing = False

    def attempt() -> T:
        nonlocal committing
        with db.engine.connect() as connection:
            apply_timeouts(connection, autocommit=False)
            result = work(connection)
            committing = True
            connection.commit()
            return result

    # Before the COMMIT nothing has happened, so all of it may happen again; after it nobody knows.
    return _retry_dead_connection(attempt, unless=lambda: committing)


def apply_timeouts(connection: Connection, *, autocommit: bool) -> None:
    """Give the connection the time limits, until it is returned to the pool."""
    driver = connection.connection.driver_connection
    if isinstance(driver, TimeoutConnection):
        driver.apply_timeouts(autocommit=autocommit)


def _retry_dead_connection(work: Callable[[], T], unless: Callable[[], bool] = lambda: False) -> T:
    """Run `work`, and once more if its pooled connection turns out to have been closed by the server.

    One that the server did not answer on in time is no such connection: another would wait as long.
    """
    try:
        return work()
    except exc.DBAPIError as error:
        if not error.connection_invalidated or isinstance(error.orig, ServerTimeout) or unless():
            raise
        return work()

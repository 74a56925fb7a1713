"""How statements reach the database: a read or a write is one message to PostgreSQL, a batch is several."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, NamedTuple

import psycopg2
from psycopg2 import extensions
from sqlalchemy import Connection, Engine, Executable, exc

from ..extensions import db
from ..metrics import CONNECTIONS_IN_USE
from .timeouts import ServerTimeout, TimeoutConnection

Record = dict[str, Any]
Step = tuple[Executable, Record]
# Lists have thousands of statements, of 100 KB and 3 ms each: those used last are kept.
KEPT_STATEMENTS = 200


class Result(NamedTuple):
    """The rows of a statement, the names of their columns, and how many rows it read or wrote."""

    names: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    rowcount: int

    def records(self) -> list[Record]:
        """The rows as dictionaries."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


def read(statement: Executable, params: Record) -> Result:
    """The result of one SELECT, sent again if its pooled connection turns out to be closed by the server."""
    try:
        return run_transaction((statement,), params)
    except exc.DBAPIError as error:
        # A server that did not answer in time would make a second request wait as long.
        if not error.connection_invalidated or isinstance(error.orig, ServerTimeout):
            raise
        return run_transaction((statement,), params)


def read_one(statement: Executable, params: Record) -> Record | None:
    """The one row of a SELECT by a whole key, or None."""
    return next(iter(read(statement, params).records()), None)


def run_transaction(statements: tuple[Executable, ...], params: Record) -> Result:
    """The result of the last of the statements, which are committed together or not at all.

    Never sent again: after a broken connection nobody knows whether a write was committed.
    """
    engine = db.engine
    if engine.dialect.name == "postgresql":
        return _run_on_driver(engine, statements, params)
    with engine.begin() as connection:
        return _run_on_connection(connection, statements, params)


def _run_on_connection(connection: Connection, statements: tuple[Executable, ...], params: Record) -> Result:
    *first, last = statements
    for statement in first:
        connection.execute(statement, params)
    result = connection.execute(last, params)
    return Result(_names(last), result.all() if result.returns_rows else (), result.rowcount)


def _run_on_driver(engine: Engine, statements: tuple[Executable, ...], params: Record) -> Result:
    """Send all statements in one message, which PostgreSQL runs as one transaction.

    The driver's values are what SQLAlchemy's types would make of them, at a third less CPU for a read.
    """
    text, constants = _compile(statements)
    with _cursor(engine) as cursor:
        send(cursor, text, {**constants, **params})
        return _result(cursor, statements[-1])


@contextmanager
def transaction() -> Iterator[Callable[[Iterable[Step]], Result]]:
    """A transaction that is committed at the end of the block, or rolled back if the block raises.

    Yields a function that runs statements, each with its parameters, in one message, and returns the result
    of the last one.
    """
    engine = db.engine
    if engine.dialect.name != "postgresql":
        with engine.begin() as connection:
            yield partial(_run_steps, connection)
        return
    with _cursor(engine) as cursor:
        cursor.begin()
        try:
            yield partial(_send_steps, cursor)
        except BaseException:
            if not cursor.connection.closed:
                cursor.end("ROLLBACK")
            raise
        cursor.end("COMMIT")


def _run_steps(connection: Connection, steps: Iterable[Step]) -> Result:
    for statement, params in steps:
        result = _run_on_connection(connection, (statement,), params)
    return result


def _send_steps(cursor: Any, steps: Iterable[Step]) -> Result:
    message = []
    for statement, params in steps:
        text, constants = _compile((statement,))
        message.append(cursor.mogrify(text, {**constants, **params}))
    # Text, as all that is sent here; the driver has it in the connection's encoding.
    encoding = extensions.encodings[cursor.connection.encoding]
    send(cursor, b"; ".join(message).decode(encoding), None)
    return _result(cursor, statement)


def _result(cursor: Any, statement: Executable) -> Result:
    rows = cursor.fetchall() if cursor.description else ()
    return Result(_names(statement), rows, cursor.rowcount)


@contextmanager
def _cursor(engine: Engine) -> Iterator[Any]:
    """A cursor of the driver on a pooled connection, whose errors become SQLAlchemy's."""
    pooled: Any = None
    try:
        pooled = _check_out(engine)
        with CONNECTIONS_IN_USE.track_inprogress(), pooled.cursor() as cursor:
            yield cursor
    except psycopg2.Error as error:
        is_closed = pooled is not None and bool(pooled.driver_connection.closed)
        if is_closed:
            pooled.invalidate(error)
        raise exc.DBAPIError.instance(
            None,
            None,
            error,
            psycopg2.Error,
            hide_parameters=True,
            connection_invalidated=is_closed,
            dialect=engine.dialect,
        ) from error
    finally:
        if pooled is not None:
            pooled.close()


def _check_out(engine: Engine) -> Any:
    """A pooled connection that the server has kept open.

    SQLAlchemy's event for this gives up on the second closed connection, with an error of no database.
    """
    while True:
        pooled = engine.raw_connection()
        driver: TimeoutConnection = pooled.driver_connection  # type: ignore[assignment]
        if driver.is_alive():
            driver.is_new = False
            return pooled
        pooled.invalidate()
        pooled.close()
        if driver.is_new:
            raise psycopg2.OperationalError("the server closed a new connection")


def send(cursor: Any, text: str, params: Record | None) -> None:
    """Execute; a function of its own so that tests can watch the statements."""
    cursor.execute(text, params)


@lru_cache(KEPT_STATEMENTS)
def _compile(statements: tuple[Executable, ...]) -> tuple[str, Record]:
    """The text of the statements in one message, and the values of their constants."""
    compiled = [statement.compile(dialect=db.engine.dialect) for statement in statements]  # type: ignore[attr-defined]
    constants: Record = {}
    for one in compiled:
        for name, value in one.params.items():
            if constants.setdefault(name, value) != value:
                raise ValueError(f"two constants are called {name}")
    return "; ".join(one.string for one in compiled), constants


@lru_cache(KEPT_STATEMENTS)
def _names(statement: Any) -> tuple[str, ...]:
    # Plain strings: a subquery's names are of a subclass that orjson does not take.
    return tuple(str(column.key) for column in statement.exported_columns)

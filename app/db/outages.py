"""Database errors that are outages: the database, not the statement, is at fault."""

from sqlalchemy import exc

from .timeouts import ServerTimeout

# SQLSTATEs of a missing table and a missing column: migrations have not run. None: no connection was made.
MISSING_RELATION = ("42P01", "42703", None)
# SQLSTATEs of time limits, by the cause that the log and the metrics name.
TIMEOUTS = {"57014": "statement_timeout", "55P03": "lock_timeout"}


def is_outage(error: exc.SQLAlchemyError) -> bool:
    """Whether the database is out of reach, full, frozen or not migrated."""
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.InternalError | exc.TimeoutError):
        return True
    # SQLite raises the base class for a file that is not a database.
    if type(error) is exc.DatabaseError:
        return True
    return isinstance(error, exc.ProgrammingError) and getattr(error.orig, "pgcode", None) in MISSING_RELATION


def outage_cause(error: exc.SQLAlchemyError) -> str:
    """The cause of an outage in one word, for the log and the metrics."""
    if isinstance(error, exc.TimeoutError):
        return "pool_timeout"
    cause = getattr(error, "orig", None)
    if isinstance(cause, ServerTimeout):
        return "no_answer"
    return TIMEOUTS.get(getattr(cause, "pgcode", None) or "", "database")

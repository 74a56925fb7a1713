"""The Flask extensions, which the factory binds to an application."""

import sqlite3
from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase

# Times without a zone are in UTC.
JSON_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
# The same names on both databases, so that a later migration can drop a constraint by its name.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of the models."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class OrjsonProvider(JSONProvider):
    """Flask's JSON provider, with orjson."""

    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        """JSON as text."""
        return orjson.dumps(obj, option=JSON_OPTIONS).decode()

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """A JSON response of orjson's bytes; Flask's own method would decode and encode them again."""
        payload = self._prepare_response_obj(args, kwargs)
        return Response(orjson.dumps(payload, option=JSON_OPTIONS), mimetype="application/json")

    def loads(self, s: str | bytes, **_kwargs: Any) -> Any:
        """The value of a JSON text."""
        return orjson.loads(s)


db = SQLAlchemy(model_class=Base)
migrate = Migrate()


@event.listens_for(Engine, "connect")
def configure_sqlite(connection: Any, _record: object) -> None:
    """Turn on the write-ahead log and foreign keys on each new SQLite connection."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA journal_mode = WAL")
        # A commit reaches the disk before it is acknowledged; NORMAL may lose some in a power failure.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

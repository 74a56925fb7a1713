"""The Flask extensions, made once and bound to an application by its factory."""

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

# A time without a zone is in UTC.
JSON_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
# Names that both databases give a constraint, so that a later migration can name it to drop it.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class OrjsonProvider(JSONProvider):
    """Flask's JSON, made by orjson."""

    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        return orjson.dumps(obj, option=JSON_OPTIONS).decode()

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """A response of those bytes, which Flask's own would decode and encode again."""
        payload = self._prepare_response_obj(args, kwargs)
        return Response(orjson.dumps(payload, option=JSON_OPTIONS), mimetype="application/json")

    def loads(self, s: str | bytes, **_kwargs: Any) -> Any:
        return orjson.loads(s)


db = SQLAlchemy(model_class=Base)
migrate = Migrate()


@event.listens_for(Engine, "connect")
def configure_sqlite(connection: Any, _record: object) -> None:
    """Set SQLite's write-ahead log and foreign keys, which each new connection has to ask for."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA journal_mode = WAL")
        # A commit is on the disk before it is acknowledged; NORMAL may lose the last ones with the power.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

"""A live server for the tests that want one."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from app import create_app
from app.extensions import db
from tests.live import SERVERS
from tests.people import Person
from tests.wire import Wire


@pytest.fixture(scope="session")
def server_name() -> str:
    """The server; modules that test both override this."""
    return "gunicorn"


@pytest.fixture(scope="session")
def server(server_name: str, migrated_app: Flask, environ: dict[str, str]) -> Iterator[str]:
    """A server with two workers over each database, and time for all who wait for one."""
    limits = dict.fromkeys(("STATEMENT_TIMEOUT", "LOCK_TIMEOUT", "DB_POOL_TIMEOUT"), "60")
    with SERVERS[server_name](environ | limits | {"WEB_CONCURRENCY": "2"}) as (address, _):
        yield address


@pytest.fixture
def address(app: Flask, server: str) -> str:
    """The server, over an empty database."""
    return server


@pytest.fixture
def wire(postgres_url: str) -> Iterator[Wire]:
    url = make_url(postgres_url)
    wire = Wire(url.host or "127.0.0.1", url.port or 5432)
    yield wire
    wire.close()


@pytest.fixture
def wired_settings() -> dict[str, str]:
    """The settings of the application behind the wire that differ."""
    return {}


@pytest.fixture
def wired(
    app: Flask, environ: dict[str, str], wired_settings: dict[str, str], wire: Wire, secret: str
) -> Iterator[Person]:
    """Alice, at the application that reaches the database of `app` through the wire."""
    url = make_url(environ["DATABASE_URL"]).set(host="127.0.0.1", port=wire.port)
    url = url.update_query_dict({"sslmode": "disable", "gssencmode": "disable"})
    wired = create_app(environ | wired_settings | {"DATABASE_URL": url.render_as_string(hide_password=False)})
    yield Person(wired.test_client(), secret, "alice")
    with wired.app_context():
        db.engine.dispose()

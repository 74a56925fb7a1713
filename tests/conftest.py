"""The fixtures: two real databases, an application on each, people with tokens, a watch on statements."""

import os
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from app import create_app
from app.db import database
from app.extensions import db
from tests.document import CheckedClient
from tests.people import Person
from tests.postgres import scratch_database, server

DATABASES = ("sqlite", "postgresql")
versions: dict[str, str] = {}
runs = dict.fromkeys(DATABASES, 0)

# The statements the watch looks at, and what it wants: the owner's key compared, or written with the row.
TOUCHES_TASKS = re.compile(r"\b(FROM|INTO|UPDATE|JOIN|TRUNCATE( TABLE)?)\s+\"?tasks\b", re.IGNORECASE)
NAMES_OWNER = re.compile(r"\bWHERE\b.*\btasks\.user_id = |\bINSERT INTO tasks \(user_id,", re.DOTALL)


@pytest.fixture(scope="session")
def secret() -> str:
    """A secret of this run's own."""
    return secrets.token_hex(32)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A scratch database on the PostgreSQL of TEST_DATABASE_URL, or on one started for this run."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        with scratch_database(given) as url:
            yield url
    else:
        with server() as base, scratch_database(base) as url:
            yield url


@pytest.fixture(scope="session", params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of each database in turn."""
    if request.param == "sqlite":
        versions["sqlite"] = sqlite3.sqlite_version
        return f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'tasks.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def environ(database_url: str, secret: str) -> dict[str, str]:
    """The settings of the application under test."""
    return {"DATABASE_URL": database_url, "BETTER_AUTH_SECRET": secret, "LOG_LEVEL": "WARNING"}


@pytest.fixture(scope="session")
def migrated_app(environ: dict[str, str]) -> Iterator[Flask]:
    """The application over a migrated database."""
    app = create_app(environ)
    app.test_client_class = CheckedClient
    with app.app_context():
        upgrade()
        if db.engine.dialect.name == "postgresql":
            with db.engine.connect() as connection:
                versions["postgresql"] = connection.execute(text("SHOW server_version")).scalar_one()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def app(migrated_app: Flask) -> Iterator[Flask]:
    """The application over an empty database."""
    yield migrated_app
    with migrated_app.app_context():
        runs[db.engine.dialect.name] += 1
        with db.engine.begin() as connection:
            connection.execute(text("DELETE FROM tasks"), execution_options={"unwatched": True})
            connection.execute(text("DELETE FROM users"))


@pytest.fixture
def person(app: Flask, secret: str) -> Callable[..., Person]:
    """Make a person: `person("alice", email=…)` is a client of the API with alice's token."""

    def make(user_id: Any, **claims: Any) -> Person:
        return Person(app.test_client(), secret, user_id, **claims)

    return make


@pytest.fixture
def alice(person: Callable[..., Person]) -> Person:
    return person("alice")


@pytest.fixture
def bob(person: Callable[..., Person]) -> Person:
    return person("bob")


@pytest.fixture(autouse=True)
def close_databases(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what the applications that a test makes have opened, which Python 3.13 warns of otherwise."""
    engines: list[Engine] = []
    make_engine = db._make_engine

    def keep(*args: Any, **kwargs: Any) -> Engine:
        engines.append(make_engine(*args, **kwargs))
        return engines[-1]

    monkeypatch.setattr(db, "_make_engine", keep)
    yield
    for engine in engines:
        engine.dispose()


@pytest.fixture(autouse=True)
def watch_statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail the test whose statement touches tasks without naming their owner."""
    ownerless: list[str] = []

    def look(_c: Any, _cursor: Any, statement: str, _p: Any, context: Any, _many: bool) -> None:
        watched = context is None or not context.execution_options.get("unwatched")
        if watched and TOUCHES_TASKS.search(statement) and not NAMES_OWNER.search(statement):
            ownerless.append(statement)

    def look_at_driver(cursor: Any, statement: str, params: Any) -> None:
        look(None, None, statement, None, None, False)
        cursor.execute(statement, params)

    monkeypatch.setattr(database, "send", look_at_driver)
    event.listen(Engine, "before_cursor_execute", look)
    yield
    event.remove(Engine, "before_cursor_execute", look)
    assert not ownerless, f"statements on tasks that name no owner: {ownerless}"


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).parent.parent


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the databases that the tests ran on."""
    for name, version in versions.items():
        terminalreporter.write_line(f"{name} {version}: {runs[name]} tests over the application")

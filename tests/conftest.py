"""The fixtures: two real databases, an application on each, people with tokens, a watch on statements."""

import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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
from tests.live import migrate
from tests.people import Person
from tests.postgres import Cluster, cluster, scratch_database

DATABASES = ("sqlite", "postgresql")
# The database that each mount is tested on, unless --full-matrix asks for both.
DATABASE_OF_MOUNT = {"v1": "sqlite", "api": "postgresql", "user": "sqlite"}
SERVER = pytest.StashKey[Cluster]()
PROBLEMS = pytest.StashKey[list[str]]()

# The statements the watch looks at, and what it wants: the owner's key compared, or written with the row.
TOUCHES_TASKS = re.compile(r"\b(FROM|INTO|UPDATE|JOIN|TRUNCATE( TABLE)?)\s+\"?tasks\b", re.IGNORECASE)
NAMES_OWNER = re.compile(r"\bWHERE\b.*\btasks\.user_id = |\bINSERT INTO tasks \(user_id,", re.DOTALL)


@pytest.fixture(scope="session")
def secret() -> str:
    """A secret of this run's own."""
    return secrets.token_hex(32)


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """A scratch database, one for each process of the run."""
    with scratch_database(server_url(pytestconfig)) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory, secret: str) -> Path:
    """A SQLite file that has the tables, and stays empty: a test that writes takes a copy."""
    path = tmp_path_factory.mktemp("migrated") / "tasks.db"
    migrate({"DATABASE_URL": f"sqlite:///{path}", "BETTER_AUTH_SECRET": secret, "LOG_LEVEL": "WARNING"})
    return path


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of the database that `pytest_generate_tests` names."""
    if request.param == "sqlite":
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
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def database_name(migrated_app: Flask) -> str:
    """The database's name and version."""
    with migrated_app.app_context(), db.engine.connect() as connection:
        version = connection.dialect.server_version_info or ()
        return f"{connection.dialect.name} {'.'.join(map(str, version))}"


@pytest.fixture
def app(migrated_app: Flask, database_name: str, record_property: Callable[..., None]) -> Iterator[Flask]:
    """The application over an empty database."""
    record_property("database", database_name)
    yield migrated_app
    with migrated_app.app_context(), db.engine.begin() as connection:
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

    def look_at_driver(cursor: Any, message: str, params: Any) -> None:
        for statement in message.split("; "):
            look(None, None, statement, None, None, False)
        cursor.execute(message, params)

    monkeypatch.setattr(database, "send", look_at_driver)
    event.listen(Engine, "before_cursor_execute", look)
    yield
    event.remove(Engine, "before_cursor_execute", look)
    assert not ownerless, f"statements on tasks that name no owner: {ownerless}"


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).parent.parent


def server_url(config: pytest.Config) -> str:
    """The PostgreSQL of TEST_DATABASE_URL, or one that this process starts once and ends with the run.

    In a parallel run the controller starts it for all workers, any of which may end before the others.
    """
    told = os.environ.get("TEST_DATABASE_URL") or getattr(config, "workerinput", {}).get("server_url")
    if told:
        return str(told)
    if SERVER not in config.stash:
        stack = ExitStack()
        config.stash[SERVER] = stack.enter_context(cluster())
        config.add_cleanup(stack.close)
    return config.stash[SERVER].url


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of a parallel run where PostgreSQL is."""
    node.workerinput["server_url"] = server_url(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores, because some tests wait."""
    return (os.cpu_count() or 1) + 1


def pytest_addoption(parser: pytest.Parser) -> None:
    what = "run each mount on both databases, tables in full on all of them, and what is marked full_matrix"
    parser.addoption("--full-matrix", action="store_true", help=what)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test its databases, and one that is marked `mounts` its mounts, each on a database."""
    if "database_url" not in metafunc.fixturenames:
        return
    full = metafunc.config.getoption("full_matrix")
    mounts = _marked(metafunc, "mounts")
    if not mounts:
        alone = metafunc.definition.get_closest_marker("one_database") and not full
        names = _marked(metafunc, "databases") or DATABASES[: 1 if alone else None]
        metafunc.parametrize("database_url", names, indirect=True, scope="session")
        return
    pairs = [
        pytest.param(mount, name, id=f"{mount.name}-{name}")
        for mount in mounts
        for name in DATABASES
        if full or name == DATABASE_OF_MOUNT[mount.name]
    ]
    metafunc.parametrize(("mount", "database_url"), pairs, indirect=["database_url"], scope="session")


def _marked(metafunc: pytest.Metafunc, name: str) -> tuple[Any, ...]:
    marker = metafunc.definition.get_closest_marker(name)
    return marker.args if marker else ()


def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    """Deselect what is marked `full_matrix`, and all but one case of a `table`, save where it runs first."""
    if config.getoption("full_matrix"):
        return
    sampled: set[tuple[Any, ...]] = set()
    kept: list[Any] = []
    dropped: list[Any] = []
    for item in items:
        if item.get_closest_marker("full_matrix"):
            dropped.append(item)
        elif item.get_closest_marker("table") and item.callspec.indices["database_url"] > 0:
            place = item.function, item.callspec.params["database_url"], item.callspec.params.get("mount")
            (dropped if place in sampled else kept).append(item)
            sampled.add(place)
        else:
            kept.append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if PostgreSQL logged an error that no test provokes, and so perhaps what a user wrote."""
    server = session.config.stash.get(SERVER, None)
    problems = session.config.stash[PROBLEMS] = server.unexpected_problems() if server else []
    if problems and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name the databases that the tests ran on, and the errors that PostgreSQL should not have logged."""
    for problem in config.stash.get(PROBLEMS, []):
        terminalreporter.write_line(f"ERROR PostgreSQL logged, with its statement: {problem}", red=True)
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    names = [dict(report.user_properties).get("database") for report in reports if report.when == "call"]
    for name, count in sorted(Counter(filter(None, names)).items()):
        terminalreporter.write_line(f"{name}: {count} tests over the application")

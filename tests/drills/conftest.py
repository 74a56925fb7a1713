"""The servers that the drills break, and the table of the results."""

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import psycopg2
import pytest

from tests.drills.drill import notes, rows, table
from tests.live import SERVERS, migrate
from tests.postgres import Cluster, cluster

# Few enough for other clients to use up.
MAX_CONNECTIONS = 30
Service = Callable[..., AbstractContextManager[Popen[bytes]]]


def lasting_port() -> int:
    """A free port that no outgoing connection is given while its server is away."""
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port := random.randrange(20_000, 30_000)))
            except OSError:
                continue
            return port


@pytest.fixture
def port() -> int:
    """The service's port."""
    return lasting_port()


@pytest.fixture(scope="session")
def lasting_postgres(secret: str) -> Iterator[Cluster]:
    """A PostgreSQL that keeps what it acknowledged when it is killed, with a database for a plain role."""
    with cluster("synchronous_commit=on", f"max_connections={MAX_CONNECTIONS}", port=lasting_port()) as made:
        with closing(psycopg2.connect(made.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            # A superuser would find the slots that are reserved for those.
            cursor.execute("CREATE ROLE tasks LOGIN")
            cursor.execute("CREATE DATABASE tasks OWNER tasks")
        migrate({"DATABASE_URL": database_url(made), "BETTER_AUTH_SECRET": secret})
        yield made


@pytest.fixture
def postgres(lasting_postgres: Cluster) -> Iterator[Cluster]:
    """The PostgreSQL, running again behind a drill that failed."""
    yield lasting_postgres
    if lasting_postgres.process.poll() is not None:
        lasting_postgres.start()


@pytest.fixture
def postgres_service(postgres: Cluster, service: Service) -> Iterator[Popen[bytes]]:
    """The service over it: the server's process."""
    with service(database_url(postgres)) as process:
        yield process


@pytest.fixture
def server() -> str:
    """The server; drills of a server's own override it."""
    return "gunicorn"


@pytest.fixture
def service(server: str, port: int, secret: str, tmp_path: Path) -> Service:
    """Run the server with two workers over a database."""

    @contextmanager
    def serve(url: str) -> Iterator[Popen[bytes]]:
        settings = {
            "DATABASE_URL": url,
            "BETTER_AUTH_SECRET": secret,
            "LOG_LEVEL": "WARNING",
            "WEB_CONCURRENCY": "2",
        }
        serving = SERVERS[server]
        with (tmp_path / "log").open("ab") as log, serving(settings, port=port, output=log) as (_, process):
            yield process

    return serve


def database_url(postgres: Cluster) -> str:
    """The URL of the service's database."""
    return f"postgresql://tasks@127.0.0.1:{postgres.port}/tasks"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table, in the Markdown of docs/operations.md."""
    head, *body = table()
    for cells in (head, ["---", *["---:"] * (len(head) - 1)], *body) if rows else ():
        terminalreporter.write_line(f"| {' | '.join(cells)} |")
    for note in notes:
        terminalreporter.write_line(note)

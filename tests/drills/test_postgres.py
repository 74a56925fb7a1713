"""PostgreSQL goes away, hangs, or has no room: each time the service is whole again by itself."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg2
import pytest

from tests.drills.conftest import database_url
from tests.drills.drill import drill
from tests.live import children
from tests.postgres import Cluster

FROZEN_S = 5
# Longer than the statement limit.
LOCKED_S = 7

pytestmark = pytest.mark.usefixtures("postgres_service")


def signal_all(postgres: Cluster, number: int) -> None:
    """Send a signal to every process of a PostgreSQL."""
    # The first one stopped, it starts no others meanwhile.
    postgres.process.send_signal(signal.SIGSTOP)
    for pid in children(postgres.process.pid):
        os.kill(pid, number)
    postgres.process.send_signal(number)


@contextmanager
def admin(url: str) -> Iterator[Any]:
    """A superuser's cursor; each statement is a transaction."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        yield cursor


def test_postgres_is_stopped_and_started(postgres: Cluster, port: int, secret: str) -> None:
    with drill("PostgreSQL stopped and started", port, secret, database_url(postgres)) as load:
        postgres.stop()
        load.until(lambda: load.unserved(3), 10)
        postgres.start()
        load.fault_over()


def test_postgres_is_killed_and_started(postgres: Cluster, port: int, secret: str) -> None:
    with drill("PostgreSQL killed and started", port, secret, database_url(postgres)) as load:
        signal_all(postgres, signal.SIGKILL)
        postgres.process.wait(10)
        load.until(lambda: load.unserved(3), 10)
        postgres.start()
        load.fault_over()


def test_postgres_is_frozen(postgres: Cluster, port: int, secret: str) -> None:
    with drill(f"PostgreSQL frozen for {FROZEN_S} s", port, secret, database_url(postgres)) as load:
        signal_all(postgres, signal.SIGSTOP)
        try:
            load.last(FROZEN_S)
        finally:
            signal_all(postgres, signal.SIGCONT)
        load.fault_over()


def test_backends_are_terminated(postgres: Cluster, port: int, secret: str) -> None:
    name = "its backends terminated, five times"
    with drill(name, port, secret, database_url(postgres)) as load, admin(postgres.url) as cursor:
        for _ in range(5):
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tasks'")
            assert cursor.rowcount > 0
            load.until(load.served(50), 10)
        load.fault_over()


def test_connection_slots_are_used_up(postgres: Cluster, port: int, secret: str) -> None:
    url = database_url(postgres)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tasks'"
    others += " AND application_name <> 'hog'"
    with (
        drill("its connection slots used up", port, secret, url) as load,
        admin(postgres.url) as cursor,
        ExitStack() as hogs,
    ):

        def all_are_out() -> bool:
            # What the service holds is taken from it until others have it all.
            cursor.execute(others)
            try:
                while True:
                    hogs.enter_context(closing(psycopg2.connect(url, application_name="hog")))
            except psycopg2.OperationalError:
                return load.unserved(3)

        load.until(all_are_out, 10)
        hogs.close()
        load.fault_over()


def test_a_lock_is_held_past_the_limit(postgres: Cluster, port: int, secret: str) -> None:
    locked: list[str] = []
    with (
        drill(
            f"a user's row locked for {LOCKED_S} s",
            port,
            secret,
            database_url(postgres),
            # Nobody else, and no reader.
            unavailable=lambda answer: answer.wrote and answer.user in locked,
        ) as load,
        closing(psycopg2.connect(database_url(postgres))) as other,
        other.cursor() as cursor,
    ):
        locked.append(load.clients[0].user)
        cursor.execute("SELECT FROM users WHERE id = %s FOR UPDATE", locked)
        assert cursor.rowcount == 1
        load.last(LOCKED_S)
        other.rollback()
        load.fault_over()
    outcomes = {answer.outcome for client in load.clients[:2] for answer in client.answers}
    assert "503" in outcomes, "nobody met the limit"

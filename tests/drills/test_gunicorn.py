"""Workers die, the code is loaded anew, the service is told to leave."""

import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import psycopg2
import pytest
import requests

from tests.drills.conftest import Service, database_url
from tests.drills.drill import drill, nowhere, rows
from tests.live import SERVERS, children
from tests.people import token
from tests.postgres import Cluster

Process = subprocess.Popen[bytes]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """Each server in turn."""
    name: str = request.param
    return name


def is_refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_workers_are_killed(
    postgres: Cluster, postgres_service: Process, server: str, port: int, secret: str
) -> None:
    with drill(
        f"{server}: a worker killed, four times",
        port,
        secret,
        database_url(postgres),
        unavailable=nowhere,
        # What the worker was at.
        tolerated=("cut off",),
    ) as load:
        for _ in range(4):
            worker = children(postgres_service.pid)[0]
            os.kill(worker, signal.SIGKILL)
            load.until(lambda killed=worker: _has_two_without(postgres_service, {killed}), 10)  # type: ignore[misc]
            load.until(load.served(50), 10)
        load.fault_over()


def test_it_is_reloaded(
    postgres: Cluster, postgres_service: Process, server: str, port: int, secret: str
) -> None:
    with drill(
        f"{server}: HUP, three times",
        port,
        secret,
        database_url(postgres),
        unavailable=nowhere,
        # hyper, in granian, closes a connection whose request has not begun to arrive (hyper issue 2730).
        tolerated=("cut off",) if server == "granian" else (),
    ) as load:
        for _ in range(3):
            old = set(children(postgres_service.pid))
            postgres_service.send_signal(signal.SIGHUP)
            load.until(lambda old=old: _has_two_without(postgres_service, old), 20)  # type: ignore[misc]
        load.fault_over()
    assert rows[-1].outcomes["cut off"] <= len(load.clients)


def test_it_is_told_to_leave_and_started(
    postgres: Cluster, service: Service, server: str, port: int, secret: str
) -> None:
    url = database_url(postgres)
    slow = {"Authorization": f"Bearer {token(secret, 'dave')}"}

    def create() -> requests.Response:
        return requests.post(
            f"http://127.0.0.1:{port}/api/tasks", json={"title": "taken"}, headers=slow, timeout=30
        )

    with (
        ExitStack() as services,
        ThreadPoolExecutor() as pool,
        closing(psycopg2.connect(url)) as other,
        other.cursor() as cursor,
    ):
        process = services.enter_context(service(url))
        with drill(
            f"{server}: TERM, and started",
            port,
            secret,
            url,
            unavailable=nowhere,
            tolerated=("refused", "cut off"),
        ) as load:
            assert create().status_code == 201
            cursor.execute("SELECT FROM users WHERE id = 'dave' FOR UPDATE")
            taken = pool.submit(create)
            load.until(lambda: _waits(postgres, "dave"), 10)
            process.terminate()
            # While it is at the one that it has taken, and not only after it.
            load.until(lambda: is_refused(port), 2)
            assert process.poll() is None
            other.rollback()
            assert taken.result().status_code == 201
            assert process.wait(30) == 0
            services.enter_context(service(url))
            load.fault_over()


def _has_two_without(process: Process, old: set[int]) -> bool:
    now = set(children(process.pid))
    return len(now) == 2 and not now & old


def _waits(postgres: Cluster, user: str) -> bool:
    with closing(psycopg2.connect(postgres.url)) as connection, connection.cursor() as cursor:
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
        cursor.execute(waiting, [f"%{user}%"])
        return bool(cursor.rowcount)

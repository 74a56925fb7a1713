"""PostgreSQL goes silent, hangs up or is set up otherwise: 503 at worst, and whole again after."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg2
import pytest
from flask import Flask
from prometheus_client import REGISTRY

from app import create_app
from app.db import database
from app.db.timeouts import TimeoutConnection
from app.extensions import db
from tests.contract.expect import API, create
from tests.people import Person
from tests.polling import wait_until
from tests.wire import Wire

pytestmark = pytest.mark.databases("postgresql")


@pytest.fixture
def wired_settings() -> dict[str, str]:
    """Short limits."""
    return {"STATEMENT_TIMEOUT": "1", "DB_CONNECT_TIMEOUT": "1", "LOG_LEVEL": "CRITICAL"}


def is_closed(driver: TimeoutConnection) -> bool:
    return not driver.is_alive()


def in_use() -> float:
    value = REGISTRY.get_sample_value("database_connections_in_use")
    assert value is not None
    return value


def test_a_server_that_is_silent_from_the_first_query_on_is_503_until_it_speaks(
    wired: Person, wire: Wire
) -> None:
    wire.mute = True
    for _ in range(2):
        assert wired.get("/api/tasks").status_code == 503
        assert wired.client.get("/ready").status_code == 503
    wire.mute = False
    assert wired.get("/api/tasks").status_code == 200
    assert wired.client.get("/ready").status_code == 200


def test_a_new_connection_that_is_closed_at_once_is_503_and_leaves_the_gauge_alone(
    wired: Person, wire: Wire
) -> None:
    assert wired.get("/api/tasks").status_code == 200
    before = in_use()
    with connections_closed(wired, wire):
        for _ in range(3):
            response = wired.get("/api/tasks")
            assert (response.status_code, response.get_json()["code"]) == (503, "service_unavailable")
    assert wired.get("/api/tasks").status_code == 200
    assert in_use() == before == 0


@contextmanager
def connections_closed(wired: Person, wire: Wire) -> Iterator[None]:
    """Close the pooled connections, and each new one as soon as it is made."""
    with wired.client.application.app_context():
        for record in list(db.engine.pool._pool.queue):  # type: ignore[attr-defined]
            with psycopg2.connect(db.engine.url.render_as_string(False).replace("+psycopg2", "")) as other:
                other.cursor().execute(
                    "SELECT pg_terminate_backend(%s)", [record.dbapi_connection.info.backend_pid]
                )
            assert wait_until(partial(is_closed, record.dbapi_connection))
    wire.hang_up_on_next = 1_000
    yield
    wire.hang_up_on_next = 0


def test_of_a_batch_whose_connection_breaks_before_the_commit_nothing_is_there(
    app: Flask, alice: Person, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = create(API, alice)
    ids = [str(uuid.uuid4()) for _ in range(3)]
    operations: list[dict[str, Any]] = [
        *({"op": "create", "task": {"id": task_id, "title": "Bread"}} for task_id in ids),
        {"op": "delete", "id": task["id"]},
        # Refused, so that its look is sent when all else is written.
        {"op": "restore", "id": ids[0], "rev": 99},
    ]
    send, messages = database.send, []

    def break_before_look(cursor: Any, text: str, params: Any) -> None:
        messages.append(text)
        if len(messages) == 3:
            with psycopg2.connect(environ["DATABASE_URL"]) as other:
                other.cursor().execute(
                    "SELECT pg_terminate_backend(%s)", [cursor.connection.info.backend_pid]
                )
        send(cursor, text, params)

    monkeypatch.setattr(database, "send", break_before_look)
    response = alice.post("/api/tasks/batch", {"operations": operations})
    monkeypatch.setattr(database, "send", send)
    assert (response.status_code, response.get_json()["code"]) == (503, "service_unavailable")
    assert alice.get("/api/tasks").get_json() == [task]
    again = alice.post("/api/tasks/batch", {"operations": operations}).get_json()["results"]
    assert [result["status"] for result in again] == [201, 201, 201, 204, 412]


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_two_writers_at_once_succeed_whatever_isolation_the_server_prefers(
    isolation: str, app: Flask, environ: dict[str, str], alice: Person, secret: str
) -> None:
    task = create(API, alice)
    url = environ["DATABASE_URL"]
    with psycopg2.connect(url) as admin:
        admin.autocommit = True
        name = admin.info.dbname
        admin.cursor().execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'")
    strict = create_app(environ | {"STATEMENT_TIMEOUT": "5"})
    try:
        alice = Person(strict.test_client(), secret, "alice")
        responses = []
        holder = psycopg2.connect(url)
        holder.cursor().execute("UPDATE users SET rev = rev + 1 WHERE id = 'alice'")
        writer = threading.Thread(
            target=lambda: responses.append(alice.put(f"/api/tasks/{task['id']}", {"title": "Buy tea"}))
        )
        writer.start()
        with psycopg2.connect(url) as look:
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"

            def is_waiting() -> bool:
                with look.cursor() as cursor:
                    cursor.execute(waits, [name])
                    look.commit()
                    return bool(cursor.fetchone() == (1,))

            assert wait_until(is_waiting)
        holder.commit()
        holder.close()
        writer.join(30)
        assert [response.status_code for response in responses] == [200]
    finally:
        with psycopg2.connect(url) as admin:
            admin.autocommit = True
            admin.cursor().execute(f"ALTER DATABASE {name} RESET default_transaction_isolation")
        with strict.app_context():
            db.engine.dispose()

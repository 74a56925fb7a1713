"""Time limits: what takes too long is a prompt 503, and nothing of it stays with a pooled connection."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import Any

import psycopg2
import pytest
from flask import Flask
from sqlalchemy import func, literal, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from app import create_app
from app.db.database import read, run_transaction, transaction
from app.db.timeouts import TimeoutCursor
from app.extensions import db
from tests.contract.expect import API, create
from tests.people import Person
from tests.polling import wait_until

# Nothing here measures time: a request that is answered at all was ended by a limit.
ONE = select(literal(1).label("one"))
SLEEP = select(func.pg_sleep(600).label("slept"))
PATIENT = dict.fromkeys(("STATEMENT_TIMEOUT", "LOCK_TIMEOUT", "DB_POOL_TIMEOUT"), "60")
POOL_OF_TWO = {"DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "1"}
Hasten = Callable[..., Person]
pytestmark = pytest.mark.databases("postgresql")


@pytest.fixture
def hasten(app: Flask, environ: dict[str, str], secret: str) -> Iterator[Hasten]:
    """Shorten one limit, and leave time for all else: alice, at an application with a pool of two."""
    with ExitStack() as stack:

        def make(limit: str) -> Person:
            hasty = create_app(environ | PATIENT | POOL_OF_TWO | {limit: "1", "LOG_LEVEL": "CRITICAL"})
            stack.enter_context(hasty.app_context())
            stack.callback(db.engine.dispose)
            return Person(hasty.test_client(), secret, "alice")

        yield make


def expect_unavailable(response: TestResponse) -> None:
    assert (response.status_code, response.get_json()["code"]) == (503, "service_unavailable")
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("statements", [(SLEEP,), (SLEEP, SLEEP)], ids=["one", "two"])
def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    statements: tuple[Any, ...], hasten: Hasten
) -> None:
    hasten("STATEMENT_TIMEOUT")
    with pytest.raises(OperationalError, match="statement timeout"):
        run_transaction(statements, {})


def test_a_lock_that_is_held_too_long_is_503_for_its_user_alone(
    hasten: Hasten, secret: str, environ: dict[str, str]
) -> None:
    alice = hasten("LOCK_TIMEOUT")
    bob = Person(alice.client, secret, "bob")
    task = create(API, alice)
    with closing(psycopg2.connect(environ["DATABASE_URL"])) as other:
        other.cursor().execute("SELECT * FROM users WHERE id = 'alice' FOR UPDATE")
        expect_unavailable(alice.put(f"/api/tasks/{task['id']}", {"title": "Buy tea"}))
        assert alice.get(f"/api/tasks/{task['id']}").get_json() == task
        assert bob.post("/api/tasks", {"title": "Buy rum"}).status_code == 201
    assert alice.put(f"/api/tasks/{task['id']}", {"title": "Buy tea"}).status_code == 200


def test_a_batch_that_waits_too_long_for_its_lock_is_503_and_leaves_no_transaction(
    hasten: Hasten, environ: dict[str, str]
) -> None:
    alice = hasten("LOCK_TIMEOUT")
    create(API, alice)
    operations = [{"op": "create", "task": {"title": "Bread"}}]
    with closing(psycopg2.connect(environ["DATABASE_URL"])) as other:
        other.cursor().execute("SELECT * FROM users WHERE id = 'alice' FOR UPDATE")
        expect_unavailable(alice.post("/api/tasks/batch", {"operations": operations}))
        assert len(alice.get("/api/tasks").get_json()) == 1
    assert alice.post("/api/tasks/batch", {"operations": operations}).status_code == 200
    ours = "datname = current_database() AND state LIKE 'idle in transaction%'"
    count: Any = text(f"SELECT count(*) FROM pg_stat_activity WHERE {ours}")

    def are_none_open() -> bool:
        with db.engine.connect() as connection:
            return bool(connection.execute(count).scalar_one() == 0)

    # The backend of the other connection may take a moment to end.
    assert wait_until(are_none_open)


def test_a_transaction_of_several_messages_takes_as_long_as_one_statement_may(hasten: Hasten) -> None:
    hasten("STATEMENT_TIMEOUT")

    def nap_three_times() -> None:
        with transaction() as send:
            for _ in range(3):
                send([(select(func.pg_sleep(0.6).label("slept")), {})])

    with pytest.raises(OperationalError, match="the transaction took too long"):
        nap_three_times()
    assert read(ONE, {}).records() == [{"one": 1}]


def test_a_connection_whose_transaction_cannot_be_ended_is_closed(
    hasten: Hasten, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten("STATEMENT_TIMEOUT")
    end = TimeoutCursor.end
    with monkeypatch.context() as patch:
        patch.setattr(TimeoutCursor, "end", lambda cursor, _: end(cursor, "SELECT pg_sleep(600)"))
        with pytest.raises(OperationalError, match="statement timeout") as caught, transaction() as send:
            send([(ONE, {})])
    assert caught.value.connection_invalidated
    assert read(ONE, {}).records() == [{"one": 1}]


def test_a_pool_that_is_used_up_is_503_and_not_ready(hasten: Hasten) -> None:
    alice = hasten("DB_POOL_TIMEOUT")
    with db.engine.connect(), db.engine.connect():
        expect_unavailable(alice.get("/api/tasks"))
        expect_unavailable(alice.client.get("/ready"))
    assert alice.get("/api/tasks").status_code == 200


def test_no_limit_stays_with_the_connection(hasten: Hasten) -> None:
    alice = hasten("DB_POOL_TIMEOUT")
    create(API, alice)
    assert alice.get("/api/tasks").status_code == 200
    with db.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.prefix = ""
        for name in ("statement_timeout", "lock_timeout"):
            assert connection.execute(text(f"SHOW {name}")).scalar_one() == "0"
        changed = text("SELECT name FROM pg_settings WHERE source = 'session' AND name NOT LIKE 'client_%'")
        assert connection.execute(changed).scalars().all() == []


class Mute:
    """A server that takes connections and says nothing."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.held: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self.held.append(self.listener.accept()[0])


def test_a_server_that_says_nothing_is_503_and_not_ready(environ: dict[str, str], secret: str) -> None:
    mute = Mute()
    url = make_url(environ["DATABASE_URL"]).set(host="127.0.0.1", port=mute.port)
    mute_app = create_app(
        environ
        | {"DATABASE_URL": url.render_as_string(hide_password=False)}
        | {"DB_CONNECT_TIMEOUT": "1", "LOG_LEVEL": "CRITICAL"}
    )
    alice = Person(mute_app.test_client(), secret, "alice")
    requests: list[Callable[[], TestResponse]] = [
        lambda: alice.get("/api/tasks"),
        lambda: alice.post("/api/tasks", {"title": "Buy milk"}),
        lambda: alice.client.get("/ready"),
    ]
    with ThreadPoolExecutor() as pool:
        for response in pool.map(lambda request: request(), requests):
            expect_unavailable(response)
    mute.listener.close()
    for one in mute.held:
        one.close()


def test_a_server_that_falls_silent_ends_the_wait_and_the_connection(hasten: Hasten) -> None:
    hasten("DB_POOL_TIMEOUT")
    with db.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
    # The server's own limit never comes, so this is the client's.
    driver.prefix, driver.wait_timeout = "", 0.1
    with pytest.raises(OperationalError, match="did not answer in time") as caught:
        read(SLEEP, {})
    assert caught.value.connection_invalidated
    assert read(ONE, {}).records() == [{"one": 1}]

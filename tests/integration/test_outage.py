"""A database that goes away and comes back."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy.engine import make_url

from app import create_app
from app.extensions import db
from tests.live import reserve_port
from tests.people import Person


class Gate:
    """A loopback port before PostgreSQL that can be shut: connections break, new ones are refused."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.reserved = reserve_port()
        self.port = self.reserved.getsockname()[1]
        self.sockets: list[socket.socket] = []
        self.open()

    def open(self) -> None:
        """Let connections through."""
        self.listener = socket.create_server(("127.0.0.1", self.port), reuse_port=True)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def shut(self) -> None:
        """Break every connection, and refuse new ones."""
        for one in [self.listener, *self.sockets]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.sockets.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self.target)
                self.sockets += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._copy, args=ends, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def gate(postgres_url: str) -> Iterator[Gate]:
    url = make_url(postgres_url)
    gate = Gate(url.host or "127.0.0.1", url.port or 5432)
    yield gate
    gate.shut()
    gate.reserved.close()


@pytest.fixture
def gated_app(gate: Gate, postgres_url: str, secret: str) -> Iterator[Flask]:
    """The application that reaches PostgreSQL through the gate."""
    url = make_url(postgres_url).set(host="127.0.0.1", port=gate.port)
    app = create_app(
        {
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "BETTER_AUTH_SECRET": secret,
            "LOG_LEVEL": "CRITICAL",
        }
    )
    with app.app_context():
        upgrade()
        yield app
        db.engine.dispose()


def is_unavailable(response: object) -> bool:
    return (
        getattr(response, "status_code", None) == 503
        and getattr(response, "headers", {}).get("Retry-After") == "5"
        and getattr(response, "content_type", None) == "application/problem+json"
    )


def test_every_route_is_unavailable_while_the_database_is_away_and_whole_after(
    gate: Gate, gated_app: Flask, secret: str
) -> None:
    dora = Person(gated_app.test_client(), secret, "dora")
    kept = dora.post("/v1/tasks", {"title": "before"}).get_json()["task"]["id"]
    requests: list[Callable[[], object]] = [
        lambda: dora.get("/v1/tasks"),
        lambda: dora.get(f"/api/tasks/{kept}"),
        lambda: dora.post("/api/dora/tasks", {"title": "during"}),
        lambda: dora.put(f"/v1/tasks/{kept}", {"title": "during"}),
        lambda: dora.post(f"/v1/tasks/{kept}/toggle"),
        lambda: dora.delete(f"/v1/tasks/{kept}"),
        lambda: dora.get("/api/me"),
        lambda: dora.delete("/api/me"),
        lambda: dora.client.get("/ready"),
    ]
    gate.shut()
    assert [is_unavailable(request()) for request in requests] == [True] * len(requests)
    assert dora.client.get("/health").status_code == 200

    gate.open()
    assert [task["title"] for task in dora.get("/v1/tasks").get_json()["tasks"]] == ["before"]
    assert dora.client.get("/ready").status_code == 200
    assert dora.delete("/api/me").status_code == 204


def test_connections_that_broke_unseen_trouble_nobody(gate: Gate, gated_app: Flask, secret: str) -> None:
    erin = Person(gated_app.test_client(), secret, "erin")
    assert erin.post("/v1/tasks", {"title": "one"}).status_code == 201
    gate.shut()
    gate.open()
    assert erin.get("/v1/tasks").status_code == 200
    gate.shut()
    gate.open()
    assert erin.post("/v1/tasks", {"title": "two"}).status_code == 201
    assert len(erin.get("/v1/tasks").get_json()["tasks"]) == 2
    assert erin.delete("/api/me").status_code == 204


def test_a_database_without_tables_is_an_outage_not_a_fault(tmp_path: object, secret: str) -> None:
    app = create_app(
        {
            "DATABASE_URL": f"sqlite:///{tmp_path}/tasks.db",
            "BETTER_AUTH_SECRET": secret,
            "LOG_LEVEL": "CRITICAL",
        }
    )
    client = app.test_client()
    frank = Person(client, secret, "frank")
    assert is_unavailable(frank.get("/v1/tasks"))
    assert is_unavailable(frank.post("/api/tasks", {"title": "x"}))
    assert is_unavailable(client.get("/ready"))

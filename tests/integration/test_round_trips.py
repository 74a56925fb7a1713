"""What each operation asks of PostgreSQL, counted on the wire: it does not depend on the machine."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from app import create_app
from app.db import database
from app.extensions import db
from tests.contract.expect import API, create
from tests.people import Person

pytestmark = pytest.mark.databases("postgresql")


class Wire:
    """A port before PostgreSQL that notes each query message (its manual, "Message Formats")."""

    def __init__(self, host: str, port: int) -> None:
        self.queries: list[str] = []
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                threading.Thread(target=self._listen, args=(client, server), daemon=True).start()
                threading.Thread(target=self._copy, args=(server, client), daemon=True).start()

    def _listen(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError), client.makefile("rb") as stream:
            (length,) = struct.unpack("!i", head := stream.read(4))
            server.sendall(head + stream.read(length - 4))
            while kind := stream.read(1):
                (length,) = struct.unpack("!i", head := stream.read(4))
                body = stream.read(length - 4)
                if kind == b"Q":
                    self.queries.append(body.rstrip(b"\0").decode())
                server.sendall(kind + head + body)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)


@pytest.fixture
def wire(postgres_url: str) -> Iterator[Wire]:
    url = make_url(postgres_url)
    wire = Wire(url.host or "127.0.0.1", url.port or 5432)
    yield wire
    wire.close()


@pytest.fixture
def wired(app: Flask, environ: dict[str, str], wire: Wire, secret: str) -> Iterator[Person]:
    """Alice, at the application that reaches the database of `app` through the wire."""
    url = make_url(environ["DATABASE_URL"]).set(host="127.0.0.1", port=wire.port)
    url = url.update_query_dict({"sslmode": "disable", "gssencmode": "disable"})
    wired = create_app(environ | {"DATABASE_URL": url.render_as_string(hide_password=False)})
    yield Person(wired.test_client(), secret, "alice")
    with wired.app_context():
        db.engine.dispose()


Call = Callable[[Person, dict[str, Any]], Any]
CALLS: dict[str, tuple[Call, int]] = {
    "list": (lambda alice, _: alice.get("/api/tasks?limit=2"), 200),
    "list of the completed": (lambda alice, _: alice.get("/api/tasks?completed=true"), 200),
    "trash": (lambda alice, _: alice.get("/api/tasks?deleted=true"), 200),
    "get": (lambda alice, task: alice.get(f"/api/tasks/{task['id']}"), 200),
    "get of none": (lambda alice, _: alice.get("/api/tasks/01890a5d-ac96-774b-bcce-b302099a8057"), 404),
    "changes": (lambda alice, _: alice.get("/api/tasks/changes?since=1"), 200),
    "me": (lambda alice, _: alice.get("/api/me"), 200),
    "create": (lambda alice, _: alice.post("/api/tasks", {"title": "Buy tea"}), 201),
    "put": (lambda alice, task: alice.put(f"/api/tasks/{task['id']}", {"title": "Buy tea"}), 200),
    "patch": (lambda alice, task: alice.patch(f"/v1/tasks/{task['id']}", {"completed": True}), 200),
    "toggle": (lambda alice, task: alice.post(f"/v1/tasks/{task['id']}/toggle"), 200),
    "complete": (lambda alice, task: alice.patch(f"/api/tasks/{task['id']}/complete"), 200),
    "delete": (lambda alice, task: alice.delete(f"/api/tasks/{task['id']}"), 204),
    "put of what was seen": (
        lambda alice, task: alice.put(
            f"/api/tasks/{task['id']}", {"title": "Buy tea"}, headers={"If-Match": f'"{task["rev"]}"'}
        ),
        200,
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_operation_is_one_message_to_the_database(name: str, wired: Person, wire: Wire) -> None:
    call, status = CALLS[name]
    task = create(API, wired)
    wire.queries.clear()
    assert call(wired, task).status_code == status
    assert len(wire.queries) == 1, wire.queries
    (query,) = wire.queries
    assert query.startswith("SET LOCAL statement_timeout = 5000; SET LOCAL lock_timeout = 3000; ")
    assert query.count(";") == 2


def test_readiness_is_looked_for_within_the_limits(wired: Person, wire: Wire) -> None:
    assert wired.client.get("/ready").status_code == 200
    wire.queries.clear()
    assert wired.client.get("/ready").status_code == 200
    assert wire.queries
    for query in wire.queries:
        assert query.startswith("SET LOCAL statement_timeout = 5000; SET LOCAL lock_timeout = 3000; ")


def test_a_list_that_is_known_is_one_message_that_reads_no_task(wired: Person, wire: Wire) -> None:
    create(API, wired)
    etag = wired.get("/api/tasks").headers["ETag"]
    wire.queries.clear()
    assert wired.get("/api/tasks", headers={"If-None-Match": etag}).status_code == 304
    assert len(wire.queries) == 1
    assert "FROM users" in wire.queries[0]
    assert "FROM tasks" not in wire.queries[0]


def test_what_changes_nothing_is_at_most_six_messages(wired: Person, wire: Wire) -> None:
    task = create(API, wired)
    calls: list[Callable[[], Any]] = [
        lambda: wired.put(f"/api/tasks/{task['id']}", {"title": task["title"]}),
        lambda: wired.delete(f"/api/tasks/{task['id']}", headers={"If-Match": '"999"'}),
        lambda: wired.post("/api/tasks", {"title": "again", "id": task["id"]}),
    ]
    for refused in calls:
        wire.queries.clear()
        assert refused().status_code in (200, 412)
        # The attempt, then what is exact: BEGIN, the rev, the write, the look at what is there, ROLLBACK.
        assert 0 < len(wire.queries) <= 6, wire.queries


def test_no_more_rows_are_fetched_than_are_shown(wired: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        create(API, wired)
    fetched: list[int] = []
    fetch = database.fetch

    def count(statement: Any, params: dict[str, Any]) -> Any:
        names, rows = fetch(statement, params)
        fetched.append(len(rows))
        return names, rows

    monkeypatch.setattr(database, "fetch", count)
    assert len(wired.get("/api/tasks?limit=2").get_json()) == 2
    assert len(wired.get("/api/tasks/changes?limit=3").get_json()["tasks"]) == 3
    # One more than is shown tells that there is more.
    assert fetched == [3, 4]


def test_the_text_of_a_statement_is_made_once(wired: Person) -> None:
    task = create(API, wired)
    for _ in range(2):
        before = database._compiled.cache_info().misses
        wired.get("/api/tasks")
        wired.get(f"/api/tasks/{task['id']}")
        wired.put(f"/api/tasks/{task['id']}", {"title": f"after {before}"})
    assert database._compiled.cache_info().misses == before

"""What each operation asks of PostgreSQL, counted on the wire: it does not depend on the machine."""

from collections.abc import Callable
from typing import Any

import pytest

from app.db import database
from tests.contract.expect import API, create
from tests.people import Person
from tests.wire import Wire

pytestmark = pytest.mark.databases("postgresql")


LIMITS = (
    "SET LOCAL transaction_isolation = 'read committed'; "
    "SET LOCAL statement_timeout = 5000; SET LOCAL lock_timeout = 3000; "
)
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
    assert query.startswith(LIMITS)
    # A write raises the owner's rev and then writes the task.
    assert query.count(";") - LIMITS.count(";") == (1 if "RETURNING" in query else 0)


def test_readiness_is_looked_for_within_the_limits(wired: Person, wire: Wire) -> None:
    assert wired.client.get("/ready").status_code == 200
    wire.queries.clear()
    assert wired.client.get("/ready").status_code == 200
    assert wire.queries
    for query in wire.queries:
        assert query.startswith(LIMITS)


def test_a_list_that_is_known_is_one_message_that_reads_no_task(wired: Person, wire: Wire) -> None:
    create(API, wired)
    etag = wired.get("/api/tasks").headers["ETag"]
    wire.queries.clear()
    assert wired.get("/api/tasks", headers={"If-None-Match": etag}).status_code == 304
    assert len(wire.queries) == 1
    assert "FROM users" in wire.queries[0]
    assert "FROM tasks" not in wire.queries[0]


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("PUT", "", {"json": {"title": "Buy milk"}}, 200),
        ("PUT", "", {"json": {"title": "Buy tea"}, "headers": {"If-Match": '"999"'}}, 412),
        ("DELETE", "", {"headers": {"If-Match": '"999"'}}, 412),
        ("PATCH", "/complete", {"json": {"completed": False}}, 200),
        ("POST", "/restore", {}, 200),
    ],
)
def test_a_write_that_changes_nothing_is_two_messages(
    method: str, path: str, options: dict[str, Any], status: int, wired: Person, wire: Wire
) -> None:
    task = create(API, wired)
    wire.queries.clear()
    assert wired.request(method, f"/api/tasks/{task['id']}{path}", **options).status_code == status
    assert len(wire.queries) == 2, wire.queries


def test_a_create_that_is_sent_again_is_two_messages(wired: Person, wire: Wire) -> None:
    task = create(API, wired)
    wire.queries.clear()
    assert wired.post("/api/tasks", {"title": "again", "id": task["id"]}).status_code == 200
    assert len(wire.queries) == 2, wire.queries


def test_a_batch_is_four_messages_and_one_more_for_each_refused_operation(wired: Person, wire: Wire) -> None:
    task = create(API, wired)
    operations: list[Any] = [{"op": "create", "task": {"title": "a; b %s"}}] * 50
    operations += [{"op": "update", "id": task["id"], "rev": 99, "task": {"title": "Bread"}}] * 2
    wire.queries.clear()
    assert wired.post("/api/tasks/batch", {"operations": operations[:51]}).status_code == 200
    begin, *rest, commit = wire.queries
    assert (begin, commit) == (f"{LIMITS}BEGIN", "COMMIT")
    assert len(rest) == 3
    wire.queries.clear()
    # A task that is written twice is written in a message of its own.
    assert wired.post("/api/tasks/batch", {"operations": operations[51:] * 2}).status_code == 200
    assert len(wire.queries) == 2 + 1 + 2 * 2
    wire.queries.clear()
    atomic = {"operations": operations[51:], "atomic": True}
    assert wired.post("/api/tasks/batch", atomic).status_code == 412
    assert wire.queries[-1] == "ROLLBACK"


def test_no_more_rows_are_fetched_than_are_shown(wired: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        create(API, wired)
    fetched: list[int] = []
    run = database.run_transaction

    def count(*args: Any) -> database.Result:
        result = run(*args)
        fetched.append(len(result.rows))
        return result

    monkeypatch.setattr(database, "run_transaction", count)
    assert len(wired.get("/api/tasks?limit=2").get_json()) == 2
    assert len(wired.get("/api/tasks/changes?limit=3").get_json()["tasks"]) == 3
    # One more than is shown tells that there is more.
    assert fetched == [3, 4]


def test_the_text_of_a_statement_is_made_once(wired: Person) -> None:
    task = create(API, wired)
    for _ in range(2):
        before = database._compile.cache_info().misses
        wired.get("/api/tasks")
        wired.get(f"/api/tasks/{task['id']}")
        wired.put(f"/api/tasks/{task['id']}", {"title": f"after {before}"})
    assert database._compile.cache_info().misses == before

"""`DELETE /api/me` hides everything at once and deletes it in batches, also after an interruption."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import psycopg2
import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app import me
from app.extensions import db
from app.maintenance import purge
from app.maintenance.backfill import backfill
from tests.contract.expect import API, create
from tests.people import Person
from tests.polling import wait_until

ID = "5b0a3c1e-8f1d-4d7a-9c55-0d3f6f0c9e21"
EMPTY_CHANGES: dict[str, Any] = {"tasks": [], "deleted": [], "more": False}


def rows(app: Flask) -> int:
    with app.app_context(), db.engine.connect() as connection:
        count: int = connection.execute(
            text("SELECT count(*) FROM tasks WHERE tasks.user_id = 'alice'")
        ).scalar_one()
        return count


@pytest.fixture
def interrupted(alice: Person, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of alice's tasks, whose deletion broke off after its first transaction."""
    ids = [alice.post("/api/tasks", {"id": ID, "title": "Buy milk"}).get_json()["id"]]
    ids += [create(API, alice)["id"] for _ in range(2)]
    assert alice.delete(f"/api/tasks/{ids[2]}").status_code == 204

    def fail(_owner: str) -> None:
        raise OperationalError("DELETE", None, Exception("broke off"))

    with monkeypatch.context() as patch:
        patch.setattr(me, "delete_forgotten", fail)
        assert alice.delete("/api/me").status_code == 503
    return ids


def test_nothing_is_seen_or_changed_while_tasks_wait_to_be_deleted(
    app: Flask, alice: Person, interrupted: list[str]
) -> None:
    assert rows(app) == 3
    user = alice.get("/api/me").get_json()
    assert (user["email"], user["name"], user["created_at"]) == (None, None, None)
    assert alice.get("/api/tasks").get_json() == []
    assert alice.get("/api/tasks?deleted=true").get_json() == []
    assert alice.get("/api/tasks/changes").get_json() == EMPTY_CHANGES | {"rev": user["rev"]}
    assert alice.get("/api/tasks/changes?since=1").status_code == 410
    for task_id in interrupted:
        path = f"/api/tasks/{task_id}"
        for method, rest, body in (
            ("GET", "", None),
            ("PUT", "", {"title": "Buy tea"}),
            ("PATCH", "/complete", None),
            ("DELETE", "", None),
            ("POST", "/restore", None),
        ):
            response = alice.request(method, path + rest, **({"json": body} if body else {}))
            assert response.status_code == 404, (method, rest)
    # A refused change stores nothing about a user who was forgotten.
    assert alice.get("/api/me").get_json()["created_at"] is None


def test_an_id_that_waits_to_be_deleted_can_be_used_again(
    app: Flask, alice: Person, interrupted: list[str]
) -> None:
    response = alice.post("/api/tasks", {"id": ID, "title": "Buy tea"})
    assert (response.status_code, response.get_json()["title"]) == (201, "Buy tea")
    assert [task["id"] for task in alice.get("/api/tasks").get_json()] == [ID]
    assert alice.post("/api/tasks", {"id": ID, "title": "Buy rum"}).status_code == 200
    assert app.test_cli_runner().invoke(args=["tasks", "purge"]).exit_code == 0
    assert rows(app) == 1
    assert [task["title"] for task in alice.get("/api/tasks").get_json()] == ["Buy tea"]


@pytest.mark.parametrize("finish", ["delete again", "purge"])
def test_an_interrupted_deletion_is_finished(
    finish: str, app: Flask, alice: Person, interrupted: list[str]
) -> None:
    if finish == "purge":
        assert app.test_cli_runner().invoke(args=["tasks", "purge"]).exit_code == 0
    else:
        assert alice.delete("/api/me").status_code == 204
    assert rows(app) == 0


def test_tasks_are_deleted_in_batches_and_others_write_between_them(
    app: Flask, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        create(API, alice)
    monkeypatch.setattr(purge, "BATCH", 2)
    left: list[int] = []

    def write_between(_seconds: float) -> None:
        left.append(rows(app))
        create(API, bob)

    monkeypatch.setattr("app.maintenance.purge.time.sleep", write_between)
    assert alice.delete("/api/me").status_code == 204
    assert left == [3, 1, 0]
    assert len(bob.get("/api/tasks").get_json()) == 3


def test_a_refused_change_of_a_forgotten_user_keeps_no_claim(person: Callable[..., Person]) -> None:
    alice = person("alice", email="alice@example.com", name="Alice")
    task = create(API, alice)
    assert alice.delete("/api/me").status_code == 204
    assert alice.put(f"/api/tasks/{task['id']}", {"title": "Buy tea"}).status_code == 404
    user = person("alice").get("/api/me").get_json()
    assert (user["email"], user["name"], user["created_at"]) == (None, None, None)


def in_context(app: Flask, work: Callable[[str], Any]) -> None:
    with app.app_context():
        work("alice")


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("work", [purge.delete_forgotten, lambda _: backfill()], ids=["forget", "backfill"])
def test_the_owner_is_locked_before_a_task_so_that_no_two_wait_for_each_other(
    work: Callable[[str], Any], app: Flask, environ: dict[str, str], interrupted: list[str]
) -> None:
    make_stale = "UPDATE tasks SET title_folded = NULL WHERE tasks.user_id = 'alice'"
    with app.app_context(), ThreadPoolExecutor() as pool, ExitStack() as stack:
        with db.engine.begin() as connection:
            connection.execute(text(make_stale))
        other, third = (stack.enter_context(closing(psycopg2.connect(environ["DATABASE_URL"]))) for _ in "ab")
        other.cursor().execute("SELECT FROM users WHERE id = 'alice' FOR UPDATE")
        done = pool.submit(in_context, app, work)
        looking = third.cursor()

        def is_waiting() -> bool:
            looking.execute(
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            return bool(looking.rowcount)

        assert wait_until(is_waiting)
        third.rollback()
        looking.execute("SELECT FROM tasks WHERE tasks.user_id = 'alice' FOR UPDATE NOWAIT")
        assert looking.rowcount == len(interrupted)
        third.rollback()
        other.rollback()
        # On a slow machine it may have waited for longer than LOCK_TIMEOUT.
        assert isinstance(done.exception(30), OperationalError | None)

"""A writer that comes between another's write and its look at what it found: neither is lost."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.db.database import read_one
from app.maintenance.purge import purge
from app.tasks import store
from tests.people import Person

ID = "5b0a3c1e-8f1d-4d7a-9c55-0d3f6f0c9e21"
TASK = f"/api/tasks/{ID}"
Between = Callable[[Callable[[], Any]], None]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Between:
    """Run something once, after the next write that finds nothing to do and before it looks why."""
    look = read_one

    def arrange(act: Callable[[], Any]) -> None:
        def act_first(*args: Any) -> Any:
            monkeypatch.setattr(store, "read_one", look)
            act()
            return look(*args)

        monkeypatch.setattr(store, "read_one", act_first)

    return arrange


def created(alice: Person, **fields: Any) -> TestResponse:
    return alice.post("/api/tasks", {"id": ID, "title": "Buy milk", **fields})


def test_a_change_that_another_undoes_is_made_again(alice: Person, between: Between) -> None:
    created(alice)
    between(lambda: alice.put(TASK, {"title": "Buy tea"}))
    response = alice.put(TASK, {"title": "Buy milk"})
    assert (response.status_code, response.get_json()["title"]) == (200, "Buy milk")
    assert alice.get(TASK).get_json() == response.get_json()


def test_a_change_of_a_task_that_is_being_made_finds_it(alice: Person, between: Between) -> None:
    between(lambda: created(alice))
    response = alice.patch(TASK, {"completed": True})
    assert (response.status_code, response.get_json()["completed"]) == (200, True)
    assert response.get_json()["rev"] > 1
    changes = alice.get("/api/tasks/changes?since=1").get_json()
    assert changes["tasks"] == [response.get_json()]


def test_a_restore_of_what_is_being_deleted_brings_it_back(alice: Person, between: Between) -> None:
    created(alice)
    between(lambda: alice.delete(TASK))
    assert alice.post(f"{TASK}/restore").status_code == 200
    assert alice.get(TASK).status_code == 200


def test_a_delete_of_what_is_being_restored_deletes_it(alice: Person, between: Between) -> None:
    created(alice)
    alice.delete(TASK)
    between(lambda: alice.post(f"{TASK}/restore"))
    assert alice.delete(TASK).status_code == 204
    assert alice.get(TASK).status_code == 404


def test_if_match_that_holds_again_writes(alice: Person, between: Between) -> None:
    first = created(alice).get_json()["rev"]
    between(lambda: alice.put(TASK, {"title": "Buy tea"}))
    response = alice.put(TASK, {"title": "Buy rum"}, headers={"If-Match": f'"{first + 1}", "{first + 2}"'})
    assert (response.status_code, response.get_json()["title"]) == (200, "Buy rum")


def test_a_create_whose_twin_is_purged_meanwhile_makes_the_task(
    app: Flask, alice: Person, between: Between
) -> None:
    from datetime import UTC, datetime, timedelta

    created(alice)
    alice.delete(TASK)

    def empty_trash() -> None:
        with app.app_context():
            assert purge(datetime.now(UTC) + timedelta(minutes=1)).tasks == 1

    between(empty_trash)
    assert created(alice, title="Buy rum").status_code == 201


def test_a_write_that_others_undo_again_and_again_is_503_and_not_made(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    created(alice)
    look = read_one
    titles = iter(["Buy tea", "Buy milk"] * 10)

    def undo(*args: Any) -> Any:
        monkeypatch.setattr(store, "read_one", look)
        for _ in range(2):
            alice.put(TASK, {"title": next(titles)})
        found = look(*args)
        monkeypatch.setattr(store, "read_one", undo)
        assert found is not None
        return {**found, "applicable": True}

    monkeypatch.setattr(store, "read_one", undo)
    response = alice.put(TASK, {"title": "Buy milk"})
    assert (response.status_code, response.get_json()["code"]) == (503, "service_unavailable")
    assert int(response.headers["Retry-After"]) > 0

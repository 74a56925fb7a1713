"""A back-up by `pg_dump`, restored into a new database, holds what clients were told."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import upgrade

from app import create_app
from app.extensions import db
from tests.people import Person
from tests.postgres import find_install, scratch_database


@pytest.fixture
def databases(postgres_url: str) -> Iterator[tuple[str, str]]:
    """Two empty databases."""
    with scratch_database(postgres_url) as one, scratch_database(postgres_url) as other:
        yield one, other


def serve(database_url: str, secret: str) -> Flask:
    return create_app({"DATABASE_URL": database_url, "BETTER_AUTH_SECRET": secret, "LOG_LEVEL": "WARNING"})


def close(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


def run(program: str, *arguments: str) -> None:
    subprocess.run([find_install() / "bin" / program, *arguments], check=True, timeout=60)


def answers(person: Person) -> list[tuple[Any, str | None]]:
    """What a client sees of all that it has, tags included."""
    paths = (
        "/v1/tasks",
        "/v1/tasks?deleted=true",
        "/v1/tasks/changes",
        "/v1/tasks/changes?since=2",
        "/api/me",
    )
    found = [person.get(path) for path in paths]
    assert [answer.status_code for answer in found] == [200] * len(paths)
    return [(answer.get_json(), answer.headers.get("ETag")) for answer in found]


def test_a_restored_database_answers_what_the_dumped_one_did(
    databases: tuple[str, str], secret: str, tmp_path: Path
) -> None:
    dumped, restored = databases
    app = serve(dumped, secret)
    with app.app_context():
        upgrade()
    people: tuple[tuple[str, dict[str, str]], ...] = ("alice", {"name": "Ålice"}), ("auth0|bob", {})
    before = []
    for user_id, claims in people:
        person = Person(app.test_client(), secret, user_id, **claims)
        tasks = [person.post("/v1/tasks", {"title": f"'{n}' ü"}).get_json()["task"] for n in range(4)]
        assert person.patch(f"/v1/tasks/{tasks[0]['id']}", {"details": "later"}).status_code == 200
        assert person.delete(f"/v1/tasks/{tasks[1]['id']}").status_code == 204
        before.append(answers(person))
    close(app)

    run("pg_dump", "-Fc", f"--file={tmp_path}/tasks.dump", dumped)
    run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={restored}", f"{tmp_path}/tasks.dump")

    app = serve(restored, secret)
    clients = [Person(app.test_client(), secret, user_id, **claims) for user_id, claims in people]
    assert [answers(person) for person in clients] == before
    assert app.test_client().get("/ready").status_code == 200
    # Writing goes on from there: the next rev, the same tags.
    task = clients[0].get("/v1/tasks").get_json()["tasks"][0]
    tag = {"If-Match": f'"{task["rev"]}"'}
    answer = clients[0].patch(f"/v1/tasks/{task['id']}", {"title": "after"}, headers=tag)
    assert answer.get_json()["task"]["rev"] == 7
    close(app)

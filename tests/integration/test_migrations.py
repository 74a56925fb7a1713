"""The migrations make the tables of the models, on both databases, and take them away again."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from app import create_app
from app.extensions import db
from app.maintenance import backfill
from tests.people import Person
from tests.postgres import scratch_database


@pytest.fixture
def empty_app(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application over a database of its own that nothing was ever done to."""
    if environ["DATABASE_URL"].startswith("sqlite"):
        url = f"sqlite:///{tmp_path_factory.mktemp('empty') / 'tasks.db'}"
        yield create_app(environ | {"DATABASE_URL": url})
        return
    with scratch_database(environ["DATABASE_URL"]) as url:
        app = create_app(environ | {"DATABASE_URL": url})
        yield app
        with app.app_context():
            db.engine.dispose()


def tables(app: Flask) -> set[str]:
    with app.app_context():
        return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


def test_migrations_go_up_and_down_and_up(empty_app: Flask) -> None:
    with empty_app.app_context():
        upgrade()
        assert tables(empty_app) == {"tasks", "users"}
        downgrade(revision="base")
        assert tables(empty_app) == set()
        upgrade()
        assert tables(empty_app) == {"tasks", "users"}


def test_migrations_and_models_agree(empty_app: Flask) -> None:
    with empty_app.app_context():
        upgrade()
    result = empty_app.test_cli_runner().invoke(args=["db", "check"])
    assert result.exit_code == 0, result.output


def test_every_task_index_begins_with_the_owner(empty_app: Flask) -> None:
    with empty_app.app_context():
        upgrade()
        inspector = inspect(db.engine)
        keys: list[Sequence[str | None]] = [index["column_names"] for index in inspector.get_indexes("tasks")]
        keys.append(inspector.get_pk_constraint("tasks")["constrained_columns"])
    assert len(keys) == 12
    assert {columns[0] for columns in keys} == {"user_id"}


def test_a_database_without_tables_is_not_ready(empty_app: Flask) -> None:
    response = empty_app.test_client().get("/ready")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert response.get_json()["code"] == "service_unavailable"


# Users' e-mail addresses and names, and what is kept of them.
UNCHECKED: dict[str, tuple[str | None, str | None, tuple[str | None, str | None]]] = {
    "alice": ("alice@example.com", "Alice", ("alice@example.com", "Alice")),
    "bob": ("a" * 251 + "@b.io", "x" * 101, (None, None)),
    "charlie": ("nonsense", "", (None, None)),
    "dora": ("@", "Dora", (None, "Dora")),
    "erin": (None, None, (None, None)),
}


def test_users_from_before_the_checks_are_mended_and_keep_their_tasks(empty_app: Flask) -> None:
    insert_user = text(
        "INSERT INTO users (id, email, name, rev, created_at) VALUES (:id, :email, :name, 1, :now)"
    )
    insert_task = text(
        "INSERT INTO tasks (user_id, id, title, rev, created_at, updated_at) VALUES "
        "(:id, '5b0a3c1e8f1d4d7a9c550d3f6f0c9e21', 'Buy milk', 1, :now, :now)"
    )
    now = {"now": "2026-11-21 09:30:00.000000"}
    with empty_app.app_context():
        upgrade(revision="0003")
        with db.engine.begin() as connection:
            for user, (email, name, _) in UNCHECKED.items():
                connection.execute(insert_user, {"id": user, "email": email, "name": name} | now)
                connection.execute(insert_task, {"id": user} | now)
        upgrade()
        with db.engine.begin() as connection:
            users = connection.execute(text("SELECT id, email, name FROM users")).all()
            tasks = text("SELECT count(*) FROM tasks WHERE tasks.user_id = :id")
            assert {connection.execute(tasks, {"id": user}).scalar_one() for user in UNCHECKED} == {1}
        assert {user: (email, name) for user, email, name in users} == {
            user: kept for user, (_, _, kept) in UNCHECKED.items()
        }
        for column, value in (("email", "nonsense"), ("name", "x" * 101)):
            refused = text(f"UPDATE users SET {column} = :value")
            with pytest.raises(IntegrityError), db.engine.begin() as connection:
                connection.execute(refused, {"value": value})
        downgrade(revision="0003")
        upgrade()


OLD_TASK = text(
    "INSERT INTO tasks (user_id, id, title, description, completed, rev, created_at, updated_at) VALUES "
    "(:owner, :id, :title, :description, :completed, 1, :now, :now)"
)


def task_number(number: int) -> str:
    """An id as each database stores it."""
    return f"{number:032x}"


def insert_old_task(number: int, title: str, owner: str = "alice", **values: Any) -> None:
    """Insert a task as code without the planning fields does."""
    values = {"description": None, "completed": False, "now": "2026-11-21 09:30:00.000000+00:00"} | values
    with db.engine.begin() as connection:
        add_user = text(
            "INSERT INTO users (id, rev, created_at) VALUES (:owner, 1, :now) ON CONFLICT DO NOTHING"
        )
        connection.execute(add_user, {"owner": owner, "now": values["now"]})
        connection.execute(OLD_TASK, {"owner": owner, "id": task_number(number), "title": title} | values)


def test_tasks_from_before_the_planning_fields_are_filled_in(empty_app: Flask, secret: str) -> None:
    alice = Person(empty_app.test_client(), secret, "alice")
    bob = Person(empty_app.test_client(), secret, "bob")
    with empty_app.app_context():
        upgrade(revision="0006")
        insert_old_task(1, "Straße", description="GRÜN")
        insert_old_task(2, "Zebra", completed=True)
        insert_old_task(1, "Straße", owner="bob")
        upgrade()
    (found,) = alice.get("/api/tasks?search=STRASSE").get_json()
    assert (found["title"], found["completed_at"], found["rev"]) == ("Straße", None, 1)
    plan = {name: found[name] for name in ("priority", "due_date", "tags", "position")}
    assert plan == {"priority": "medium", "due_date": None, "tags": [], "position": None}
    assert alice.get("/api/tasks?search=grün").get_json() == [found]
    (done,) = alice.get("/api/tasks?status=completed").get_json()
    assert done["completed_at"] == done["updated_at"]
    titles = [task["title"] for task in alice.get("/api/tasks?sort=title").get_json()]
    assert titles == ["Straße", "Zebra"]
    assert len(bob.get("/api/tasks?search=strasse").get_json()) == 1


def test_what_old_code_writes_is_found_and_backfill_completes_it(empty_app: Flask, secret: str) -> None:
    alice = Person(empty_app.test_client(), secret, "alice")
    with empty_app.app_context():
        upgrade()
    done, renamed, same = (
        alice.post("/api/tasks", {"title": title, "completed": True}).get_json()
        for title in ("Done", "Old Name", "Same")
    )
    with empty_app.app_context():
        insert_old_task(1, "Brand NEW")
        insert_old_task(2, "ÄLTER", completed=True)
        with db.engine.begin() as connection:
            undo = text("UPDATE tasks SET completed = false WHERE tasks.user_id = 'alice' AND title = 'Done'")
            rename = text(
                "UPDATE tasks SET title = 'Änderung' WHERE tasks.user_id = 'alice' AND title = 'Old Name'"
            )
            connection.execute(undo)
            connection.execute(rename)

    def listed(query: str) -> list[str]:
        paged, address = [], f"/api/tasks?limit=1&{query}"
        while address:
            response = alice.get(address)
            assert response.status_code == 200, response.text
            paged += [task["title"] for task in response.get_json()]
            address = response.headers.get("Link", "<>")[1:].partition(">")[0]
        return paged

    # Until then every task is listed once; what is not folded comes last and is found by ASCII letters.
    assert listed("sort=title") == ["Done", "Änderung", "Same", "Brand NEW", "ÄLTER"]
    assert listed("sort=title&order=desc")[-2:] == ["ÄLTER", "Brand NEW"]
    assert listed("search=brand%20new") == ["Brand NEW"]
    assert listed("search=%C3%A4lter") == listed("search=%C3%A4nderung") == []

    run = empty_app.test_cli_runner().invoke
    assert run(args=["tasks", "backfill"]).output == "Filled in 4 tasks.\n"
    assert listed("sort=title") == ["Brand NEW", "Done", "Same", "ÄLTER", "Änderung"]
    assert listed("search=%C3%A4lter") == ["ÄLTER"]
    assert listed("search=%C3%A4nderung") == ["Änderung"]
    times = {task["title"]: task["completed_at"] for task in alice.get("/api/tasks").get_json()}
    assert (times["Done"], times["Brand NEW"]) == (None, None)
    assert times["ÄLTER"] == "2026-11-21T09:30:00Z"
    assert alice.get(f"/api/tasks/{same['id']}").get_json() == same
    assert alice.get(f"/api/tasks/{done['id']}").get_json()["rev"] == done["rev"]
    assert alice.get(f"/api/tasks/{renamed['id']}").get_json()["completed_at"] == renamed["completed_at"]
    assert run(args=["tasks", "backfill"]).output == "Filled in 0 tasks.\n"


def test_backfill_goes_through_all_tasks_and_leaves_those_written_meanwhile(
    empty_app: Flask, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = Person(empty_app.test_client(), secret, "alice")
    with empty_app.app_context():
        upgrade()
        for number in range(7):
            insert_old_task(number, f"Ä{number + 1}")
        fill = backfill._fill

        def write_first(owner: str, tasks: list[Any]) -> int:
            alice.patch(f"/api/tasks/{tasks[0]['id']}", {"title": "Meanwhile"})
            return fill(owner, tasks)

        monkeypatch.setattr(backfill, "_fill", write_first)
        assert backfill.backfill(batch=3) == 4
    found = [task["title"] for task in alice.get("/api/tasks?sort=title").get_json()]
    assert found == ["Meanwhile"] * 3 + ["Ä2", "Ä3", "Ä5", "Ä6"]

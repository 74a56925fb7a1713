"""The migrations make the tables of the models, on both databases, and take them away again."""

from collections.abc import Iterator, Sequence

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from app import create_app
from app.extensions import db
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


@pytest.mark.parametrize(
    ("email", "name", "kept"),
    [
        ("alice@example.com", "Alice", ("alice@example.com", "Alice")),
        ("a" * 251 + "@b.io", "x" * 101, (None, None)),
        ("nonsense", "", (None, None)),
        ("@", "Alice", (None, "Alice")),
        (None, None, (None, None)),
    ],
)
def test_users_from_before_the_checks_are_mended_and_keep_their_tasks(
    email: str | None, name: str | None, kept: tuple[str | None, str | None], empty_app: Flask
) -> None:
    insert_user = text(
        "INSERT INTO users (id, email, name, rev, created_at) VALUES ('alice', :email, :name, 1, :now)"
    )
    insert_task = text(
        "INSERT INTO tasks (user_id, id, title, rev, created_at, updated_at) VALUES "
        "('alice', '5b0a3c1e8f1d4d7a9c550d3f6f0c9e21', 'Buy milk', 1, :now, :now)"
    )
    now = {"now": "2026-11-21 09:30:00.000000"}
    with empty_app.app_context():
        upgrade(revision="0003")
        with db.engine.begin() as connection:
            connection.execute(insert_user, {"email": email, "name": name} | now)
            connection.execute(insert_task, now)
        upgrade()
        with db.engine.begin() as connection:
            user = connection.execute(text("SELECT email, name FROM users WHERE id = 'alice'")).one()
            tasks = text("SELECT count(*) FROM tasks WHERE tasks.user_id = 'alice'")
            assert connection.execute(tasks).scalar_one() == 1
        assert tuple(user) == kept
        for column, value in (("email", "nonsense"), ("name", "x" * 101)):
            refused = text(f"UPDATE users SET {column} = :value")
            with pytest.raises(IntegrityError), db.engine.begin() as connection:
                connection.execute(refused, {"value": value})
        downgrade(revision="0003")
        upgrade()

"""The migrations make the tables of the models, on both databases, and take them away again."""

from collections.abc import Iterator, Sequence

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect

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
    assert len(keys) == 6
    assert {columns[0] for columns in keys} == {"user_id"}


def test_a_database_without_tables_is_not_ready(empty_app: Flask) -> None:
    response = empty_app.test_client().get("/ready")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert response.get_json()["code"] == "service_unavailable"

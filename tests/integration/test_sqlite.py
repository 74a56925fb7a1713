"""SQLite as a real default."""

from pathlib import Path

from flask_migrate import upgrade
from sqlalchemy import text

from app import create_app
from app.config import ROOT
from app.extensions import db


def test_connections_to_sqlite_keep_its_safety_on(tmp_path: Path, secret: str) -> None:
    app = create_app({"DATABASE_URL": f"sqlite:///{tmp_path}/tasks.db", "BETTER_AUTH_SECRET": secret})
    with app.app_context():
        upgrade()
        with db.engine.connect() as connection:
            names = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
            found = {name: connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in names}
        db.engine.dispose()
    # 2 is FULL: a commit is on the disk before it is acknowledged.
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2, "busy_timeout": 5000}


def test_without_a_database_url_tasks_are_in_the_instance_folder(secret: str) -> None:
    app = create_app({"BETTER_AUTH_SECRET": secret})
    with app.app_context():
        assert db.engine.url.render_as_string() == f"sqlite:///{ROOT / 'instance' / 'tasks.db'}"

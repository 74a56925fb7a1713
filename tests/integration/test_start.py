"""What the log says at a start: nothing if all is well, one line if migrations are missing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app import create_app
from tests.live import ROOT, SERVERS, environment
from tests.polling import wait_until


@pytest.fixture
def settings(tmp_path: Path, secret: str) -> dict[str, str]:
    return {"DATABASE_URL": f"sqlite:///{tmp_path / 'tasks.db'}", "BETTER_AUTH_SECRET": secret}


def migrate(settings: dict[str, str]) -> list[str]:
    """The lines that `flask db upgrade` prints."""
    command = [sys.executable, "-m", "flask", "db", "upgrade"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def test_migrating_prints_each_migration_and_nothing_else(settings: dict[str, str]) -> None:
    versions = sorted(path.name[:4] for path in (ROOT / "migrations/versions").glob("*.py"))
    assert [line.partition(",")[0].split()[-1] for line in migrate(settings)] == versions
    assert migrate(settings) == []


@pytest.mark.parametrize("server", ["gunicorn", pytest.param("granian", marks=pytest.mark.full_matrix)])
def test_a_start_without_migrations_says_so_in_one_line(
    server: str, settings: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output, SERVERS[server](settings | {"WEB_CONCURRENCY": "2"}, output=output):
        assert wait_until(lambda: "flask db upgrade" in log.read_text())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [(line["level"], line["message"]) for line in lines if line["logger"] == "app"]
    assert told == [("ERROR", "The database lacks migrations; flask db upgrade makes them.")]


def test_a_migrated_database_is_not_worth_a_line(
    settings: dict[str, str], migrated_sqlite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create_app(settings | {"DATABASE_URL": f"sqlite:///{migrated_sqlite}"}).extensions[
        "readiness"
    ].log_missing_migrations()
    assert capsys.readouterr().out == ""

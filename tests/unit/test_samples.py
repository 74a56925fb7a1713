"""`flask seed` and `flask welcome`: what a new user tries first."""

import re
import shlex
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from app.extensions import db
from app.maintenance.samples import SAMPLES, sample_task
from tests.live import migrate
from tests.people import Person


@pytest.fixture
def settings(tmp_path: Path, secret: str) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'tasks.db'}",
        "BETTER_AUTH_SECRET": secret,
        "LOG_LEVEL": "ERROR",
    }


@pytest.fixture
def sample_app(settings: dict[str, str], tmp_path: Path, migrated_sqlite: Path) -> Iterator[Flask]:
    shutil.copy(migrated_sqlite, tmp_path)
    app = create_app(settings)
    yield app
    with app.app_context():
        db.engine.dispose()


def run(app: Flask, *args: str) -> str:
    result = app.test_cli_runner().invoke(args=args)
    assert result.exit_code == 0, result.output
    return result.output


def test_seed_creates_the_samples_as_requests_would(sample_app: Flask, secret: str) -> None:
    assert run(sample_app, "seed", "--user", "alice") == "Created 25 tasks for alice.\n"
    alice = Person(sample_app.test_client(), secret, "alice")
    tasks = alice.get("/api/tasks").get_json()
    today = datetime.now(UTC).date()
    wanted = [
        [sample_task(sample, today + timedelta(days=late)) for sample in reversed(SAMPLES)]
        for late in (0, -1)
    ]
    shown = [{name: task[name] for name in wanted[0][0] if name in task} for task in tasks]
    assert shown in [[{name: body[name] for name in shown[0]} for body in bodies] for bodies in wanted]
    assert {"title", "description", "completed"} <= shown[0].keys()
    assert alice.get("/api/me").get_json()["rev"] == 25
    assert Person(sample_app.test_client(), secret, "bob").get("/api/tasks").get_json() == []


def test_seed_creates_as_many_as_asked_for(sample_app: Flask, secret: str) -> None:
    run(sample_app, "seed", "--user", "alice", "--count", "2")
    run(sample_app, "seed", "--user", "alice", "--count", "30")
    tasks = Person(sample_app.test_client(), secret, "alice").get("/api/tasks").get_json()
    assert len(tasks) == 32
    assert tasks[-1]["title"] == tasks[-3]["title"] == SAMPLES[0].title


@pytest.mark.parametrize("user", ["", " ", "a" * 256, "a\nb"], ids=["empty", "blank", "long", "newline"])
def test_a_user_that_no_token_can_name_gets_no_samples(sample_app: Flask, user: str) -> None:
    result = sample_app.test_cli_runner().invoke(args=["seed", f"--user={user}"])
    assert result.exit_code == 2
    assert "--user" in result.output


def test_the_samples_show_every_field() -> None:
    assert len({sample.title for sample in SAMPLES}) == len(SAMPLES) == 25
    assert {sample.priority for sample in SAMPLES} == {"low", "medium", "high", "urgent"}
    assert {sample.completed for sample in SAMPLES} == {True, False}
    days = [sample.due_in for sample in SAMPLES if sample.due_in is not None]
    assert min(days) < 0 < max(days)
    assert len(days) < len(SAMPLES)
    assert sample_task(SAMPLES[1], datetime(2026, 3, 1, tzinfo=UTC).date()) == {
        "title": "Pay the rent",
        "tags": ["home", "money"],
        "priority": "urgent",
        "due_date": "2026-02-28",
        "completed": False,
        "description": None,
    }


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_welcome_prints_a_request_and_a_link_that_work(settings: dict[str, str]) -> None:
    port = free_port()
    migrate(settings)
    app = create_app(settings | {"PORT": port, "HOST": "0.0.0.0"})
    address = f"http://127.0.0.1:{port}"
    text = run(app, "welcome")
    (command,) = re.findall(r"^curl (?:.*\\\n)*.*$", text, re.MULTILINE)
    _, _, url, *options = shlex.split(command.replace("\\\n", " "))
    headers = dict(option.split(": ") for option in options if ": " in option and not option.startswith("{"))
    (body,) = [option for option in options if option.startswith("{")]
    assert url == f"{address}/api/tasks"
    response = app.test_client().post("/api/tasks", data=body, headers=headers)
    assert (response.status_code, response.get_json()["user_id"]) == (201, "alice")
    (token,) = re.findall(rf"^{address}/docs#token=([\w.-]+)$", text, re.MULTILINE)
    assert headers["Authorization"] == f"Bearer {token}"


def test_welcome_prints_no_token_where_a_key_server_has_the_keys(settings: dict[str, str]) -> None:
    asked = {"BETTER_AUTH_SECRET": "", "BETTER_AUTH_URL": "http://127.0.0.1:9", "PORT": free_port()}
    text = run(create_app(settings | asked), "welcome")
    assert f":{asked['PORT']}/docs\n" in text
    assert "http://127.0.0.1:9/api/auth/jwks" in text
    assert "eyJ" not in text


def test_welcome_fails_where_another_program_has_the_port(settings: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = create_app(settings | {"PORT": str(port)}).test_cli_runner().invoke(args=["welcome"])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: PORT: cannot use 127.0.0.1:{port} ")

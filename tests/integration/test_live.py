"""Real servers, real databases, several writers: what was acknowledged is there."""

import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from flask import Flask

from tests.live import ROOT, SERVERS, children, environment, free_port
from tests.people import token
from tests.polling import wait_until

full_matrix = pytest.mark.full_matrix


# test_writers.py is always on gunicorn.
@pytest.fixture(scope="session", params=[pytest.param("gunicorn", marks=full_matrix), "granian"])
def server_name(request: pytest.FixtureRequest) -> str:
    """Each server in turn."""
    name: str = request.param
    return name


def headers(secret: str, user_id: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(secret, user_id)}"}


def create(address: str, headers: dict[str, str], title: str) -> requests.Response:
    return requests.post(f"{address}/v1/tasks", json={"title": title}, headers=headers, timeout=30)


@pytest.mark.one_database
def test_writers_in_two_workers_lose_nothing(address: str, secret: str) -> None:
    alice = headers(secret, "alice")
    titles = [f"task {n}" for n in range(80)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda title: create(address, alice, title), titles))
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["task"]["rev"] for answer in answers) == list(range(1, 81))
    stored = requests.get(f"{address}/v1/tasks?limit=500", headers=alice, timeout=30).json()["tasks"]
    assert sorted(task["title"] for task in stored) == sorted(titles)


@pytest.mark.one_database
@pytest.mark.parametrize("users", [["alice", "alice"], ["alice", "bob"]], ids=["one user", "two users"])
def test_first_creates_at_the_same_moment_all_succeed(address: str, secret: str, users: list[str]) -> None:
    for attempt in range(10):
        people = [headers(secret, f"{user}{attempt}") for user in users]
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda person: create(address, person, "first"), people))
        assert [answer.status_code for answer in answers] == [201, 201]


@pytest.mark.one_database
def test_two_creates_with_one_id_make_one_task(address: str, secret: str) -> None:
    alice = headers(secret, "alice")
    for n in range(10):
        body = {"id": f"0198c5a2-0000-7000-8000-{n:012}", "title": "once"}

        def post(_: int, body: dict[str, str] = body) -> int:
            return requests.post(f"{address}/v1/tasks", json=body, headers=alice, timeout=30).status_code

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(post, range(2))) == [200, 201]
    feed = requests.get(f"{address}/v1/tasks/changes", headers=alice, timeout=30).json()
    assert [task["id"] for task in feed["tasks"]] == [f"0198c5a2-0000-7000-8000-{n:012}" for n in range(10)]
    revs = [task["rev"] for task in feed["tasks"]]
    assert revs == sorted(set(revs))
    assert 10 <= revs[-1] <= feed["rev"] <= 20


@pytest.mark.one_database
def test_tasks_outlive_the_server(app: Flask, environ: dict[str, str], secret: str) -> None:
    alice = headers(secret, "alice")
    first, second = SERVERS.values()
    with first(environ) as (address, _):
        task = create(address, alice, "kept").json()["task"]
    with second(environ) as (address, _):
        assert requests.get(f"{address}/v1/tasks/{task['id']}", headers=alice, timeout=30).json() == {
            "task": task
        }


@pytest.mark.one_database
@pytest.mark.parametrize("length_known", [True, False], ids=["length known", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(65_536, 422), (65_537, 413), (1_000_000, 413)])
def test_a_body_over_64_kib_is_refused(
    address: str, secret: str, length_known: bool, size: int, status: int
) -> None:
    body = b'{"title": "' + b"a" * (size - 13) + b'"}'
    answer = requests.post(
        f"{address}/v1/tasks",
        data=body if length_known else iter([body]),
        headers=headers(secret, "alice") | {"Content-Type": "application/json"},
        timeout=30,
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


SERVE = [sys.executable, "deploy/serve.py"]
BAD_SETTINGS: list[tuple[dict[str, str], str]] = [
    ({"BETTER_AUTH_SECRET": ""}, "BETTER_AUTH_SECRET: "),
    ({"HOST": "nginx"}, "HOST: "),
    ({"ALGORITHM": "RS256"}, "ALGORITHM: "),
    ({"BETTER_AUTH_SECRET": "short"}, "BETTER_AUTH_SECRET: "),
    ({"DATABASE_URL": "nonsense"}, "DATABASE_URL: "),
    ({"DB_POOL_SIZE": "many"}, "DB_POOL_SIZE: "),
]


@pytest.mark.parametrize(
    ("command", "settings", "named"),
    [
        *(("deploy/serve.py", *bad) for bad in BAD_SETTINGS[:2]),
        *(pytest.param("deploy/serve.py", *bad, marks=full_matrix) for bad in BAD_SETTINGS[2:]),
        ("-m gunicorn wsgi:app", *BAD_SETTINGS[0]),
        ("-m flask token --user alice", *BAD_SETTINGS[0]),
    ],
    ids=str,
)
def test_a_bad_setting_stops_the_start_with_one_line(
    command: str, settings: dict[str, str], named: str, secret: str
) -> None:
    env = environment({"BETTER_AUTH_SECRET": secret, "PORT": str(free_port()), **settings})
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    lines = [line.removeprefix("Error: ") for line in done.stderr.splitlines() if line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(named)


# gunicorn reads these variables itself, before its configuration can name them.
@pytest.mark.parametrize(
    ("name", "value"), [("FORWARDED_ALLOW_IPS", "nginx"), ("WEB_CONCURRENCY", "many"), ("SERVER", "none")]
)
def test_serve_names_the_settings_that_gunicorn_reads_itself(name: str, value: str, secret: str) -> None:
    env = environment({"BETTER_AUTH_SECRET": secret, name: value})
    done = subprocess.run(SERVE, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert done.stderr.startswith(f"{name}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("server", [pytest.param("gunicorn", marks=full_matrix), "granian"])
def test_a_port_that_is_taken_stops_the_start(server: str, secret: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = environment({"BETTER_AUTH_SECRET": secret, "SERVER": server, "PORT": str(port)})
        done = subprocess.run(SERVE, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert str(port) in done.stderr


@pytest.mark.parametrize("server", ["gunicorn", pytest.param("granian", marks=full_matrix)])
def test_a_reload_with_a_setting_that_cannot_be_used_leaves_the_old_workers_at_work(
    server: str, root: Path, tmp_path: Path, secret: str
) -> None:
    for folder in ("app", "deploy", "migrations"):
        shutil.copytree(root / folder, tmp_path / folder)
    for file in (*root.glob("*.py"), root / "pyproject.toml"):
        shutil.copy(file, tmp_path)
    port = free_port()
    env = environment({"BETTER_AUTH_SECRET": secret, "SERVER": server, "PORT": str(port)})
    del env["TRASH_DAYS"]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(SERVE, cwd=tmp_path, env=env, stderr=log, stdout=subprocess.DEVNULL) as process,
    ):
        try:

            def is_healthy() -> bool:
                try:
                    return requests.get(f"http://127.0.0.1:{port}/health", timeout=10).ok
                except requests.ConnectionError:
                    return False

            assert wait_until(is_healthy, 60)
            old = children(process.pid)
            (tmp_path / ".env").write_text("TRASH_DAYS=thirty\n")
            process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: "TRASH_DAYS: " in (tmp_path / "log").read_text())
            assert (tmp_path / "log").read_text().count("\n") == 1
            assert (children(process.pid), is_healthy()) == (old, True)
            (tmp_path / ".env").write_text("TRASH_DAYS=3\n")
            process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: set(children(process.pid)).isdisjoint(old), 60)
            assert wait_until(is_healthy, 60)
        finally:
            process.terminate()

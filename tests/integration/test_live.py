"""Real servers, real databases, several writers: what was acknowledged is there."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from flask import Flask

from tests.contract.expect import table
from tests.live import ROOT, environment, free_port, gunicorn
from tests.people import token


def headers(secret: str, user_id: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(secret, user_id)}"}


def create(address: str, headers: dict[str, str], title: str) -> requests.Response:
    return requests.post(f"{address}/v1/tasks", json={"title": title}, headers=headers, timeout=30)


def test_writers_in_two_workers_lose_nothing(address: str, secret: str) -> None:
    alice = headers(secret, "alice")
    titles = [f"task {n}" for n in range(80)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda title: create(address, alice, title), titles))
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["task"]["rev"] for answer in answers) == list(range(1, 81))
    stored = requests.get(f"{address}/v1/tasks?limit=500", headers=alice, timeout=30).json()["tasks"]
    assert sorted(task["title"] for task in stored) == sorted(titles)


@pytest.mark.parametrize("users", [["alice", "alice"], ["alice", "bob"]], ids=["one user", "two users"])
def test_first_creates_at_the_same_moment_all_succeed(address: str, secret: str, users: list[str]) -> None:
    for attempt in range(10):
        people = [headers(secret, f"{user}{attempt}") for user in users]
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda person: create(address, person, "first"), people))
        assert [answer.status_code for answer in answers] == [201, 201]


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
    with gunicorn(environ) as (address, _):
        task = create(address, alice, "kept").json()["task"]
    with gunicorn(environ) as (address, _):
        assert requests.get(f"{address}/v1/tasks/{task['id']}", headers=alice, timeout=30).json() == {
            "task": task
        }


@table
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


BAD_SETTINGS: list[tuple[dict[str, str], str]] = [
    ({"BETTER_AUTH_SECRET": ""}, "BETTER_AUTH_SECRET: "),
    ({"BETTER_AUTH_SECRET": "short"}, "BETTER_AUTH_SECRET: "),
    ({"DATABASE_URL": "nonsense"}, "DATABASE_URL: "),
    ({"DB_POOL_SIZE": "many"}, "DB_POOL_SIZE: "),
]


@pytest.mark.parametrize(
    ("command", "settings", "named"),
    [
        *(("gunicorn wsgi:app", settings, named) for settings, named in BAD_SETTINGS),
        ("flask token --user alice", *BAD_SETTINGS[0]),
    ],
    ids=str,
)
def test_a_bad_setting_stops_the_start_with_one_line(
    command: str, settings: dict[str, str], named: str, secret: str
) -> None:
    env = environment({"BETTER_AUTH_SECRET": secret, "PORT": str(free_port()), **settings})
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
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

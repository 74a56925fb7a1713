"""Many writers against a live server: the change feed misses nothing, and no update is lost."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select

from app.db.models import Task
from app.extensions import db
from tests.people import token

WRITERS = 8


@pytest.fixture
def rounds(pytestconfig: pytest.Config) -> int:
    """How often each writer does its work."""
    return 8 if pytestconfig.getoption("full_matrix") else 3


class Client:
    """A user's connection, for one thread."""

    def __init__(self, address: str, secret: str, user_id: str) -> None:
        self.tasks = f"{address}/api/tasks"
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token(secret, user_id)}"

    def call(self, method: str, rest: str = "", **kwargs: Any) -> requests.Response:
        return self.session.request(method, self.tasks + rest, timeout=120, **kwargs)

    def ok(self, status: int, method: str, rest: str = "", **kwargs: Any) -> Any:
        answer = self.call(method, rest, **kwargs)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


class Ledger:
    """What was acknowledged to a user's writers: the least rev that each task must have."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._revs: dict[str, int] = {}

    def acknowledge(self, task_id: str, rev: int) -> None:
        with self._lock:
            self._revs[task_id] = max(rev, self._revs.get(task_id, 0))

    def so_far(self) -> dict[str, int]:
        with self._lock:
            return dict(self._revs)


def write_tasks(client: Client, ledger: Ledger, rounds: int, shared: str) -> None:
    """Make, change, delete and restore tasks of one's own, and turn over one that all writers share."""

    def acknowledge(task: dict[str, Any]) -> int:
        ledger.acknowledge(task["id"], task["rev"])
        rev: int = task["rev"]
        return rev

    for n in range(rounds):
        task_id = str(uuid.uuid4())
        acknowledge(client.ok(201, "POST", json={"id": task_id, "title": f"task {n}"}))
        acknowledge(client.ok(200, "PUT", f"/{task_id}", json={"title": f"changed {n}"}))
        rev = acknowledge(client.ok(200, "PATCH", f"/{task_id}/complete"))
        acknowledge(client.ok(200, "PATCH", f"/{shared}/complete"))
        client.ok(204, "DELETE", f"/{task_id}", headers={"If-Match": f'"{rev}"'})
        # The answer does not say which rev it became; it is a later one.
        ledger.acknowledge(task_id, rev + 1)
        if n % 2:
            acknowledge(client.ok(200, "POST", f"/{task_id}/restore"))


class Reader:
    """Follows a user's changes, and checks that no answer lacks what was acknowledged before."""

    def __init__(self, client: Client, ledger: Ledger, limit: int) -> None:
        self.client, self.ledger, self.limit = client, ledger, limit
        self.since = 0
        self.revs: dict[str, int] = {}
        self.tasks: dict[str, dict[str, Any]] = {}

    def pull(self) -> bool:
        """Fetch one page; whether there is more."""
        acknowledged = self.ledger.so_far()
        page = self.client.ok(200, "GET", f"/changes?since={self.since}&limit={self.limit}")
        for task in page["tasks"]:
            assert task["rev"] > self.since
            self.tasks[task["id"]] = task
            self.revs[task["id"]] = task["rev"]
        for gone in page["deleted"]:
            assert gone["rev"] > self.since
            self.tasks.pop(gone["id"], None)
            self.revs[gone["id"]] = gone["rev"]
        self.since = page["rev"]
        more: bool = page["more"]
        if not more:
            # Before the last page a task may be missing that has moved on to a rev behind this page.
            missed = {key: rev for key, rev in acknowledged.items() if self.revs.get(key, 0) < rev}
            assert not missed, f"the answer up to {self.since} lacks {missed}"
        return more

    def follow(self, done: threading.Event) -> None:
        """Pull until the writers are done, and then to the end."""
        while not done.is_set():
            self.pull()
        while self.pull():
            pass


def stored(app: Flask, user_id: str) -> dict[str, tuple[str, bool, int]]:
    """The user's live rows."""
    columns = select(Task.id, Task.title, Task.completed, Task.rev)
    with app.app_context(), db.engine.connect() as connection:
        rows = connection.execute(columns.where(Task.user_id == user_id, Task.deleted_at.is_(None)))
        return {task_id: (title, completed, rev) for task_id, title, completed, rev in rows}


@pytest.mark.parametrize("limit", [3, 1000])
@pytest.mark.parametrize("users", [1, WRITERS], ids=["one user", "eight users"])
def test_who_follows_the_changes_misses_nothing_and_ends_with_what_is_stored(
    users: int, limit: int, rounds: int, address: str, secret: str, app: Flask
) -> None:
    names = [f"user {n}" for n in range(users)]
    ledgers = {name: Ledger() for name in names}
    shared = {name: str(uuid.uuid4()) for name in names}
    for name in names:
        Client(address, secret, name).ok(201, "POST", json={"id": shared[name], "title": "shared"})
    readers = {name: Reader(Client(address, secret, name), ledgers[name], limit) for name in names}
    done = threading.Event()
    with ThreadPoolExecutor(WRITERS + users) as pool:
        following = [pool.submit(reader.follow, done) for reader in readers.values()]
        try:
            writing = [
                pool.submit(write_tasks, Client(address, secret, name), ledgers[name], rounds, shared[name])
                for name in (names[n % users] for n in range(WRITERS))
            ]
            for future in writing:
                future.result(120)
        finally:
            done.set()
        for future in following:
            future.result(120)
    each = 5 * rounds + rounds // 2
    for name in names:
        reader = readers[name]
        assert reader.since == 1 + each * WRITERS // users
        copy = {key: (task["title"], task["completed"], task["rev"]) for key, task in reader.tasks.items()}
        assert copy == stored(app, name)
        assert len(copy) == 1 + (rounds // 2) * WRITERS // users


def test_a_counter_kept_with_if_match_loses_no_increment(address: str, secret: str, rounds: int) -> None:
    task_id = str(uuid.uuid4())
    Client(address, secret, "alice").ok(201, "POST", json={"id": task_id, "title": "0"})
    start = threading.Barrier(WRITERS)

    def count(_: int) -> list[int]:
        client = Client(address, secret, "alice")
        start.wait(60)
        statuses = []
        for _ in range(rounds):
            answer = client.call("GET", f"/{task_id}")
            title = str(int(answer.json()["title"]) + 1)
            tag = {"If-Match": answer.headers["ETag"]}
            put = client.call("PUT", f"/{task_id}", json={"title": title}, headers=tag)
            statuses.append(put.status_code)
        return statuses

    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = [status for counted in pool.map(count, range(WRITERS)) for status in counted]
    assert set(statuses) <= {200, 412}
    assert len(statuses) == WRITERS * rounds
    task = Client(address, secret, "alice").ok(200, "GET", f"/{task_id}")
    # A refused write may use up a rev.
    assert int(task["title"]) == statuses.count(200)
    assert 0 < statuses.count(200) <= task["rev"] - 1


def test_of_creates_with_one_id_at_once_one_is_201_and_the_others_200(
    address: str, secret: str, rounds: int
) -> None:
    clients = [Client(address, secret, "alice") for _ in range(WRITERS)]
    for _ in range(rounds):
        body = {"id": str(uuid.uuid4()), "title": "once"}
        start = threading.Barrier(WRITERS)

        def create(
            client: Client, body: dict[str, str] = body, start: threading.Barrier = start
        ) -> tuple[int, int]:
            start.wait(60)
            answer = client.call("POST", json=body)
            return answer.status_code, answer.json()["rev"]

        with ThreadPoolExecutor(WRITERS) as pool:
            answers = sorted(pool.map(create, clients))
        assert [status for status, _ in answers] == [200] * (WRITERS - 1) + [201]
        assert len({rev for _, rev in answers}) == 1


def write_batches(client: Client, ledger: Ledger, rounds: int, shared: str) -> None:
    """Make, change and delete tasks of one's own, and change one that all writers share, in one batch."""
    for n in range(rounds):
        ids = [str(uuid.uuid4()) for _ in range(3)]
        operations: list[dict[str, Any]] = [
            *({"op": "create", "task": {"id": task_id, "title": f"task {n}"}} for task_id in ids),
            {"op": "update", "id": ids[0], "task": {"title": f"changed {n}"}},
            {"op": "update", "id": shared, "task": {"title": ids[0]}},
            {"op": "delete", "id": ids[1]},
        ]
        results = client.ok(200, "POST", "/batch", json={"operations": operations})["results"]
        assert [result["status"] for result in results] == [201, 201, 201, 200, 200, 204]
        for result in results[:5]:
            ledger.acknowledge(result["task"]["id"], result["task"]["rev"])
        ledger.acknowledge(ids[1], results[4]["task"]["rev"] + 1)


def test_sixteen_writers_of_batches_lose_nothing_and_a_reader_misses_nothing(
    rounds: int, address: str, secret: str, app: Flask
) -> None:
    writers, ledger, shared, done = 16, Ledger(), str(uuid.uuid4()), threading.Event()
    Client(address, secret, "alice").ok(201, "POST", json={"id": shared, "title": "shared"})
    reader = Reader(Client(address, secret, "alice"), ledger, 10)
    with ThreadPoolExecutor(writers + 1) as pool:
        following = pool.submit(reader.follow, done)
        try:
            clients = [Client(address, secret, "alice") for _ in range(writers)]
            for future in [pool.submit(write_batches, one, ledger, rounds, shared) for one in clients]:
                future.result(120)
        finally:
            done.set()
        following.result(120)
    copy = {key: (task["title"], task["completed"], task["rev"]) for key, task in reader.tasks.items()}
    assert copy == stored(app, "alice")
    assert len(copy) == 1 + 2 * rounds * writers

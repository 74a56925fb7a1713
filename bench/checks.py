"""Checks the responses of each server before anything is measured."""

import itertools
from typing import Any

import requests

from bench.seed import FIRST, task_id, user_id
from bench.workload import PAGE, TASKS, Owner

titles = (f"Checked {number}" for number in itertools.count(1))


def check(port: int, alice: Owner, bob: Owner) -> None:
    """Send every kind of request that is measured. Raises RuntimeError for a wrong response."""
    address = f"http://127.0.0.1:{port}/api/tasks"

    def ask(method: str, path: str, status: int, owner: Owner = alice, **kwargs: Any) -> Any:
        headers = {"Authorization": f"Bearer {owner.token}"}
        answer = requests.request(method, f"{address}{path}", headers=headers, timeout=10, **kwargs)
        _want(answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer.json()

    tasks = ask("GET", f"?limit={PAGE}", 200)
    _want([task["user_id"] for task in tasks] == [user_id(alice.number)] * PAGE, "a list of fifty")
    times = [task["created_at"] for task in tasks]
    _want(times == sorted(times, reverse=True), "newest first")

    last = FIRST + TASKS - 1
    path = f"/{task_id(alice.number, last)}"
    task = ask("GET", path, 200)
    fields = (task["id"], task["user_id"], task["title"])
    _want(fields == (path[1:], user_id(alice.number), f"Task {last}"), "the task that was asked for")
    ask("GET", path, 404, owner=bob)
    ask("PATCH", path, 404, owner=bob, json={"title": "Mine"})
    ask("GET", path, 401, owner=alice._replace(token=alice.token[:-4] + "AAAA"))

    title, other = next(titles), next(titles)
    made = ask("POST", "", 201, json={"title": title, "description": None})
    _want((made["title"], made["completed"]) == (title, False), "the task that was made")
    changed = ask("PATCH", f"/{made['id']}", 200, json={"title": other})
    _want(changed["title"] == other and changed["updated_at"] > made["updated_at"], "the changed task")
    _want(ask("GET", f"/{made['id']}", 200) == changed, "what was stored")
    _want(ask("GET", f"?limit={PAGE}", 200)[0] == changed, "the new task at the list's head")
    # Restore the seed's title for the check of the next server.
    ask("PATCH", path, 200, json={"title": "Another"})
    ask("PATCH", path, 200, json={"title": f"Task {last}"})


def check_floor(port: int) -> None:
    """Check the shape of the floor's responses; it has no users."""
    address = f"http://127.0.0.1:{port}/api/tasks"
    _want(len(requests.get(address, timeout=10).json()) == PAGE, "the floor's list")
    for method, path, status in (("GET", "/1", 200), ("POST", "", 201), ("PATCH", "/1", 200)):
        answer = requests.request(method, f"{address}{path}", json={}, timeout=10)
        _want(answer.status_code == status and "title" in answer.json(), f"the floor's {method}")


def _want(fine: bool, what: str) -> None:
    if not fine:
        raise RuntimeError(f"wrong response: {what}")

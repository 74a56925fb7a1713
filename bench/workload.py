"""The workload: kinds of requests (cells), prepared for many users."""

import json
import random
from collections.abc import Callable
from typing import NamedTuple

from bench.seed import FIRST, task_id, user_id
from tests.people import token

USERS = 1_000
TASKS = 100
BIG_USER = FIRST + USERS
BIG_USER_TASKS = 100_000
PAGE = 50
PREPARED = 4_000
# Replaced in each request by a new number of the same ten characters.
MARK = "##########"


class Owner(NamedTuple):
    """A user of the seed with a token."""

    number: int
    tasks: int
    token: str

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """An HTTP request of this user as bytes."""
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: Bearer {self.token}",
            "Accept: */*",
        ]
        text = "" if body is None else json.dumps(body)
        if text:
            lines += ["Content-Type: application/json", f"Content-Length: {len(text)}"]
        return "\r\n".join([*lines, "", text]).encode()

    def task_path(self, chance: random.Random) -> str:
        """The path of a random task of the user."""
        return f"/api/tasks/{task_id(self.number, FIRST + chance.randrange(self.tasks))}"


def owners(secret: str) -> list[Owner]:
    """All users of the seed; the one with most tasks comes last."""
    numbers = range(FIRST, FIRST + USERS + 1)
    sizes = {BIG_USER: BIG_USER_TASKS}
    return [Owner(n, sizes.get(n, TASKS), token(secret, user_id(n), minutes=600)) for n in numbers]


def list_tasks(owner: Owner, _chance: random.Random) -> bytes:
    """The newest fifty tasks."""
    return owner.request("GET", f"/api/tasks?limit={PAGE}")


def get_task(owner: Owner, chance: random.Random) -> bytes:
    """One task."""
    return owner.request("GET", owner.task_path(chance))


def create_task(owner: Owner, _chance: random.Random) -> bytes:
    """A new task."""
    body = {"title": f"Task {MARK}", "description": "Two litres, and bread if there is any left."}
    return owner.request("POST", "/api/tasks", body)


def update_task(owner: Owner, chance: random.Random) -> bytes:
    """A new title for a task."""
    return owner.request("PATCH", owner.task_path(chance), {"title": f"Task {MARK}"})


def repeat_task(owner: Owner, chance: random.Random) -> bytes:
    """What a task already is: as in the seed, every second one is completed."""
    number = chance.randrange(owner.tasks)
    path = f"/api/tasks/{task_id(owner.number, FIRST + number)}"
    return owner.request("PATCH", path, {"completed": number % 2 == 1})


def any_of_these(owner: Owner, chance: random.Random) -> bytes:
    """Seven reads for every three writes."""
    kinds = (list_tasks, get_task, create_task, update_task)
    return chance.choices(kinds, (35, 35, 15, 15))[0](owner, chance)


Cell = Callable[[Owner, random.Random], bytes]
CELLS: dict[str, Cell] = {
    "list": list_tasks,
    "get": get_task,
    "create": create_task,
    "update": update_task,
    "unchanged": repeat_task,
    "mixed": any_of_these,
}
# How many times less CPU than the peer the product takes on each of its servers, database included.
GOALS: dict[str, dict[str, float]] = {
    "gunicorn": {"list": 4, "get": 2.5, "create": 3, "update": 3, "mixed": 3},
    "granian": {"list": 5, "get": 3.5, "create": 4, "update": 4, "mixed": 4},
}


def prepare(cell: Cell, everybody: list[Owner]) -> list[bytes]:
    """Requests of random users, the same in every call."""
    chance = random.Random(7)
    return [cell(chance.choice(everybody), chance) for _ in range(PREPARED)]

"""Compares a batch of 100 operations with 100 single requests of one client.

Run it with `python -m bench.batches`; `make bench` includes it.
"""

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import uuid4

import requests

from bench.delay import delayed
from bench.measure import DELAY_MS, say
from bench.report import spread, table, write_part
from bench.servers import Server, product, serve
from tests.live import migrate
from tests.people import token
from tests.postgres import cluster, scratch_database

SIZE = 100
Operation = dict[str, Any]


class Turn(NamedTuple):
    """Milliseconds of one measurement, and those of the application's CPU."""

    wall: float
    cpu: float


class Client:
    """A new user's connection to a server."""

    def __init__(self, server: Server, secret: str) -> None:
        self._server = server
        self._url = f"http://127.0.0.1:{server.port}/api/tasks"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token(secret, str(uuid4()), minutes=60)}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a response. Raises HTTPError for one of 400 and above."""
        response = self._session.request(method, self._url + path, json=body, timeout=60)
        response.raise_for_status()
        return response.json()

    def singly(self, operations: list[Operation]) -> None:
        """One request for each operation."""
        for operation in operations:
            if operation["op"] == "create":
                self.call("POST", "", operation["task"])
            else:
                self.call("PATCH", f"/{operation['id']}", operation["task"])

    def at_once(self, operations: list[Operation]) -> None:
        """One request for all. Raises RuntimeError if one of them is refused."""
        results = self.call("POST", "/batch", {"operations": operations})["results"]
        if any(result["status"] > 201 for result in results):
            raise RuntimeError("an operation was refused")

    def measure(self, act: Callable[[list[Operation]], None], operations: list[Operation]) -> Turn:
        """Milliseconds, and those of the application's CPU."""
        cpu, began = self._server.cpu_seconds(), time.perf_counter()
        act(operations)
        return Turn((time.perf_counter() - began) * 1000, (self._server.cpu_seconds() - cpu) * 1000)


def creates() -> list[Operation]:
    """New tasks."""
    return [{"op": "create", "task": {"id": str(uuid4()), "title": f"Task {n}"}} for n in range(SIZE)]


def updates(made: list[Operation], number: int) -> list[Operation]:
    """Changes of the tasks that were made."""
    return [
        {"op": "update", "id": create["task"]["id"], "task": {"title": f"Changed {number}"}}
        for create in made
    ]


def compare(server: Server, secret: str, rounds: int) -> list[list[str]]:
    """A row for creates and one for updates, in turns."""
    times: dict[tuple[str, str], list[Turn]] = {}
    for number in range(rounds):
        for name in ("singly", "at_once"):
            client = Client(server, secret)
            act, made = getattr(client, name), creates()
            for what, operations in (("creates", made), ("updates", updates(made, number))):
                times.setdefault((what, name), []).append(client.measure(act, operations))
    rows = []
    for what in ("creates", "updates"):
        alone, together = times[what, "singly"], times[what, "at_once"]
        ratios = [one.wall / other.wall for one, other in zip(alone, together, strict=True)]
        wall = [spread([turn.wall for turn in turns]) for turns in (alone, together)]
        cpu = [spread([turn.cpu for turn in turns]) for turns in (alone, together)]
        rows.append([what, *wall, spread(ratios, 1), *cpu])
    return rows


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """The URL of each database, by its name in the table."""
    with TemporaryDirectory() as folder, cluster() as postgres, scratch_database(postgres.url) as url:
        near = url.replace("postgresql:", "postgresql+psycopg2:")
        with delayed(near, DELAY_MS) as far:
            yield {
                "SQLite": f"sqlite:///{folder}/tasks.db",
                "PostgreSQL, near": near,
                f"PostgreSQL, {DELAY_MS:g} ms away": far,
            }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--port", type=int, default=8720)
    args = parser.parse_args()
    secret, rows = secrets.token_hex(32), []
    with databases() as urls:
        for name, url in urls.items():
            say(name)
            settings = {"DATABASE_URL": url, "BETTER_AUTH_SECRET": secret}
            migrate(settings)
            with serve(product("product"), args.port, settings) as server:
                found = compare(server, secret, args.rounds)
            rows += [[f"{SIZE} {what}, {name}", *cells] for what, *cells in found]
    head = [
        "",
        "one by one, ms",
        "one batch, ms",
        "times as fast",
        "CPU one by one, ms",
        "CPU of batch, ms",
    ]
    text = table(head, rows)
    print(text)
    write_part("batches", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Measures the same requests over few and many tasks, and explains their statements.

Run it with `python -m bench.growth`; `make bench` includes it.
"""

import argparse
import http.client
import random
import re
import secrets
import signal
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, closing
from statistics import median
from typing import NamedTuple

import orjson
import psycopg2
from flask import Flask

from app import create_app
from bench.captured import ask, watch
from bench.report import draw, spread, table, write_part
from bench.seed import FIRST, Users, fill, task_id, user_id
from bench.servers import STACKS, serve
from bench.workload import Owner
from tests.live import migrate
from tests.people import token
from tests.postgres import scratch_database
from tests.postgres import server as postgres_server

# Small enough that the second half of 100 tasks fills a page.
PAGE = 20
COMPLETED = 5
RECENT = 10
IDLE_USERS = 200_000
INSERT_IDLE = (
    "INSERT INTO users (id, rev, created_at) SELECT 'idle-' || n, 0, now() FROM generate_series(1, %s) n"
)
SLOW = re.compile(r"\bSort\b|Seq Scan|Bitmap|Rows Removed by \w+(?: \w+)*: \d+|Hash|Materialize")


FILTERS = (
    "",
    "&completed=true",
    "&deleted=true",
    "&deleted=true&completed=true",
    "&deleted=true&completed=false",
)


SORTS = ("updated_at", "due_date", "priority", "title", "position", "completed_at")
# Orders, of which a page in the middle is measured too, and filters.
ORDERS = tuple(f"&sort={sort}&order={order}" for sort in SORTS for order in ("asc", "desc"))
CHOICES = (
    "&status=pending",
    "&status=pending&sort=due_date",
    "&priority=urgent",
    "&priority=medium",
    "&due_before=2026-01-08",
    "&status=pending&due_after=2026-02-01&due_before=2026-02-08",
    "&tag=rare",
    "&search=099&sort=title",
    "&search=nothing",
)


class Place(NamedTuple):
    """A database, and one of its users with a number of tasks."""

    name: str
    database: str
    user: int
    tasks: int


def crowd(tasks_in_table: int, tasks: int = 100) -> Users:
    """Users with `tasks` tasks each that share a table of `tasks_in_table` tasks."""
    return Users(FIRST, tasks_in_table // tasks, tasks, tasks // COMPLETED)


BIG, BIGGEST = 900_001, 900_002
DATABASES = {
    "small": [crowd(1_000)],
    "large": [
        crowd(1_000_000 - 110_000),
        Users(BIG, 1, 10_000, 10_000 // COMPLETED),
        Users(BIGGEST, 1, 100_000, 100_000 // COMPLETED),
    ],
    "idle": [crowd(1_000)],
}
PLACES = (
    Place("100 of 1,000", "small", FIRST, 100),
    Place("again", "small", FIRST + 1, 100),
    Place("100 of 1,000,000", "large", FIRST, 100),
    Place("10,000 of 1,000,000", "large", BIG, 10_000),
    Place("100,000 of 1,000,000", "large", BIGGEST, 100_000),
    Place("100 of 1,000, and 200,000 users without", "idle", FIRST, 100),
)


class Client:
    """A keep-alive connection with a user's token."""

    def __init__(self, port: int, owner_token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {owner_token}"}

    def get(self, path: str, headers: dict[str, str]) -> tuple[int, bytes, str]:
        """Send a GET; return status, body and entity tag."""
        try:
            self._connection.request("GET", path, headers=self._headers | headers)
            answer = self._connection.getresponse()
        except http.client.RemoteDisconnected:
            # Idle for longer than the service keeps a connection; the next request opens another one.
            return self.get(path, headers)
        return answer.status, answer.read(), answer.headers.get("ETag", "")


def questions(client: Client, place: Place) -> dict[str, Callable[[], None]]:
    """The requests to measure, by name; each is checked once."""
    first = f"/v1/tasks?limit={PAGE}"
    cursor = middle(client, place)
    _, _, etag = client.get(first, {})
    kinds = {
        "first page": (first, {}, PAGE),
        "a page in the middle": (f"{first}{cursor}", {}, PAGE),
        f"{COMPLETED} completed": (f"{first}&completed=true", {}, COMPLETED),
        "recent changes": (f"/v1/tasks/changes?since={place.tasks - RECENT}", {}, RECENT),
        "304": (first, {"If-None-Match": etag}, 0),
    }

    def question(path: str, headers: dict[str, str], count: int) -> Callable[[], None]:
        status, body, _ = client.get(path, headers)
        found = len(orjson.loads(body)["tasks"]) if body else 0
        if (status, found) != (200 if count else 304, count):
            raise RuntimeError(f"{place.name}: {path}: {status}, {found} tasks")
        return lambda: void(client.get(path, headers))

    return {name: question(*parts) for name, parts in kinds.items()}


def middle(client: Client, place: Place, query: str = "") -> str:
    """The cursor of the middle of a list, reached in pages of the largest size."""
    deep, cursor = place.tasks // 2, ""
    while deep:
        limit = min(500, deep)
        deep -= limit
        page = orjson.loads(client.get(f"/v1/tasks?limit={limit}{query}{cursor}", {})[1])
        cursor = f"&cursor={page['next_cursor']}"
    return cursor


def list_questions(client: Client, place: Place) -> dict[str, Callable[[], None]]:
    """The orders and filters to measure, by name; each is checked once."""
    paths = {query: query for query in (*ORDERS, *CHOICES)}
    paths |= {f"{query}, in the middle": query + middle(client, place, query) for query in ORDERS}

    def question(path: str) -> Callable[[], None]:
        status, body, _ = client.get(path, {})
        if status != 200:
            raise RuntimeError(f"{place.name}: {path}: {status}, {body!r}")
        return lambda: void(client.get(path, {}))

    return {name.lstrip("&"): question(f"/v1/tasks?limit={PAGE}{rest}") for name, rest in paths.items()}


def void(_answer: object) -> None:
    """Discard a response."""


def measure(
    asked: dict[Place, dict[str, Callable[[], None]]], rounds: int
) -> dict[tuple[str, str], list[float]]:
    """Measure each request at each place in turns; return medians in ms by request and place."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    places = list(asked)
    for number in range(rounds + 1):
        for name in asked[places[0]]:
            # In random order, so that no place always follows the same one.
            for place in random.sample(places, len(places)):
                took = []
                for _ in range(15):
                    began = time.perf_counter()
                    asked[place][name]()
                    took.append((time.perf_counter() - began) * 1000)
                # The first round is a warm-up.
                if number:
                    times[name, place.name].append(median(took))
    return times


def growth_table(times: dict[tuple[str, str], list[float]]) -> str:
    """Milliseconds of each request at each place, and their ratio to the first place."""
    names = list(dict.fromkeys(name for name, _ in times))

    def row(place: Place) -> list[str]:
        return [
            place.name,
            *(f"{spread(times[name, place.name], 2)}, {ratio(name, place):.2f} times" for name in names),
        ]

    def ratio(name: str, place: Place) -> float:
        base = times[name, PLACES[0].name]
        return median(here / there for here, there in zip(times[name, place.name], base, strict=True))

    return table(["tasks of the user, of the table", *names], map(row, PLACES))


def list_table(times: dict[tuple[str, str], list[float]]) -> str:
    """Milliseconds of each order and filter at each place."""
    names = sorted(dict.fromkeys(name for name, _ in times))
    places = list(dict.fromkeys(place for _, place in times))
    rows = [(f"`{name}`", *(spread(times[name, place], 2) for place in places)) for name in names]
    return table(["query", *places], rows)


def statements(app: Flask, owner: Owner) -> dict[str, str]:
    """The statements that each request sends for the user with the most tasks, by name."""
    middle, other = (f"/v1/tasks/{task_id(owner.number, FIRST + n)}" for n in (50_000, 50_001))
    # Delete three completed tasks, and others.
    for number in (19_999, 39_999, 59_999, *range(40)):
        ask(app, owner.request("DELETE", f"/v1/tasks/{task_id(owner.number, FIRST + number)}"))

    def following(query: str) -> str:
        page = ask(app, owner.request("GET", f"/v1/tasks?limit=1{query}")).json or {}
        return f"/v1/tasks?limit={PAGE}{query}&cursor={page['next_cursor']}"

    first = f"/v1/tasks?limit={PAGE}"
    asked = (
        *(("GET", f"{first}{query}", None) for query in FILTERS),
        *(("GET", following(query), None) for query in FILTERS),
        *(("GET", f"{first}{query}", None) for query in (*ORDERS, *CHOICES)),
        *(("GET", following(query), None) for query in ORDERS),
        ("GET", "/v1/tasks/changes?since=99990", None),
        ("GET", middle, None),
        ("GET", "/api/me", None),
        ("POST", "/v1/tasks", {"title": "New"}),
        ("PATCH", middle, {"title": "Changed"}),
        # Changes nothing, so that the task is looked up.
        ("PATCH", middle, {"title": "Changed"}),
        # Gives the first of these something to change when it is explained.
        ("PATCH", middle, {"title": "Back"}),
        ("POST", f"{middle}/toggle", None),
        ("DELETE", other, None),
        ("POST", f"{other}/restore", None),
    )
    found: dict[str, str] = {}
    for method, path, body in asked:
        request = owner.request(method, path, body)
        _collect(app, f"{method} {path}", request, found)
    unknown = owner.request("GET", first).replace(b"Accept: */*", b'If-None-Match: "unknown"')
    _collect(app, f"GET {first} with If-None-Match", unknown, found)
    return found


def _collect(app: Flask, name: str, request: bytes, found: dict[str, str]) -> None:
    with watch() as sent:
        answer = ask(app, request)
    if answer.status_code >= 300:
        raise RuntimeError(f"{name}: {answer.get_data(as_text=True)}")
    name = re.sub(r"0{8}-[-0-9]+", "{id}", re.sub("cursor=.*", "cursor=…", name))
    for number, text in enumerate(sent):
        if answer.status_code == 201 and answer.json:
            # EXPLAIN runs the statement again, and an existing id would take another path.
            text = text.replace(answer.json["task"]["id"], str(uuid.uuid4()))
        found.setdefault(f"{name}, {number + 1} of {len(sent)}", text)


def explain(url: str, found: dict[str, str]) -> dict[str, list[str]]:
    """Explain the statements of each request in a transaction that is rolled back."""
    plans = {}
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        for name, statement in found.items():
            if ", 1 of " in name:
                connection.rollback()
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {statement}")
            plans[name] = [line for (line,) in cursor.fetchall()]
    return plans


def plan_table(plans: dict[str, list[str]]) -> str:
    """Indexes, pages, time and unwanted steps of each statement."""

    def row(name: str, lines: list[str]) -> tuple[str, ...]:
        plan = "\n".join(lines)
        indexes = dict.fromkeys(
            re.findall(r"(?:using|Conflict Arbiter Indexes:|Bitmap Index Scan on) (\w+)", plan)
        )
        buffers = re.search(r"Buffers: shared (.*)", plan)
        pages = sum(map(int, re.findall(r"(?:hit|read)=(\d+)", buffers[1]))) if buffers else 0
        execution = re.search(r"Execution Time: ([0-9.]+)", plan)
        time_ms = execution[1] if execution else ""
        return (
            name,
            ", ".join(indexes),
            str(pages),
            time_ms,
            ", ".join(dict.fromkeys(SLOW.findall(plan))) or "none",
        )

    head = ("statement", "indexes", "pages", "ms", "sorts, table scans, rows removed")
    return table(head, [row(*item) for item in plans.items()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--port", type=int, default=8703, help="the first of three ports")
    args = parser.parse_args()
    # Exit through the context managers, which stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    secret = secrets.token_hex(32)
    with ExitStack() as stack:
        server_url = stack.enter_context(postgres_server())
        urls, ports = {}, {}
        for number, (name, people) in enumerate(DATABASES.items()):
            print(f"seeding the {name} database", file=sys.stderr, flush=True)
            urls[name] = stack.enter_context(scratch_database(server_url))
            settings = {"DATABASE_URL": urls[name], "BETTER_AUTH_SECRET": secret}
            migrate(settings)
            if name == "idle":
                with closing(psycopg2.connect(urls[name])) as connection, connection.cursor() as cursor:
                    cursor.execute(INSERT_IDLE, [IDLE_USERS])
                    connection.commit()
            fill(urls[name], people)
            ports[name] = args.port + number
            stack.enter_context(serve(STACKS["gunicorn"], ports[name], settings, workers=1))
        asked = {
            place: questions(
                Client(ports[place.database], token(secret, user_id(place.user), minutes=600)), place
            )
            for place in PLACES
        }
        times = measure(asked, args.rounds)
        # The user of each size in the large table.
        lists = {
            place: list_questions(
                Client(ports[place.database], token(secret, user_id(place.user), minutes=600)), place
            )
            for place in PLACES
            if place.database == "large"
        }
        list_times = measure(lists, args.rounds)
        app = create_app(
            {"DATABASE_URL": urls["large"], "BETTER_AUTH_SECRET": secret, "LOG_LEVEL": "WARNING"}
        )
        owner = Owner(BIGGEST, 100_000, token(secret, user_id(BIGGEST), minutes=600))
        plans = explain(urls["large"], statements(app, owner))
    text = "\n\n".join(
        [
            "One client. Milliseconds, median (minimum to maximum) of the rounds, and the ratio to the first "
            "row. The second row is another user of the same kind: its difference is noise.",
            growth_table(times),
            "Orders and filters, in milliseconds. Half of the tasks have a due date and a position, a fifth "
            "are completed, 1 % are urgent; `rare` is the tag of 5 %, and no task contains `nothing`.",
            list_table(list_times),
            "`EXPLAIN (ANALYZE, BUFFERS)` of the statements for the user with 100,000 tasks:",
            plan_table(plans),
        ]
    )
    for name, lines in plans.items():
        print(f"-- {name}", *lines, "", sep="\n")
    print(text)
    write_part("growth", text)
    names = dict.fromkeys(name for name, _ in times)
    draw(
        "growth",
        [{"place": place.name, "ms": {name: times[name, place.name] for name in names}} for place in PLACES],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

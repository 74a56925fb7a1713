"""Compares the product with the peer, the floor and the limit of the database: `make bench`.

`--quick` measures product and peer only, in under two minutes, and fails below three quarters of a goal.
"""

import argparse
import os
import platform
import secrets
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from statistics import median
from typing import NamedTuple

import psycopg2

from app import create_app
from bench import processes
from bench.captured import pgbench_script
from bench.checks import check, check_floor
from bench.client import TIMEOUT_S, Result, closed_loop, fixed_rate
from bench.database import transactions_per_second
from bench.load import TOOL, put
from bench.report import spread, table, write_part
from bench.seed import FIRST, Users, fill, make_peer_tables, migrate
from bench.servers import Server, serve
from bench.workload import BIG_USER, BIG_USER_TASKS, CELLS, TASKS, USERS, Owner, owners, prepare
from tests.postgres import scratch_database
from tests.postgres import server as postgres_server

CONNECTIONS = 32
GUARD = 0.75
# CPU of the application, as a multiple of the floor's.
CPU_GOALS = {"list": 3, "get": 2}
RATE = 100
P99_MS = 10
CROWD = 256
CROWD_P95_MS = 2000
CROWD_SUCCESS = 0.99


class Plan(NamedTuple):
    """The servers to measure, the number of rounds, seconds per turn and the first TCP port."""

    names: tuple[str, ...]
    rounds: int
    seconds: float
    port: int


class Turn(NamedTuple):
    """One measurement of a server: requests per second, and CPU in µs per request."""

    rate: float
    app_us: float
    database_us: float


Turns = dict[tuple[str, str], list[Turn]]


class Bench(NamedTuple):
    """The running database and servers."""

    url: str
    database_pid: int
    database_version: str
    settings: dict[str, str]
    everybody: list[Owner]
    servers: dict[str, Server]


@contextmanager
def started(plan: Plan) -> Iterator[Bench]:
    """Run PostgreSQL with the seed and the servers of the plan, and check their responses."""
    with ExitStack() as stack:
        url = stack.enter_context(scratch_database(stack.enter_context(postgres_server())))
        settings = {
            "DATABASE_URL": url.replace("postgresql:", "postgresql+psycopg2:"),
            "BETTER_AUTH_SECRET": secrets.token_hex(32),
        }
        say("seeding")
        migrate(settings)
        make_peer_tables(settings)
        fill(url, [Users(FIRST, USERS, TASKS), Users(BIG_USER, 1, BIG_USER_TASKS)], peer=True)
        servers = {
            name: stack.enter_context(serve(name, plan.port + number, settings))
            for number, name in enumerate(plan.names)
        }
        everybody = owners(settings["BETTER_AUTH_SECRET"])
        for name, server in servers.items():
            if name == "floor":
                check_floor(server.port)
            else:
                check(server.port, *everybody[:2])
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid(), current_setting('server_version')")
            backend, version = cursor.fetchone() or (0, "")
            yield Bench(url, processes.parent(backend), version, settings, everybody, servers)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def turn(bench: Bench, server: Server, requests: list[bytes], seconds: float) -> Turn:
    """Put load on one server. Raises RuntimeError if a request failed."""
    app, database = server.cpu_seconds(), processes.cpu_seconds(bench.database_pid)
    load = put(server.port, requests, seconds, CONNECTIONS)
    if load.failed or not load.answers:
        raise RuntimeError(f"{server.name}: {load.failed} of {load.answers} requests failed")
    app, database = server.cpu_seconds() - app, processes.cpu_seconds(bench.database_pid) - database
    return Turn(load.rate, app / load.answers * 1e6, database / load.answers * 1e6)


def database_turn(bench: Bench, script: str, seconds: float) -> Turn:
    """Put load on the database alone."""
    before = processes.cpu_seconds(bench.database_pid)
    rate = transactions_per_second(bench.url, script, seconds)
    return Turn(rate, 0, (processes.cpu_seconds(bench.database_pid) - before) / (rate * seconds) * 1e6)


def compare(bench: Bench, plan: Plan, scripts: dict[str, str]) -> Turns:
    """Measure every cell on every server in turns, so that a slow moment affects all of them."""
    cells = {name: prepare(cell, bench.everybody) for name, cell in CELLS.items()}
    for requests in cells.values():
        for server in bench.servers.values():
            turn(bench, server, requests, 1)
    turns: Turns = defaultdict(list)
    for number in range(plan.rounds):
        say(f"round {number + 1} of {plan.rounds}")
        for cell, requests in cells.items():
            for name, server in bench.servers.items():
                turns[cell, name].append(turn(bench, server, requests, plan.seconds))
            if cell in scripts:
                turns[cell, "database"].append(database_turn(bench, scripts[cell], plan.seconds))
    return turns


def ratios(turns: Turns, cell: str) -> list[float]:
    """The ratio of product to peer in each round."""
    pairs = zip(turns[cell, "product"], turns[cell, "peer"], strict=True)
    return [product.rate / peer.rate for product, peer in pairs]


def cpu_ratio(turns: Turns, cell: str) -> float:
    """The CPU per request of the product, as a multiple of the floor's."""
    product, floor = (median(turn.app_us for turn in turns[cell, name]) for name in ("product", "floor"))
    return product / floor


def ratio_table(turns: Turns) -> str:
    """The table of all cells."""

    def rate(cell: str, name: str) -> str:
        return f"{median(turn.rate for turn in turns[cell, name]):,.0f}" if turns[cell, name] else ""

    def app(cell: str, name: str) -> str:
        return f"{median(turn.app_us for turn in turns[cell, name]):,.0f}"

    def database(cell: str, name: str) -> str:
        return f"{median(turn.database_us for turn in turns[cell, name]):,.0f}"

    head = ["cell", "**product ÷ peer**", "goal", "product/s", "peer/s", "floor/s", "database/s"]
    head += ["app µs: product", "peer", "floor", "**product ÷ floor**", "goal"]
    head += ["database µs: product", "peer"]
    return table(
        head,
        [
            (
                cell,
                spread(ratios(turns, cell), 2),
                goal,
                *(rate(cell, name) for name in ("product", "peer", "floor", "database")),
                *(app(cell, name) for name in ("product", "peer", "floor")),
                f"{cpu_ratio(turns, cell):.2f}",
                CPU_GOALS.get(cell, ""),
                *(database(cell, name) for name in ("product", "peer")),
            )
            for cell, (_, goal) in CELLS.items()
        ],
    )


def other_table(bench: Bench, seconds: float) -> tuple[str, list[str]]:
    """The table of latency, memory and overload, and the goals that the product missed."""
    requests = prepare(CELLS["mixed"], bench.everybody)
    columns, missed = [], []
    for name in ("product", "peer"):
        server = bench.servers[name]
        say(f"{name}: latency and overload")
        paced = fixed_rate(server.port, requests, RATE, seconds)
        workers = [processes.memory(pid) for pid in processes.workers(server.pid)]
        crowd = closed_loop(server.port, requests, CROWD, seconds)
        statuses = sorted(crowd.statuses.items())
        columns.append(
            (
                f"{paced.percentile(50):.1f} / {paced.percentile(99):.1f}",
                ", ".join(f"{worker.rss:.0f} / {worker.pss:.0f}" for worker in workers),
                f"{crowd.successes():.2%}",
                f"{crowd.percentile(95):,.0f}",
                ", ".join(f"{status or 'no response'}: {n:,}" for status, n in statuses),
            )
        )
        if name == "product":
            missed += missed_by(paced, crowd)
    rows = (
        f"mixed at {RATE} requests per second: p50 / p99 in ms, from the time when a request was due",
        "memory per worker: RSS / PSS in MB",
        f"mixed from {CROWD} connections: 2xx responses within {TIMEOUT_S} s",
        "… p95 in ms",
        "… by status",
    )
    return table(["", "product", "peer"], zip(rows, *columns, strict=True)), missed


def missed_by(paced: Result, crowd: Result) -> list[str]:
    """The goals for latency and overload that were missed."""
    missed = []
    if paced.percentile(99) >= P99_MS or paced.successes() < 1:
        missed.append(f"p99 at {RATE} requests per second: the goal is under {P99_MS} ms")
    server_errors = {status for status in crowd.statuses if status >= 500} - {503}
    if crowd.successes() < CROWD_SUCCESS or crowd.percentile(95) >= CROWD_P95_MS or server_errors:
        missed.append(
            f"overload: the goal is {CROWD_SUCCESS:.0%}, p95 under {CROWD_P95_MS:,} ms and no 5xx but 503"
        )
    return missed


def missed_goals(turns: Turns, part: float = 1) -> list[str]:
    """The cells whose ratio is below `part` of the goal."""
    found = {cell: median(ratios(turns, cell)) for cell in CELLS}
    return [
        f"{cell}: {ratio:.2f} times the peer, the goal is {goal * part:.2f}"
        for cell, ratio in found.items()
        if ratio < (goal := CELLS[cell].goal) * part
    ]


def missed_cpu_goals(turns: Turns) -> list[str]:
    """The cells that cost more CPU than their goal allows."""
    found = {cell: cpu_ratio(turns, cell) for cell in CPU_GOALS}
    return [
        f"CPU of {cell}: {ratio:.2f} times the floor's, the goal is at most {CPU_GOALS[cell]}"
        for cell, ratio in found.items()
        if ratio > CPU_GOALS[cell]
    ]


def quick(plan: Plan) -> int:
    """Print the ratios; return 1 if one is below the guard, else 0."""
    with started(plan) as bench:
        turns = compare(bench, plan, {})
    rows = [(cell, spread(ratios(turns, cell), 2), goal, goal * GUARD) for cell, (_, goal) in CELLS.items()]
    print(table(["cell", "product ÷ peer", "goal", "fails below"], rows))
    missed = missed_goals(turns, GUARD)
    print("\n".join(missed or ["All ratios are above three quarters of their goals."]))
    return 1 if missed else 0


def full(plan: Plan) -> int:
    """Measure everything, print it and write it into docs/performance.md."""
    with started(plan) as bench:
        app = create_app(bench.settings | {"LOG_LEVEL": "WARNING"})
        single = {name: cell for name, cell in CELLS.items() if name != "mixed"}
        scripts = {name: pgbench_script(app, cell, bench.everybody[0]) for name, cell in single.items()}
        turns = compare(bench, plan, scripts)
        others, missed = other_table(bench, plan.seconds * 4)
    missed = [*missed_goals(turns), *missed_cpu_goals(turns), *missed]
    lines = [
        f"{os.cpu_count()} cores, Python {platform.python_version()}, PostgreSQL {bench.database_version}.",
        f"Load from {TOOL} over {CONNECTIONS} connections. "
        f"Median (minimum to maximum) of {plan.rounds} rounds, {plan.seconds:g} s per turn.",
        ratio_table(turns),
        others,
        "Missed goals: " + "; ".join(missed) + "." if missed else "All goals were met.",
    ]
    text = "\n\n".join(lines)
    print(text)
    write_part("comparison", text)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="product and peer only; fails below the guard")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=None, help="per turn")
    parser.add_argument("--port", type=int, default=8700, help="the first of three ports")
    args = parser.parse_args()
    # Exit through the context managers, which stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if args.quick:
        return quick(Plan(("product", "peer"), args.rounds or 3, args.seconds or 2, args.port))
    return full(Plan(("product", "peer", "floor"), args.rounds or 5, args.seconds or 5, args.port))


if __name__ == "__main__":
    sys.exit(main())

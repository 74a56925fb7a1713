"""Compares the product on both its servers with the peer, Fastify and the floor: `make bench`.

`--quick` measures product and peer only, in under two minutes, and fails below three quarters of a goal.
"""

import argparse
import os
import platform
import signal
import sys
from collections.abc import Mapping
from statistics import median

from bench import processes
from bench.client import TIMEOUT_S, Result, closed_loop, fixed_rate
from bench.load import TOOL
from bench.measure import CONNECTIONS, Database, Turns, measure, say, seeded_database, serving
from bench.report import draw, spread, table, write_part
from bench.servers import STACKS, Server, installed
from bench.workload import CELLS, GOALS, prepare

GUARD = 0.75
RATE = 100
P99_MS = 10
CROWD = 256
CROWD_P95_MS = 2000
CROWD_SUCCESS = 0.99
# Shorter for the floor: it repeats its figures best.
SECONDS = dict.fromkeys(STACKS, 2.0) | {"floor": 1.0}


def goal_table(turns: Turns, names: tuple[str, ...]) -> str:
    """How many times less CPU than the peer each stack takes, with the goals."""

    def cells(cell: str, name: str) -> tuple[str, ...]:
        ratios = turns.ratios(cell, name, "peer")
        if name not in GOALS:
            return (spread(ratios, 2),)
        goal = GOALS[name].get(cell)
        mark = "" if goal is None else f"{goal:g}, {'met' if median(ratios) >= goal else 'missed'}"
        return spread(ratios, 2), mark

    head = ["cell"]
    for name in names:
        head += [STACKS[name].label, *(["goal"] if name in GOALS else [])]
    rows = ([cell, *(text for name in names for text in cells(cell, name))] for cell in CELLS)
    return table(head, rows)


def figure_table(turns: Turns, names: tuple[str, ...], figures: tuple[str, ...]) -> str:
    """The medians of the figures of all cells and stacks."""

    def row(cell: str) -> list[str]:
        return [
            cell,
            *(" + ".join(f"{turns.median(cell, name, figure):,.0f}" for figure in figures) for name in names),
        ]

    return table(["cell", *(STACKS[name].label for name in names)], map(row, CELLS))


def other_table(database: Database, servers: Mapping[str, Server], seconds: float) -> tuple[str, list[str]]:
    """The table of latency, memory and overload, and the goals that the product missed."""
    requests = prepare(CELLS["mixed"], database.everybody)
    columns, missed = [], []
    for name, server in servers.items():
        say(f"{server.label}: latency and overload")
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
        if name in GOALS:
            missed += [f"{server.label}, {goal}" for goal in missed_by(paced, crowd)]
    rows = (
        f"mixed at {RATE} requests per second: p50 / p99 in ms, from the time when a request was due",
        "memory per worker: RSS / PSS in MB",
        f"mixed from {CROWD} connections: 2xx responses within {TIMEOUT_S} s",
        "… p95 in ms",
        "… by status",
    )
    head = ["", *(server.label for server in servers.values())]
    return table(head, zip(rows, *columns, strict=True)), missed


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
    """The cells that do not save `part` of their goal."""
    return [
        f"{STACKS[name].label}, {cell}: {ratio:.2f} times less CPU than the peer, not {goal * part:.2f}"
        for name, goals in GOALS.items()
        for cell, goal in goals.items()
        if (ratio := median(turns.ratios(cell, name, "peer"))) < goal * part
    ]


def fastify_lead(turns: Turns) -> str:
    """How far Fastify is ahead of the product."""

    def least_to_most(name: str) -> str:
        ratios = sorted(median(turns.ratios(cell, "fastify", name)) for cell in CELLS)
        return f"{ratios[0]:.1f} to {ratios[-1]:.1f} times less CPU than the {STACKS[name].label}"

    return f"Fastify takes {' and '.join(map(least_to_most, GOALS))}, depending on the cell."


def quick(port: int, rounds: int) -> int:
    """Print the ratios; return 1 if one is below the guard, else 0."""
    cells = tuple(GOALS["gunicorn"])
    with (
        seeded_database() as database,
        serving(database, installed(("gunicorn", "granian", "peer")), port) as servers,
    ):
        turns = measure(database, servers, cells, rounds, dict.fromkeys(servers, 1.0))
    rows = [
        (STACKS[name].label, cell, spread(turns.ratios(cell, name, "peer"), 2), goal, goal * GUARD)
        for name, goals in GOALS.items()
        for cell, goal in goals.items()
    ]
    print(table(["stack", "cell", "times less CPU than the peer", "goal", "fails below"], rows))
    missed = missed_goals(turns, GUARD)
    print("\n".join(missed or ["All ratios are above three quarters of their goals."]))
    return 1 if missed else 0


def full(port: int, rounds: int) -> int:
    """Measure everything, print it, write it into docs/performance.md and draw it."""
    busy = os.getloadavg()[0]
    with (
        seeded_database() as database,
        serving(database, installed(tuple(STACKS)), port) as servers,
    ):
        turns = measure(database, servers, tuple(CELLS), rounds, SECONDS)
        people = {name: server for name, server in servers.items() if name != "floor"}
        others, missed = other_table(database, people, 4)
    names, compared = tuple(servers), tuple(name for name in people if name != "peer")
    lines = [
        f"{os.cpu_count()} cores, Python {platform.python_version()}, PostgreSQL {database.version}. "
        f"Load average before the run: {busy:.1f}.",
        f"Load from {TOOL} over {CONNECTIONS} connections. Median (minimum to maximum) of {rounds} rounds, "
        f"{SECONDS['peer']:g} s per turn.",
        "How many times less CPU than the peer, application and database together:",
        goal_table(turns, compared),
        *([fastify_lead(turns)] if "fastify" in names else ["Fastify was not measured: Node.js is missing."]),
        "Requests per second:",
        figure_table(turns, names, ("rate",)),
        "CPU per request in µs, application + database:",
        figure_table(turns, names, ("app_us", "database_us")),
        others,
        "Missed: " + "; ".join(missed) + "." if missed else "All goals for latency and overload were met.",
    ]
    text = "\n\n".join(lines)
    print(text)
    write_part("comparison", text)
    draw(
        "performance",
        [
            {
                "label": STACKS[name].label,
                "cells": {cell: [turn._asdict() for turn in turns[cell, name]] for cell in CELLS},
            }
            for name in people
        ],
    )
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="product and peer only; fails below the guard")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--port", type=int, default=8700, help="the first of five ports")
    args = parser.parse_args()
    # Exit through the context managers, which stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return quick(args.port, args.rounds or 3) if args.quick else full(args.port, args.rounds or 7)


if __name__ == "__main__":
    sys.exit(main())

"""Measures one decision at a time: threads, parts of the product, versions of Python.

Run it with `python -m bench.experiments`; `make bench` includes it. `--only NAME` runs one of them.
"""

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from statistics import median
from typing import NamedTuple

from bench.measure import DELAY_MS, Database, Turns, measure, say, seeded_database, serving
from bench.report import spread, table, write_part
from bench.servers import Stack, product
from tests.live import ROOT

THREADS = (1, 2, 3, 4, 6)

PYTHONS = ("python3.12", "python3.13", "python3.14")


class Experiment(NamedTuple):
    """Stacks that are compared with the first of them, by label."""

    title: str
    stacks: list[Stack]
    cells: tuple[str, ...]
    rounds: int


def threads(server: str, delay_ms: float) -> Experiment:
    """Few and many threads per worker."""
    where = f"{delay_ms:g} ms away" if delay_ms else "near"
    stacks = [
        product(f"{number}", delay_ms=delay_ms, SERVER=server, THREADS=f"{number}") for number in THREADS
    ]
    return Experiment(f"Threads per worker on {server}, database {where}", stacks, ("mixed",), 3)


def parts() -> Experiment:
    """The product without one of its parts."""
    command = (sys.executable, "-m", "gunicorn", "--bind={HOST}:{PORT}", "bench.without:app")
    stacks = [
        product("everything on"),
        product("without the log line", LOG_LEVEL="WARNING"),
        Stack("without metrics", command, {"WITHOUT": "metrics"}),
        Stack("a connection per thread, without SQLAlchemy's pool", command, {"WITHOUT": "pool"}),
    ]
    return Experiment("Parts, on gunicorn", stacks, ("get",), 7)


def pythons(names: Iterable[str]) -> list[Experiment]:
    """The product on the versions of Python that run here, if there is another one than this."""
    found = [path for path in map(shutil.which, names) if path and version(path)]
    stacks = [product(version(path), path) for path in (sys.executable, *map(installed, found))]
    title = "Versions of Python, on gunicorn"
    return [Experiment(title, stacks, ("list", "get", "create"), 5)] if found else []


def version(python: str) -> str:
    """The version that an interpreter reports; empty if it does not run."""
    command = [python, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def installed(python: str) -> str:
    """An interpreter of this version with the packages of the service."""
    folder = ROOT / ".venv-bench/pythons" / version(python)
    done = folder / "done"
    if not done.exists():
        say(f"installing for {python}")
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        pip = [f"{folder}/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(ROOT / "requirements.txt")], check=True)
        done.touch()
    return f"{folder}/bin/python"


def run(database: Database, experiment: Experiment, port: int) -> str:
    """Measure an experiment and return its table."""
    stacks = {stack.label: stack for stack in experiment.stacks}
    say(experiment.title)
    with serving(database, stacks, port) as servers:
        turns = measure(database, servers, experiment.cells, experiment.rounds, dict.fromkeys(servers, 1.0))
    head = [experiment.title]
    for cell in experiment.cells:
        head += [f"{cell}/s", "CPU µs", "CPU ÷ first row"]
    rows = (
        [label, *(text for cell in experiment.cells for text in row(turns, cell, label))] for label in stacks
    )
    return table(head, rows)


def row(turns: Turns, cell: str, label: str) -> tuple[str, ...]:
    """Requests per second, CPU and its ratio to the first row's."""
    first = next(name for _, name in turns)
    rate = spread([turn.rate for turn in turns[cell, label]])
    ratios = turns.ratios(cell, first, label)
    return rate, f"{median(turn.cpu_us for turn in turns[cell, label]):,.0f}", spread(ratios, 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("threads", "parts", "pythons"))
    parser.add_argument("--python", action="append", help="an interpreter to compare; may be repeated")
    parser.add_argument("--port", type=int, default=8710, help="the first of five ports")
    args = parser.parse_args()
    # Exit through the context managers, which stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    makers: dict[str, Callable[[], list[Experiment]]] = {
        "threads": lambda: [
            threads(server, delay) for server in ("gunicorn", "granian") for delay in (0, DELAY_MS)
        ],
        "parts": lambda: [parts()],
        "pythons": lambda: pythons(args.python or PYTHONS),
    }
    names = [args.only] if args.only else list(makers)
    experiments = {name: makers[name]() for name in names}
    with seeded_database() as database:
        for name, group in experiments.items():
            text = "\n\n".join(run(database, experiment, args.port) for experiment in group)
            print(text)
            write_part(name, text or "No other version of Python was found.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

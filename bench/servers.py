"""The measured stacks, started as they are deployed: two workers, logs on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import requests

from bench import processes
from tests.live import ROOT, environment

START_S, STOP_S = 30, 10
PEER_PYTHON = ROOT / ".venv-bench/bin/python"
FASTIFY = ROOT / "bench/fastify"


@dataclass(frozen=True)
class Stack:
    """A command that serves on HOST and PORT with WEB_CONCURRENCY workers, and its settings.

    `delay_ms` is added to each of its round trips to the database.
    """

    label: str
    command: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    delay_ms: float = 0


def product(label: str, python: str = sys.executable, *, delay_ms: float = 0, **settings: str) -> Stack:
    """The product, started as `make run` starts it."""
    return Stack(label, (python, "deploy/serve.py"), settings, delay_ms)


UVICORN = ("-m", "uvicorn", "--host={HOST}", "--port={PORT}", "--workers={WEB_CONCURRENCY}")
STACKS = {
    "gunicorn": product("product on gunicorn", SERVER="gunicorn"),
    "granian": product("product on granian", SERVER="granian"),
    "peer": Stack(
        "peer", (f"{PEER_PYTHON}", *UVICORN, "--loop=uvloop", "--http=httptools", "bench.peer:app")
    ),
    "fastify": Stack("Fastify", ("node", f"{FASTIFY / 'server.mjs'}")),
    "floor": Stack("floor", (sys.executable, "-m", "gunicorn", "--bind={HOST}:{PORT}", "bench.floor:app")),
}


def installed(names: tuple[str, ...]) -> dict[str, Stack]:
    """The stacks of these names, without Fastify where Node.js is missing."""
    has_node = shutil.which("node") and (FASTIFY / "node_modules").exists()
    return {name: STACKS[name] for name in names if name != "fastify" or has_node}


@dataclass(frozen=True)
class Server:
    """A running server; `pid` is its first process."""

    label: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """CPU time of all its processes since their start."""
        return processes.cpu_seconds(self.pid)


@contextmanager
def serve(stack: Stack, port: int, settings: dict[str, str], workers: int = 2) -> Iterator[Server]:
    """Run a stack with `settings` and its own, and stop it at the end of the context."""
    place = {"HOST": "127.0.0.1", "PORT": f"{port}", "WEB_CONCURRENCY": f"{workers}"}
    command = [part.format(**place) for part in stack.command]
    env, quiet = environment(settings | stack.settings | place), subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=quiet, stderr=quiet)
    try:
        deadline = time.monotonic() + START_S
        while len(processes.workers(process.pid)) < workers or not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no response on port {port}: {' '.join(command)}")
            time.sleep(0.1)
        yield Server(stack.label, port, process.pid)
    finally:
        pids = processes.tree(process.pid)
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            # Including the workers, which would outlive it.
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
    except requests.ConnectionError:
        return False

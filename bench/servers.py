"""Starts the measured servers as they are deployed: two workers, logs on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import requests

from bench import processes
from tests.live import ROOT, environment

START_S, STOP_S = 30, 10
PEER_PYTHON = ROOT / ".venv-bench/bin/python"
GUNICORN = (sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "-w", "{workers}")
UVICORN = (str(PEER_PYTHON), "-m", "uvicorn", "--port", "{port}", "--workers", "{workers}")
COMMANDS = {
    "product": (*GUNICORN, "wsgi:app"),
    "peer": (*UVICORN, "bench.peer:app"),
    "floor": (*GUNICORN, "bench.floor:app"),
}


@dataclass(frozen=True)
class Server:
    """A running server; `pid` is its first process."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """CPU time of all its processes since their start."""
        return processes.cpu_seconds(self.pid)


@contextmanager
def serve(name: str, port: int, settings: dict[str, str], workers: int = 2) -> Iterator[Server]:
    """Run one of COMMANDS with `settings`, and stop it at the end of the context."""
    command = [part.format(port=port, workers=workers) for part in COMMANDS[name]]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=environment(settings), stdout=quiet, stderr=quiet)
    try:
        deadline = time.monotonic() + START_S
        while len(processes.workers(process.pid)) < workers or not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no response on port {port}: {' '.join(command)}")
            time.sleep(0.1)
        yield Server(name, port, process.pid)
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

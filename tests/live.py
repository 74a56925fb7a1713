"""A real server for the tests that need one."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import requests

from tests.polling import wait_until

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """An environment for a child process that holds `settings` and none of this process's own.

    An empty variable wins over the same one in a developer's `.env`.
    """
    ours = (ROOT / ".env.example").read_text().splitlines()
    names = [line.lstrip("# ").partition("=")[0] for line in ours if "=" in line]
    # gunicorn reads WEB_CONCURRENCY itself, and fails on an empty one.
    return {**os.environ, **dict.fromkeys(names, ""), "WEB_CONCURRENCY": "1", **settings}


def children(pid: int) -> list[int]:
    """The processes that a process has started, on Linux."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def gunicorn(
    settings: Mapping[str, str], *options: str, port: int = 0, output: int | IO[bytes] = subprocess.DEVNULL
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run `gunicorn wsgi:app` over `settings`, with one worker unless the options say otherwise.

    Yields its address and its process, and stops it at the end.
    """
    # Bound here, so that no other process can take the port before gunicorn does.
    with socket.create_server(("127.0.0.1", port)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-m", "gunicorn", "wsgi:app", "-b", f"fd://{listener.fileno()}", *options]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(settings), stdout=output, pass_fds=[listener.fileno()]
        )
    try:
        wait_until(lambda: process.poll() is not None or _answers(address), 60)
        if process.poll() is not None or not _answers(address):
            raise RuntimeError("gunicorn does not answer")
        yield address, process
    finally:
        process.terminate()
        process.wait(60)


def _answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/health", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False

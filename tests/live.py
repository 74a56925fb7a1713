"""A real server for the tests that need one."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import requests
from flask_migrate import upgrade

from app import create_app
from app.extensions import db
from tests.polling import wait_until

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def reserve_port() -> socket.socket:
    """Keep a loopback port from other processes, for a server that comes and goes (SO_REUSEPORT)."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """An environment for a child process that holds `settings` and none of this process's own.

    An empty variable wins over the same one in a developer's `.env`.
    """
    ours = (ROOT / ".env.example").read_text().splitlines()
    names = [line.lstrip("# ").partition("=")[0] for line in ours if "=" in line]
    # gunicorn reads WEB_CONCURRENCY itself, and fails on an empty one.
    return {**os.environ, **dict.fromkeys(names, ""), "WEB_CONCURRENCY": "1", **settings}


def migrate(settings: Mapping[str, str]) -> None:
    """Create the tables of the database that `settings` name."""
    app = create_app(settings)
    with app.app_context():
        upgrade()
        db.engine.dispose()


def children(pid: int) -> list[int]:
    """The processes that a process has started, on Linux."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def gunicorn(
    settings: Mapping[str, str], *options: str, port: int = 0, output: int | IO[bytes] = subprocess.DEVNULL
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run `gunicorn wsgi:app` over `settings`, with one worker unless they or the options say otherwise.

    Yields its address and its process, and stops it at the end.
    """
    # Bound here, so that no other process can take the port before gunicorn does.
    with socket.create_server(("127.0.0.1", port)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "wsgi:app", "-b", f"fd://{listener.fileno()}", *options]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(settings), stdout=output, pass_fds=[listener.fileno()]
        )
    address = f"http://127.0.0.1:{port}"
    with running(process, f"{address}/health"):
        yield address, process


@contextmanager
def granian(
    settings: Mapping[str, str], *, port: int = 0, output: int | IO[bytes] = subprocess.DEVNULL
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run granian, as `gunicorn` does; it cannot take a socket that is bound already."""
    port = port or free_port()
    env = environment({**settings, "SERVER": "granian", "PORT": str(port)})
    process = subprocess.Popen([sys.executable, "deploy/serve.py"], cwd=ROOT, env=env, stdout=output)
    address = f"http://127.0.0.1:{port}"
    with running(process, f"{address}/health"):
        yield address, process


SERVERS: dict[str, Callable[..., AbstractContextManager[tuple[str, "subprocess.Popen[bytes]"]]]] = {
    "gunicorn": gunicorn,
    "granian": granian,
}


@contextmanager
def running(process: "subprocess.Popen[bytes]", url: str) -> Iterator[None]:
    """Wait until a server answers at the URL, and stop it at the end."""
    try:
        wait_until(lambda: process.poll() is not None or _answers(url), 60)
        if process.poll() is not None or not _answers(url):
            raise RuntimeError(f"{process.args!r} does not answer")
        yield
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False

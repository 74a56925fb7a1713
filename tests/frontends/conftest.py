"""A live server for frontends that run in node: `make frontend-test`, which installs their packages."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.live import gunicorn, migrate

FOLDER = Path(__file__).parent
Serve = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """A function that runs the service with settings over an empty database, and yields its address."""

    @contextmanager
    def serve(**settings: str) -> Iterator[str]:
        settings |= {"DATABASE_URL": f"sqlite:///{tmp_path / 'tasks.db'}", "LOG_LEVEL": "ERROR"}
        migrate(settings)
        with gunicorn(settings) as (address, _):
            yield address

    return serve


def node(*arguments: str) -> None:
    """Run a script of this folder, which finds its packages; fail with what it prints."""
    command = ["node", *arguments]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr

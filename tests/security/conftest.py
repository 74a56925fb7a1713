"""Key servers, and applications that verify with what they publish."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.auth.keys import KeySet, fetch_key_set
from app.extensions import db
from tests.security.key_server import KeyServer

MakeServer = Callable[..., KeyServer]
MakeApp = Callable[..., Flask]
SetLimit = Callable[[float], None]
# Seconds for a fetch of a server that answers, and of one that does not.
PATIENT, HASTY = 60, 0.1


class Clock:
    """A clock that goes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def key_servers() -> Iterator[MakeServer]:
    """Start key servers, and stop them after the module."""
    yield from _servers()


@pytest.fixture
def key_server() -> Iterator[MakeServer]:
    """Start key servers, and stop them after the test."""
    yield from _servers()


def _servers() -> Iterator[MakeServer]:
    started: list[KeyServer] = []

    def start(*keys: Any) -> KeyServer:
        started.append(KeyServer(*keys))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def key_set_app(migrated_sqlite: Path) -> Iterator[MakeApp]:
    """Make an application in key set mode from its settings."""
    apps: list[Flask] = []

    def make(**settings: str) -> Flask:
        apps.append(
            create_app({"DATABASE_URL": f"sqlite:///{migrated_sqlite}", "LOG_LEVEL": "ERROR", **settings})
        )
        return apps[-1]

    yield make
    for app in apps:
        with app.app_context():
            db.engine.dispose()


class Fetches:
    """Fetches key sets as the service does, and counts them here: a busy machine's server counts later."""

    def __init__(self) -> None:
        self.begun = self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def __call__(self, url: str) -> bytes:
        with self._lock:
            self.begun += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return fetch_key_set(url)
        finally:
            with self._lock:
                self.at_once -= 1


@pytest.fixture
def fetches() -> Fetches:
    """The fetches of every key set made after `clock`."""
    return Fetches()


@pytest.fixture
def clock(fetches: Fetches, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every key set and token cache made after it; the time of `exp` goes on by itself."""
    clock = Clock()
    monkeypatch.setattr("app.auth.tokens.KeySet", partial(KeySet, fetch=fetches, clock=clock))
    monkeypatch.setattr("app.auth.tokens.time", SimpleNamespace(time=time.time, monotonic=clock))
    return clock


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> SetLimit:
    """Set how long a fetch may take: so long that no server is too slow, until a test expects a stall."""

    def set_to(seconds: float) -> None:
        monkeypatch.setattr("app.auth.keys.FETCH_SECONDS", seconds)

    set_to(PATIENT)
    return set_to

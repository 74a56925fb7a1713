"""60 clients that send a byte now and then: others notice nothing behind nginx, and wait without it."""

import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from typing import NamedTuple

import pytest
import requests

from tests.drills.conftest import lasting_port
from tests.drills.drill import notes
from tests.nginx import needs_nginx, nginx
from tests.people import token

SLOW = 60
DRIP_S = 0.5
# Below the rate at which nginx answers 429.
PAUSE_S = 0.03
SAMPLES = 100
AT_LEAST_S = 0.25
LONGEST_S = 20  # some 10 on an idle machine

pytestmark = pytest.mark.usefixtures("postgres_service")


class Slow(NamedTuple):
    """A request that never comes to its end: how it begins, and what is sent of it time and again."""

    opening: bytes
    piece: bytes


def slow_headers(_token: str) -> Slow:
    return Slow(b"GET /api/tasks HTTP/1.1\r\nHost: tasks\r\nX-Slow: ", b"a")


def slow_body(token: str) -> Slow:
    lines = ["POST /api/tasks HTTP/1.1", "Host: tasks", f"Authorization: Bearer {token}"]
    lines += ["Content-Type: application/json", "Content-Length: 60000", "", '{"title": "slow"']
    return Slow("\r\n".join(lines).encode(), b" ")


KINDS = [slow_headers, slow_body]


class SlowClients:
    """60 connections that each drip a request; one that was ended is made anew at once."""

    def __init__(self, port: int, kinds: list[Slow]) -> None:
        self._port, self._kinds = port, kinds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._drip, daemon=True)
        self._sockets = [self._open(number) for number in range(SLOW)]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        for one in self._sockets:
            one.close()

    def _open(self, number: int) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        made.sendall(self._kinds[number % len(self._kinds)].opening)
        made.setblocking(False)
        return made

    def _drip(self) -> None:
        while not self._stopped.wait(DRIP_S):
            for number, one in enumerate(self._sockets):
                with suppress(BlockingIOError):
                    try:
                        one.send(self._kinds[number % len(self._kinds)].piece)
                        one.recv(1000)
                    except ConnectionError:
                        pass
                    one.close()
                    self._sockets[number] = self._open(number)


@contextmanager
def slow_clients(port: int, *kinds: Slow) -> Iterator[SlowClients]:
    """Have them connected and at it."""
    clients = SlowClients(port, list(kinds))
    clients.start()
    try:
        yield clients
    finally:
        clients.stop()


class Other:
    """A client as others are; each request is timed."""

    def __init__(self, address: str, secret: str, user: str) -> None:
        self._url = f"{address}/api/tasks"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token(secret, user)}"

    def read(self) -> float:
        return self._time(lambda: self._session.get(f"{self._url}?limit=20", timeout=30), 200)

    def write(self) -> float:
        return self._time(lambda: self._session.post(self._url, json={"title": "other"}, timeout=30), 201)

    def p95(self) -> float:
        """Of a number of requests in a row, a quarter of them writes."""
        pause = threading.Event()
        deadline = time.monotonic() + LONGEST_S
        times: list[float] = []
        for number in range(SAMPLES):
            pause.wait(PAUSE_S)
            assert time.monotonic() < deadline, f"only {len(times)} answers"
            times.append(self.read() if number % 4 else self.write())
        return statistics.quantiles(times, n=20)[-1]

    def _time(self, ask: Callable[[], requests.Response], expected: int) -> float:
        began = time.monotonic()
        answer = ask()
        assert answer.status_code == expected, answer.text
        return time.monotonic() - began


@needs_nginx
def test_behind_nginx_others_notice_nothing(port: int, secret: str) -> None:
    front = lasting_port()
    with nginx(front, port) as address:
        other = Other(address, secret, "alice")
        alone = other.p95()
        limit = max(3 * alone, AT_LEAST_S)
        for kind in KINDS:
            with slow_clients(front, kind(token(secret, "mallory"))):
                beside = other.p95()
            name = kind.__name__.replace("_", " ")
            notes.append(
                f"{SLOW} clients, {name}, behind nginx: p95 {beside * 1e3:.0f} ms, else {alone * 1e3:.0f}"
            )
            assert beside <= limit


def test_without_a_proxy_others_wait_for_a_bounded_time(port: int, secret: str) -> None:
    others = [Other(f"http://127.0.0.1:{port}", secret, f"user{number}") for number in range(4)]
    with ThreadPoolExecutor() as pool:
        with slow_clients(port, *(kind(token(secret, "mallory")) for kind in KINDS)):
            asks = [other.read for other in others[:2]] + [other.write for other in others[2:]]
            waits = [pool.submit(ask) for ask in asks]
            worst = max(wait.result() for wait in waits)
        after = max(pool.map(lambda other: other.read(), others))
    notes.append(f"{SLOW} clients, straight to gunicorn: {worst:.1f} s at worst, then {after * 1e3:.0f} ms")
    assert worst <= LONGEST_S
    assert after <= 1


def test_a_body_that_comes_slowly_is_refused_and_changes_nothing(port: int, secret: str) -> None:
    mallory = f"mallory-{port}"
    slow = slow_body(token(secret, mallory))
    stopped = threading.Event()
    with socket.create_connection(("127.0.0.1", port), timeout=15) as one, ThreadPoolExecutor() as pool:
        one.sendall(slow.opening)

        def drip() -> None:
            with suppress(OSError):
                while not stopped.wait(DRIP_S):
                    one.sendall(slow.piece)

        dripping = pool.submit(drip)
        try:
            answer = HTTPResponse(one)
            answer.begin()
            problem = json.loads(answer.read())
        finally:
            stopped.set()
        dripping.result()
    assert (answer.status, problem["code"]) == (400, "bad_request")
    headers = {"Authorization": f"Bearer {token(secret, mallory)}"}
    me = requests.get(f"http://127.0.0.1:{port}/api/me", headers=headers, timeout=15).json()
    assert me["rev"] == 0

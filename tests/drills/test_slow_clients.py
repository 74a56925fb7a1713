"""Clients that drip, do not read, do not close or only connect: others do not notice."""

import json
import resource
import select
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest
import requests

from tests.drills.conftest import Service, lasting_port
from tests.drills.drill import notes
from tests.nginx import needs_nginx, nginx
from tests.people import token
from tests.polling import wait_until

SLOW = 60
DRIP_S = 0.5
# Below the rate at which nginx answers 429.
PAUSE_S = 0.03
SAMPLES = 100
AT_LEAST_S = 0.25
LONGEST_S = 20
# Straight to gunicorn: how often and how long a bystander asks, and the 95th percentile of its waits.
ASK_S = 0.05
WATCHED_S = 12
P95_S = 1
GIVE_UP_S = 10


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
@pytest.mark.usefixtures("postgres_service")
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


Clients = TypeVar("Clients")


class Crowd(NamedTuple):
    """Clients that connect, send something and do no more."""

    number: int
    request: bytes


HEALTH = b"GET /health HTTP/1.1\r\nHost: tasks\r\n"
LARGEST = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: tasks\r\n\r\n"
READING_NOTHING = Crowd(60, LARGEST * 6)
NOT_CLOSING = Crowd(200, HEALTH + b"Connection: close\r\n\r\n")
SILENT = Crowd(2600, b"")


@contextmanager
def crowd(port: int, clients: Crowd) -> Iterator[list[socket.socket]]:
    """Have them come."""
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        for _ in range(clients.number):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            one.sendall(clients.request)
            sockets.append(one)
        yield sockets


def bystander_waits(port: int) -> list[float]:
    """How long /health takes on a new connection every 50 ms, counted from when each is due."""
    began = time.monotonic()
    waits: list[float] = []
    for number in range(round(WATCHED_S / ASK_S)):
        due = began + number * ASK_S
        time.sleep(max(due - time.monotonic(), 0))
        with closing(HTTPConnection("127.0.0.1", port, timeout=GIVE_UP_S)) as connection:
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200
        waits.append(time.monotonic() - due)
        assert waits[-1] < GIVE_UP_S
    return waits


@contextmanager
def unnoticed(what: str, port: int, clients: AbstractContextManager[Clients]) -> Iterator[Clients]:
    """Let the clients connect, and from that moment on ask for /health as a bystander."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        coming = pool.submit(stack.enter_context, clients)
        waits = bystander_waits(port)
        p95 = statistics.quantiles(waits, n=20)[-1]
        notes.append(
            f"{what}, straight to gunicorn: /health p95 {p95 * 1e3:.0f} ms, at most {max(waits):.2f} s"
        )
        assert p95 < P95_S
        yield coming.result()


@pytest.mark.usefixtures("sqlite_service")
@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_drips_holds_up_nobody(kind: Callable[[str], Slow], port: int, secret: str) -> None:
    name = kind.__name__.replace("_", " ")
    with unnoticed(f"{SLOW} clients, {name}", port, slow_clients(port, kind(token(secret, "mallory")))):
        pass


@pytest.mark.usefixtures("sqlite_service")
def test_a_client_that_reads_nothing_holds_up_nobody_and_is_dropped(port: int) -> None:
    with unnoticed("60 clients that read nothing", port, crowd(port, READING_NOTHING)) as clients:
        # The kernel keeps less than all six responses.
        assert wait_until(lambda: all(is_reset(client) for client in clients), 30)


@pytest.mark.usefixtures("sqlite_service")
def test_a_client_that_does_not_close_holds_up_nobody(port: int) -> None:
    with unnoticed("200 clients that do not close", port, crowd(port, NOT_CLOSING)) as clients:
        for client in clients:
            assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_more_silent_clients_than_files_hold_up_nobody(
    service: Service, port: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        with open_files(1024):
            stack.enter_context(service(f"sqlite:///{tmp_path}/tasks.db"))
        stack.enter_context(open_files(SILENT.number + 1000))
        with unnoticed("2600 silent connections, 1024 files", port, crowd(port, SILENT)):
            pass
    told = [line for line in capfd.readouterr().err.splitlines() if "No room" in line]
    assert 1 <= len(told) <= 2, "once for each worker that is full"


@contextmanager
def open_files(limit: int) -> Iterator[None]:
    """Limit the files of this process, and of those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 < hard < limit:
        pytest.skip(f"needs ulimit -Hn {limit}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_reset(client: socket.socket) -> bool:
    """Whether the server has ended a connection that nobody reads from."""
    poller = select.poll()
    poller.register(client, 0)
    return bool(poller.poll(0))


@pytest.fixture
def sqlite_service(service: Service, tmp_path: Path) -> Iterator[None]:
    """The service over a database that nobody asks."""
    with service(f"sqlite:///{tmp_path}/tasks.db"):
        yield


@pytest.mark.usefixtures("postgres_service")
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

"""granian behind nginx: clients that drip, do not read, do not close or say nothing hold up nobody else."""

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import requests

from tests.drills.conftest import lasting_port
from tests.drills.drill import notes
from tests.nginx import needs_nginx, nginx
from tests.people import token

pytestmark = [needs_nginx, pytest.mark.usefixtures("postgres_service")]

CLIENTS = 60
DRIP_S = 0.5
# The bystander's, from the moment the others come.
PAUSE_S = 0.05
WATCHED_S = 12
P95_S = 1
LARGEST_FILE = "/docs/swagger-ui-bundle.js"


@pytest.fixture
def server() -> str:
    return "granian"


def opening(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: tasks", *headers, ""]).encode()


def dripped_head(_token: str) -> bytes:
    return opening("GET /api/tasks") + b"X-Slow: "


def dripped_body(token: str) -> bytes:
    headers = [f"Authorization: Bearer {token}", "Content-Type: application/json", "Content-Length: 60000"]
    return opening("POST /api/tasks", *headers) + b'\r\n{"title": "'


def unread_answers(_token: str) -> bytes:
    return (opening(f"GET {LARGEST_FILE}") + b"\r\n") * 6


def unclosed(_token: str) -> bytes:
    return opening("GET /health", "Connection: close") + b"\r\n"


def silent(_token: str) -> bytes:
    return b""


CASES: list[tuple[Callable[[str], bytes], bytes]] = [
    (dripped_head, b"a"),
    (dripped_body, b"a"),
    (unread_answers, b""),
    (unclosed, b""),
    (silent, b""),
]


@contextmanager
def held_open(port: int, begin: bytes, piece: bytes) -> Iterator[None]:
    """Clients that send a beginning, then a piece now and then, and neither read nor close."""
    stopped = threading.Event()
    clients: list[socket.socket] = []

    def come() -> socket.socket:
        client = socket.socket()
        # So that not much of an answer is in the kernel's hands.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(5)
        client.connect(("127.0.0.1", port))
        client.sendall(begin)
        return client

    def drip() -> None:
        while not stopped.wait(DRIP_S):
            for number, client in enumerate(clients):
                try:
                    client.sendall(piece)
                except OSError:  # It was dropped, and comes again.
                    client.close()
                    with suppress(OSError):
                        clients[number] = come()

    clients += [come() for _ in range(CLIENTS)]
    dripping = threading.Thread(target=drip, daemon=True)
    dripping.start()
    try:
        yield
    finally:
        stopped.set()
        dripping.join()
        for client in clients:
            client.close()


def bystander(address: str) -> list[float]:
    """The seconds of each request of a client with an address of its own; all have to be answered."""
    host, _, port = address.removeprefix("http://").partition(":")
    times = []
    until = time.monotonic() + WATCHED_S
    while time.monotonic() < until:
        began = time.monotonic()
        with socket.create_connection((host, int(port)), 10, ("127.0.0.2", 0)) as one:
            one.sendall(unclosed(""))
            answer = b"".join(iter(lambda one=one: one.recv(4096), b""))  # type: ignore[misc]
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        times.append(time.monotonic() - began)
        threading.Event().wait(PAUSE_S)
    return times


@pytest.mark.parametrize(("begin", "piece"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_bystander_is_served_meanwhile(
    begin: Callable[[str], bytes], piece: bytes, port: int, secret: str
) -> None:
    front = lasting_port()
    with nginx(front, port) as address:
        assert requests.get(address + LARGEST_FILE, timeout=10).ok
        with held_open(front, begin(token(secret, "mallory")), piece):
            times = bystander(address)
    p95 = statistics.quantiles(times, n=20)[-1]
    name = begin.__name__.replace("_", " ")
    notes.append(
        f"granian behind nginx, {CLIENTS} clients, {name}: p95 of a bystander {p95 * 1e3:.0f} ms, "
        f"worst {max(times) * 1e3:.0f} ms, {len(times)} requests, none lost"
    )
    assert p95 < P95_S

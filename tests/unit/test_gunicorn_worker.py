"""gunicorn's worker: when a request is whole, and a main loop that no client stops."""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from selectors import DefaultSelector
from typing import Any
from unittest.mock import Mock

import pytest
from gunicorn.config import Config

import gunicorn_worker
from app.limits import MAX_BATCH_BODY, MAX_BODY
from gunicorn_worker import BATCH_BODY_BYTES, BODY_BYTES, HEAD_BYTES, Incoming, Worker
from tests.live import ROOT
from tests.polling import wait_until

GET = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = 8_000_000
TIMEOUT_S = 15


def with_length(body: bytes, *lines: bytes) -> bytes:
    return b"".join([POST, b"Content-Length: %d\r\n" % len(body), *lines, b"\r\n", body])


WHOLE = {
    "no body": GET,
    "an empty line before it": b"\r\n" + GET,
    "no body announced": with_length(b""),
    "length": with_length(b'{"a":\r\n\r\n1}'),
    "chunks": CHUNKED + b"5\r\n0\r\n\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
    "chunks and trailers": CHUNKED + b"A\r\n0123456789\r\n00\r\nX: y\r\nZ: y\r\n\r\n",
    "a name in capitals": with_length(b"{}").replace(b"Content-Length", b"CONTENT-LENGTH"),
}
REFUSED = {
    "a bare LF": b"GET / HTTP/1.1\nHost: x\n\n",
    "no number": POST + b"Content-Length: ten\r\n\r\n",
    "a length in too many digits": POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a body that is too large": POST + b"Content-Length: %d\r\n\r\n" % (BODY_BYTES + 1),
    "a coding without chunks": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "no chunk": CHUNKED + b"zz\r\n",
    "a head without end": b"GET / HTTP/1.1\r\nX: ".ljust(HEAD_BYTES + BODY_BYTES + 1, b"a"),
}


@pytest.mark.parametrize("request_", WHOLE.values(), ids=WHOLE)
def test_a_request_that_drips_is_whole_with_its_last_byte(request_: bytes) -> None:
    incoming = Incoming()
    seen = []
    for byte in request_:
        incoming.data.append(byte)
        seen.append(incoming.is_whole())
    assert seen == [False] * (len(request_) - 1) + [True]
    assert Incoming(request_).is_whole()
    assert Incoming(request_ + GET).is_whole()


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
def test_a_request_that_will_be_refused_is_not_waited_for(request_: bytes) -> None:
    assert Incoming(request_).is_whole()


def test_chunks_are_waited_for_until_the_application_can_tell_that_they_are_too_many() -> None:
    assert not Incoming(CHUNKED + b"fffff\r\n" + b"a" * BODY_BYTES).is_whole()
    assert Incoming(CHUNKED + b"fffff\r\n" + b"a" * (BODY_BYTES + 1)).is_whole()
    assert BODY_BYTES >= MAX_BODY + 1024


@pytest.mark.parametrize("path", [b"/v1/tasks/batch", b"/api/a%20b/tasks/batch/", b"/api/tasks/batch?x=1"])
def test_a_batch_may_have_a_larger_body(path: bytes) -> None:
    def incoming(method: bytes, size: int, arrived: int) -> Incoming:
        head = b" ".join([method, path, b"HTTP/1.1\r\nContent-Length: "])
        return Incoming(head + b"%d\r\n\r\n" % size + b"a" * arrived)

    assert not incoming(b"POST", BATCH_BODY_BYTES, BATCH_BODY_BYTES - 1).is_whole()
    assert incoming(b"POST", BATCH_BODY_BYTES + 1, 0).is_whole()
    assert incoming(b"PUT", BATCH_BODY_BYTES, 0).is_whole()
    assert BATCH_BODY_BYTES >= MAX_BATCH_BODY + 1024


def application(environ: Any, start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/large":
        body = b"a" * LARGE
    elif environ["PATH_INFO"] == "/slow":
        time.sleep(0.8)
        body = b"slow"
    elif environ["PATH_INFO"] == "/echo":
        body = environ["wsgi.input"].read()
    else:
        body = b"small"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class Running:
    """A worker that runs in a thread, without a master."""

    def __init__(self) -> None:
        config = Config()
        config.set("threads", 2)
        self.log = Mock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.worker = Worker(1, os.getppid(), [self.listener], None, 30, config, self.log)
        self.worker.tpool = self.worker.get_thread_pool()
        self.worker.poller = DefaultSelector()
        self.worker.method_queue.init()
        self.worker.wsgi = application
        self._pool = ThreadPoolExecutor(1)
        self._clients: list[socket.socket] = []

    def start(self) -> None:
        self._ended = self._pool.submit(self.worker.run)

    def stop(self) -> None:
        self.worker.alive = False
        for client in self._clients:
            client.close()
        self._ended.result(TIMEOUT_S)
        self._pool.shutdown()
        self.worker.tmp.close()

    def client(self, data: bytes = b"") -> socket.socket:
        made = socket.create_connection(self.address, timeout=TIMEOUT_S)
        self._clients.append(made)
        made.sendall(data)
        return made


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the worker's limits."""

    def set_limits(**values: float) -> None:
        for name, value in values.items():
            monkeypatch.setattr(gunicorn_worker, name, value)

    return set_limits


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    made.start()
    yield made
    made.stop()


def received(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    return b"".join(iter(lambda: client.recv(65_536), b""))


def bodies(client: socket.socket, number: int) -> list[bytes]:
    """The bodies of responses that come one after the other, and not a byte more."""
    found = []
    with client.makefile("rb", buffering=0) as stream:
        for _ in range(number):
            head = b"".join(iter(stream.readline, b"\r\n"))
            assert head.startswith(b"HTTP/1.1 200 OK"), head
            size = int(head.split(b"Content-Length: ")[1].split()[0])
            body = bytearray()
            while len(body) < size:
                body += stream.read(size - len(body)) or b""
            found.append(bytes(body))
    return found


def is_ended(client: socket.socket) -> bool:
    """Whether the server has closed or reset the connection."""
    client.setblocking(False)
    with suppress(BlockingIOError):
        try:
            return client.recv(1, socket.MSG_PEEK) == b""
        except ConnectionResetError:
            return True
    return False


def test_requests_on_one_connection_are_answered_in_turn(running: Running) -> None:
    client = running.client(GET + with_length(b"one") + CHUNKED + b"3\r\ntwo\r\n0\r\n\r\n" + GET)
    assert bodies(client, 4) == [b"small", b"one", b"two", b"small"]
    client.sendall(with_length(b"three"))
    assert bodies(client, 1) == [b"three"]


@pytest.mark.parametrize("size", [1, 10_000, MAX_BODY])
def test_a_body_in_pieces_arrives_whole(running: Running, size: int) -> None:
    request = with_length(b"a" * size)
    client = running.client(request[:40])
    for at in range(40, len(request), 9_000):
        client.sendall(request[at : at + 9_000])
    assert bodies(client, 1) == [b"a" * size]


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_a_client_that_expects_100_is_told_once_to_go_on(running: Running, version: bytes) -> None:
    request = with_length(b"body", b"Expect: 100-continue\r\n").replace(b"HTTP/1.1", version)
    client = running.client(request[:-4])
    if version == b"HTTP/1.1":
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(request[-4:])
    client.shutdown(socket.SHUT_WR)
    answer = received(client)
    assert answer.startswith(version + b" 200 OK")
    assert answer.endswith(b"body")


def test_a_pipelined_client_that_expects_100_is_told_to_go_on(running: Running) -> None:
    request = with_length(b"body", b"Expect: 100-continue\r\n")
    client = running.client(GET + request[:-4])
    assert bodies(client, 1) == [b"small"]
    assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(request[-4:])
    assert bodies(client, 1) == [b"body"]


def test_an_unread_body_is_not_taken_for_the_next_request(running: Running) -> None:
    body = GET * (BODY_BYTES // len(GET) + 1)
    client = running.client(with_length(body).replace(b"/echo", b"/small"))
    assert received(client).count(b"HTTP/1.1 200 OK") == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\nHost: x\n\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nnonsense: x\x00\r\n\r\n", b"400"),
        (b"GET / nonsense/1.1\r\n\r\n", b"400"),
        (b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 5000), b"414"),
        (with_length(b"body", b"Expect: more\r\n"), b"417"),
        (CHUNKED.replace(b"chunked", b"rot13"), b"501"),
    ],
)
def test_what_the_parser_refuses_is_answered_and_not_repeated(
    running: Running, request_: bytes, status: bytes
) -> None:
    response = received(running.client(request_))
    assert response.startswith(b"HTTP/1.1 " + status)
    assert not any(word in response for word in (b"nonsense", b"rot13", b"more", b"aaa"))


def test_a_request_that_arrived_whole_is_answered_however_long_it_takes(
    limits: Callable[..., None], running: Running
) -> None:
    limits(READ_SECONDS=0.1, WRITE_SECONDS=0.1, LINGER_SECONDS=0.1)
    assert bodies(running.client(GET.replace(b"small", b"slow")), 1) == [b"slow"]


@pytest.mark.parametrize("sent", [b"", b"GET / HTT", CHUNKED], ids=["nothing", "half a head", "no body"])
def test_a_request_that_does_not_arrive_is_given_up(
    limits: Callable[..., None], running: Running, sent: bytes
) -> None:
    limits(READ_SECONDS=0.1)
    assert b"200 OK" not in received(running.client(sent))


def test_threads_are_free_while_requests_and_responses_are_on_their_way(running: Running) -> None:
    half, unread = with_length(b"a" * 1000)[:-1], GET.replace(b"small", b"large") * 3
    slow = [running.client(half) for _ in range(5)] + [running.client(unread) for _ in range(5)]
    assert wait_until(lambda: running.worker.nr_conns == len(slow))
    assert bodies(running.client(GET), 1) == [b"small"]
    slow[0].sendall(b"a")
    assert bodies(slow[0], 1) == [b"a" * 1000]
    assert [len(body) for body in bodies(slow[-1], 3)] == [LARGE] * 3


def test_a_client_that_does_not_read_is_reset(limits: Callable[..., None], running: Running) -> None:
    limits(WRITE_SECONDS=0.2)
    client = running.client(GET.replace(b"small", b"large") * 6)
    assert wait_until(lambda: running.worker.nr_conns == 0 and running.worker.nr > 0)
    with pytest.raises(ConnectionResetError):
        received(client)


def test_unsent_responses_have_a_limit_together(limits: Callable[..., None], running: Running) -> None:
    limits(HELD_BYTES=LARGE * 2)
    clients = []
    for number in range(1, 5):
        clients.append(running.client(GET.replace(b"small", b"large")))
        assert wait_until(partial(all_wait, running.worker, number))
    assert running.worker.nr_conns < len(clients)
    assert [len(body) for body in bodies(clients[-1], 1)] == [LARGE]


def all_wait(worker: Worker, answered: int) -> bool:
    return worker.nr == answered and len(worker.waiting) == worker.nr_conns


def test_a_client_that_does_not_close_is_given_up(limits: Callable[..., None], running: Running) -> None:
    limits(LINGER_SECONDS=0.1)
    client = running.client(GET.replace(b"Host", b"Connection: close\r\nHost"))
    assert received(client).endswith(b"small")
    assert wait_until(lambda: running.worker.nr_conns == 0)


def test_the_longest_idle_make_room_and_the_log_says_so_once(running: Running) -> None:
    running.worker.worker_connections = 3
    idle = [running.client() for _ in range(6)]
    assert bodies(running.client(GET), 1) == [b"small"]
    assert wait_until(lambda: [is_ended(client) for client in idle] == [True] * 5 + [False])
    assert running.log.error.call_count == 1


def test_a_worker_without_a_file_for_a_client_drops_another(running: Running) -> None:
    idle = running.client(GET)
    assert bodies(idle, 1) == [b"small"]
    with socket.socket() as client:
        client.settimeout(TIMEOUT_S)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(client.fileno())
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            client.connect(running.address)
            client.sendall(GET)
            answer = client.recv(1000)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert answer.endswith(b"small")
    assert is_ended(idle)
    assert running.log.error.call_count == 1


def test_a_worker_that_stops_takes_those_that_wait_and_refuses_the_next(
    limits: Callable[..., None], running: Running
) -> None:
    limits(STOP_SECONDS=0.2)
    slow, idle = running.client(GET.replace(b"small", b"slow")), running.client()
    assert wait_until(lambda: running.worker.nr_conns == 2)
    running.worker.handle_exit(0, None)
    assert wait_until(lambda: refuses(running.address))
    assert received(slow).endswith(b"slow")
    assert received(idle) == b""


def refuses(address: Any) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) != 0


def test_the_master_imports_nothing_of_the_application() -> None:
    # A reload (SIGHUP) takes new code only because each worker imports it.
    probe = (
        "import gunicorn_worker, sys; sys.exit(any(name.partition('.')[0] == 'app' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", probe], cwd=ROOT, timeout=60).returncode == 0


def test_a_worker_takes_tls_for_a_mistake() -> None:
    config = Config()
    config.set("certfile", __file__)
    with pytest.raises(RuntimeError, match="certfile"):
        Worker.check_config(config, Mock())

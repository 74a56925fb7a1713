"""What gunicorn and granian have in common, tested on each with two workers."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import requests
from flask import Flask

from app.limits import MAX_BATCH_BODY
from tests.live import SERVERS, children
from tests.people import token
from tests.polling import wait_until

if TYPE_CHECKING:
    from subprocess import Popen


class Live(NamedTuple):
    """A server, and the file of its standard output."""

    address: str
    port: int
    process: "Popen[bytes]"
    log: Path


@pytest.fixture(scope="module", params=SERVERS)
def live(
    request: pytest.FixtureRequest,
    migrated_app: Flask,
    environ: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Live]:
    """Each server in turn, which trusts the proxy at 127.0.0.2 alone."""
    settings = environ | {"WEB_CONCURRENCY": "2", "FORWARDED_ALLOW_IPS": "127.0.0.2"}
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as output, SERVERS[request.param](settings, output=output) as (address, process):
        yield Live(address, int(address.rpartition(":")[2]), process, log)
        process.terminate()
        assert process.wait(30) == 0
    # Nothing but the application's log.
    assert all(json.loads(line) for line in log.read_text().splitlines())


pytestmark = pytest.mark.databases("sqlite")


def exchange(live: Live, data: bytes, source: str = "127.0.0.1") -> tuple[int, bytes]:
    """The status of an answer to raw bytes, and all of it; 0 if the connection is closed without one."""
    with socket.create_connection(("127.0.0.1", live.port), 10, (source, 0)) as one:
        one.sendall(data)
        answer = b"".join(iter(lambda: one.recv(65_536), b""))
    return int(answer[9:12] or 0), answer


def request(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: tasks", "Connection: close", *headers, "", ""]).encode()


def line(live: Live, request_id: str) -> dict[str, object]:
    """The line of a request in the log."""
    found: list[dict[str, object]] = []

    def is_there() -> bool:
        lines = [json.loads(line) for line in live.log.read_text().splitlines()]
        found[:] = [line for line in lines if line["request_id"] == request_id]
        return bool(found)

    assert wait_until(is_there)
    return found[0]


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(live: Live, secret: str) -> None:
    headers = [f"Authorization: Bearer {token(secret, 'alice')}", "Content-Type: application/json"]
    status, answer = exchange(live, request("POST /v1/tasks", *headers, "Content-Length: 1000000000"))
    assert status == 413
    assert b"payload_too_large" in answer


@pytest.mark.parametrize("length_known", [True, False], ids=["length known", "chunked"])
def test_a_batch_of_a_mebibyte_is_done_and_a_larger_one_refused(
    live: Live, secret: str, length_known: bool
) -> None:
    batch = b'{"operations": [{"op": "create", "task": {"title": "Bread"}}]}'
    headers = {"Authorization": f"Bearer {token(secret, 'alice')}", "Content-Type": "application/json"}
    for size, status in ((MAX_BATCH_BODY, 200), (MAX_BATCH_BODY + 1, 413)):
        body = batch.ljust(size)
        data = body if length_known else iter([body[:500_000], body[500_000:]])
        url = f"{live.address}/api/tasks/batch"
        assert requests.post(url, data=data, headers=headers, timeout=30).status_code == status


@pytest.mark.parametrize("size", [8_000, 32_000])
def test_a_token_that_is_too_long_is_answered_by_the_application(live: Live, size: int) -> None:
    status, answer = exchange(live, request("GET /v1/tasks", f"Authorization: Bearer {'a' * size}"))
    assert status == 401
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(request("GET /v1/tasks", f"X-Long: {'sesame' * 50_000}"), id="a header of 300 kB"),
        pytest.param(request("GET /v1/tasks", *["X-Sesame: 1"] * 200), id="200 headers"),
        pytest.param(request(f"GET /{'sesame' * 15_000}"), id="an address of 90 kB"),
        pytest.param(b"SESAME\r\n\r\n", id="no request"),
        pytest.param(request("GET /", "Content-Length: sesame"), id="a length that is none"),
        pytest.param(request("GET /", "sesame : 1"), id="a space in a name"),
    ],
)
def test_what_is_no_request_is_refused(live: Live, data: bytes) -> None:
    status, _ = exchange(live, data)
    assert status in (0, 400, 414, 431)
    assert requests.get(f"{live.address}/health", timeout=10).ok


@pytest.mark.parametrize(("given", "kept"), [("mine-1", True), ("not sane", False), ("", False)])
def test_the_request_id_is_the_client_s_in_answer_and_log(live: Live, given: str, kept: bool) -> None:
    answer = requests.get(f"{live.address}/v1/tasks", headers={"X-Request-ID": given}, timeout=10)
    request_id = answer.headers["X-Request-ID"]
    assert (request_id == given) is kept
    assert answer.json()["request_id"] == request_id
    assert line(live, request_id)["status"] == 401


@pytest.mark.parametrize(
    ("source", "client"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "198.51.100.9"), ("127.0.0.3", "127.0.0.3")],
)
def test_only_a_trusted_proxy_tells_whose_request_it_is(live: Live, source: str, client: str) -> None:
    forwarded = ("X-Forwarded-For: 192.0.2.1, 198.51.100.9", "X-Forwarded-Proto: https")
    status, _ = exchange(live, request("GET /v1/tasks", f"X-Request-ID: from-{source}", *forwarded), source)
    assert status == 401
    assert line(live, f"from-{source}")["client"] == client


def counted(live: Live, route: str) -> float:
    """The requests to a route that succeeded, by the metrics."""
    lines = requests.get(f"{live.address}/metrics", timeout=10).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if f'route="{route}",status="200"' in line)


def test_all_workers_are_counted_together(live: Live, secret: str) -> None:
    headers = {"Authorization": f"Bearer {token(secret, 'alice')}"}
    before = counted(live, "/v1/tasks")
    for _ in range(20):
        assert requests.get(f"{live.address}/v1/tasks", headers=headers, timeout=30).status_code == 200
    assert counted(live, "/v1/tasks") == before + 20


def test_what_a_killed_worker_counted_is_kept(live: Live) -> None:
    for _ in range(20):
        assert requests.get(f"{live.address}/health", timeout=10).ok
    before = counted(live, "/health")
    assert before >= 20
    for worker in children(live.process.pid):
        os.kill(worker, signal.SIGKILL)
    assert wait_until(lambda: _answers(live), 30)
    assert counted(live, "/health") == before


def _answers(live: Live) -> bool:
    try:
        return counted(live, "/health") > 0
    except requests.RequestException:
        return False

"""deploy/nginx.conf: nginx takes it, and what nginx itself answers has the application's shape."""

import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests
from werkzeug.http import HTTP_STATUS_CODES

from app.errors import ERRORS
from app.headers import SECURITY_HEADERS
from tests.drills.conftest import lasting_port
from tests.nginx import command, needs_nginx, nginx

pytestmark = needs_nginx
REQUEST_ID = "mine-1"


@pytest.fixture
def address() -> Iterator[str]:
    """An nginx of the test's own, whose application is away."""
    with nginx(lasting_port(), lasting_port()) as address:
        yield address


def expect_problem(answer: requests.Response, status: int, code: str, retry_after: str | None) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    body = answer.json()
    error = body.pop("error", None)
    detail = body.pop("detail")
    assert body == {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES[status],
        "status": status,
        "code": code,
        "request_id": REQUEST_ID,
    }
    assert detail == ERRORS[code].detail if code in ERRORS else detail.endswith(".")
    on_v1 = "/v1/" in (answer.request.url or "")
    assert error == ({"code": code, "message": detail, "details": None} if on_v1 else None)
    assert answer.headers["X-Request-ID"] == REQUEST_ID
    assert set(SECURITY_HEADERS) <= set(answer.headers.items())
    assert answer.headers.get("Retry-After") == retry_after


def ask(address: str, path: str, method: str = "GET", data: bytes | None = None) -> requests.Response:
    return requests.request(
        method, address + path, data=data, headers={"X-Request-ID": REQUEST_ID}, timeout=10
    )


def test_nginx_takes_the_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [*command(tmp_path, lasting_port(), lasting_port()), "-t"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/tasks", "/api/alice/tasks", "/health"])
def test_an_application_that_is_away_is_503_with_retry_after(address: str, path: str) -> None:
    expect_problem(ask(address, path), 503, "service_unavailable", "5")
    expect_problem(ask(address, path, "POST", b"{}"), 503, "service_unavailable", "5")


def test_a_body_far_beyond_64_kib_is_413(address: str) -> None:
    expect_problem(ask(address, "/v1/tasks", "POST", bytes(100_000)), 413, "payload_too_large", None)


def test_too_many_requests_are_429_with_retry_after(address: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(address, "/api/tasks"), range(300)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    expect_problem(refused[0], 429, "too_many_requests", "1")


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/metrics?x", "/%6Detrics", "/x/../metrics"])
def test_the_metrics_are_not_passed_on(address: str, path: str) -> None:
    # What is passed on would be 503 here.
    host, _, port = address.removeprefix("http://").partition(":")
    connection = HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", path)
    assert connection.getresponse().status == 404
    connection.close()


def test_headers_beyond_32_kib_and_long_addresses_are_problems_too(address: str) -> None:
    host = address.removeprefix("http://")
    name, _, port = host.partition(":")
    for line, status in ((f"X-Long: {'a' * 40_000}", b"431"), ("", b"414")):
        path = "/api/tasks" if line else f"/api/tasks?x={'a' * 5000}"
        with socket.create_connection((name, int(port)), timeout=10) as one:
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}\r\n\r\n".encode())
            answer = b"".join(iter(lambda one=one: one.recv(65_536), b""))  # type: ignore[misc]
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b"application/problem+json" in answer

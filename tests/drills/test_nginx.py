"""deploy/nginx.conf: nginx takes it, and what nginx itself answers has the application's shape."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from werkzeug.http import HTTP_STATUS_CODES

from app.errors import ERRORS
from app.headers import SECURITY_HEADERS
from tests.drills.conftest import lasting_port
from tests.live import children
from tests.nginx import command, needs_nginx, nginx
from tests.polling import wait_until
from tests.unit.test_deploy import number

pytestmark = needs_nginx
REQUEST_ID = "mine-1"
LARGE = 8 * 1024 * 1024


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
    url = answer.request.url or ""
    assert detail.endswith(".")
    if code in ERRORS:
        assert detail == ERRORS[code].detail.format(kib=1024 if "/batch" in url else 64)
    on_v1 = "/v1/" in url
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


@pytest.mark.parametrize(
    ("path", "size"),
    [("/v1/tasks", 100_000), ("/v1/tasks/batch", 1_200_000), ("/api/a%20b/tasks/batch/", 1_200_000)],
)
def test_a_body_far_beyond_the_limit_is_413(address: str, path: str, size: int) -> None:
    expect_problem(ask(address, path, "POST", bytes(size)), 413, "payload_too_large", None)


@pytest.mark.parametrize("path", ["/api/tasks/batch", "/v1/tasks/batch", "/api/a%20b/tasks/batch/"])
def test_a_batch_of_a_mebibyte_is_passed_on(address: str, path: str) -> None:
    expect_problem(ask(address, path, "POST", bytes(1024 * 1024)), 503, "service_unavailable", "5")


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


class LargeAnswers(BaseHTTPRequestHandler):
    """An application whose every answer has 8 MB."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(LARGE))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(bytes(LARGE))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def spooled() -> int:
    """How much the temporary files of the nginx that this process started take, in bytes."""
    workers = [worker for master in children(os.getpid()) for worker in children(master)]
    total = 0
    for worker in workers:
        for descriptor in Path(f"/proc/{worker}/fd").iterdir():
            with suppress(OSError):
                if "/proxy/" in str(descriptor.readlink()):
                    total += descriptor.stat().st_blocks * 512
    return total


@pytest.mark.parametrize("path", ["/api/tasks", "/v1/tasks/changes?limit=1000", "/docs/swagger-ui-bundle.js"])
def test_unread_answers_to_one_address_are_bounded_and_another_is_served(path: str, root: Path) -> None:
    at_most = number(root, "deploy/nginx.conf", r"limit_conn large_responses (\d+)")
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), LargeAnswers) as application, ExitStack() as clients:
        threading.Thread(target=application.serve_forever, daemon=True).start()
        with nginx(port := lasting_port(), application.server_port):
            statuses = []
            for _ in range(40):
                one = clients.enter_context(socket.socket())
                one.settimeout(10)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.connect(("127.0.0.1", port))
                one.sendall(request)
                statuses.append(one.recv(12)[-3:])
            assert (statuses.count(b"200"), statuses.count(b"429")) == (at_most, 40 - at_most)
            # Some of each answer is in buffers of nginx and the kernel.
            assert wait_until(lambda: spooled() > at_most * LARGE // 4)
            assert spooled() <= at_most * LARGE
            with socket.create_connection(("127.0.0.1", port), 10, ("127.0.0.2", 0)) as other:
                other.sendall(request)
                answer = b"".join(iter(lambda: other.recv(65_536), b""))
            assert answer.startswith(b"HTTP/1.1 200")
            assert len(answer) > LARGE
        application.shutdown()

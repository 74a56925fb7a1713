"""X-Forwarded-Proto and X-Forwarded-For count where a trusted proxy sent them."""

from typing import Any

import pytest
from werkzeug.test import create_environ, run_wsgi_app

from app.proxies import trust

FORWARDED = {
    "X-Forwarded-For": "192.0.2.7, 198.51.100.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "666",
}


def seen_by_the_application(trusted: tuple[str, ...], peer: str) -> tuple[str, str, str, str]:
    """Scheme, client, host and path prefix of a request that `peer` forwarded."""
    seen: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ)
        start_response("204 No Content", [])
        return []

    environ = create_environ("/", "http://tasks.example", headers=FORWARDED)
    run_wsgi_app(trust(application, trusted), {**environ, "REMOTE_ADDR": peer})
    (found,) = seen
    return found["wsgi.url_scheme"], found["REMOTE_ADDR"], found["HTTP_HOST"], found["SCRIPT_NAME"]


@pytest.mark.parametrize(
    ("trusted", "peer"),
    [
        (("127.0.0.1", "::1"), "127.0.0.1"),
        (("127.0.0.1", "::1"), "::1"),
        (("10.0.0.0/8",), "10.255.0.1"),
        (("*",), "192.0.2.1"),
        (("*",), ""),
    ],
)
def test_a_trusted_proxy_tells_scheme_and_client_and_nothing_else(
    trusted: tuple[str, ...], peer: str
) -> None:
    assert seen_by_the_application(trusted, peer) == ("https", "198.51.100.9", "tasks.example", "")


@pytest.mark.parametrize(
    ("trusted", "peer"),
    [
        (("127.0.0.1", "::1"), "127.0.0.2"),
        (("10.0.0.0/8",), "11.0.0.1"),
        (("10.0.0.0/8",), "::1"),
        (("10.0.0.0/8",), ""),
        (("10.0.0.0/8",), "nginx"),
    ],
)
def test_anybody_else_tells_nothing(trusted: tuple[str, ...], peer: str) -> None:
    assert seen_by_the_application(trusted, peer) == ("http", peer, "tasks.example", "")

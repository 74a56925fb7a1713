"""The log: one line for each request, with what an operator needs and nothing of a token or a body."""

import io
import json
import logging
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import exc

from app import create_app
from app.extensions import db
from app.headers import RefusedOrigins
from app.logs import record_fields, terminal_line
from tests.people import Person, token

Make = Callable[..., tuple[Flask, io.StringIO]]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def make(
    tmp_path: Path, migrated_sqlite: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Make]:
    """Make an application, and where its log goes."""
    made: list[Flask] = []
    path = shutil.copy(migrated_sqlite, tmp_path)
    kept = logging.getLogger("app").handlers, logging.getLogger("app").level

    def factory(out: io.StringIO | None = None, **environ: str) -> tuple[Flask, io.StringIO]:
        out = out or io.StringIO()
        monkeypatch.setattr(sys, "stdout", out)
        app = create_app({"DATABASE_URL": f"sqlite:///{path}", "BETTER_AUTH_SECRET": secret, **environ})
        made.append(app)
        return app, out

    yield factory
    for app in made:
        with app.app_context():
            db.engine.dispose()
    logging.getLogger("app").handlers, logging.getLogger("app").level = kept


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    """The access lines."""
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    return [line for line in found if line["logger"] == "app.access"]


def test_each_request_is_one_line_with_route_status_and_time(make: Make, secret: str) -> None:
    app, out = make()
    alice = Person(app.test_client(), secret, "alice")
    alice.post("/v1/tasks", {"title": "my secret plan"}, headers={"X-Request-ID": "req-1"})
    (line,) = lines(out)
    assert line["level"] == "INFO"
    assert line["request_id"] == "req-1"
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/tasks", 201)
    assert line["ms"] > 0
    assert line["time"].endswith("+00:00")
    assert alice.token not in out.getvalue()
    assert "plan" not in out.getvalue()
    assert "alice" not in out.getvalue()


def test_a_user_is_a_hash_or_plain_or_left_out(make: Make, secret: str) -> None:
    called = {}
    for mode in ("hash", "plain", "off"):
        app, out = make(LOG_USER=mode)
        for user in ("alice", "alice", "bob"):
            Person(app.test_client(), secret, user).get("/v1/tasks")
        called[mode] = [line.get("user") for line in lines(out)]
    assert called["plain"] == ["alice", "alice", "bob"]
    assert called["off"] == [None, None, None]
    first, again, other = called["hash"]
    assert first == again != other
    assert re.fullmatch("[0-9a-f]{16}", str(first))


def test_the_hash_of_a_user_cannot_be_made_without_the_secret(make: Make, secret: str) -> None:
    called = set()
    for key in (secret, secret[::-1]):
        app, out = make(BETTER_AUTH_SECRET=key)
        Person(app.test_client(), key, "alice").get("/v1/tasks")
        called.add(lines(out)[0]["user"])
    assert len(called) == 2


@pytest.mark.parametrize(
    ("path", "headers", "status", "reason"),
    [
        ("/v1/tasks", {}, 401, "no_token"),
        ("/v1/tasks", {"Authorization": "Bearer a.b.c"}, 401, "malformed"),
        ("/api/bob/tasks", None, 403, "other_user"),
    ],
)
def test_a_refused_request_is_a_warning_with_its_reason(
    path: str, headers: dict[str, str] | None, status: int, reason: str, make: Make, secret: str
) -> None:
    app, out = make(LOG_LEVEL="WARNING")
    alice = Person(app.test_client(), secret, "alice")
    assert alice.get("/v1/tasks").status_code == 200
    response = app.test_client().get(path, headers=headers) if headers is not None else alice.get(path)
    assert response.status_code == status
    (line,) = lines(out)
    assert (line["level"], line["status"], line["reason"]) == ("WARNING", status, reason)


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/bob/tasks"])
@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "client"),
    [
        ("10.0.0.0/8", "192.0.2.7", None, "192.0.2.7"),
        ("10.0.0.0/8", "192.0.2.7", "198.51.100.9", "192.0.2.7"),
        ("10.0.0.0/8", "10.1.2.3", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.0/8", "10.1.2.3", "invented, 198.51.100.9", "198.51.100.9"),
        ("10.0.0.0/8", "10.1.2.3", None, "10.1.2.3"),
        ("fd00::/8", "fd00::7", "2001:db8::9", "2001:db8::9"),
        ("*", "192.0.2.7", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.0/8", "", "198.51.100.9", ""),
    ],
)
def test_a_refused_request_names_its_client_by_a_trusted_proxy_s_word_alone(
    path: str, proxies: str, peer: str, forwarded: str | None, client: str, make: Make, secret: str
) -> None:
    app, out = make(LOG_LEVEL="WARNING", FORWARDED_ALLOW_IPS=proxies)
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    if path == "/api/bob/tasks":
        headers["Authorization"] = f"Bearer {token(secret, 'alice')}"
    app.test_client().get(path, headers=headers, environ_overrides={"REMOTE_ADDR": peer})
    assert [line["client"] for line in lines(out)] == [client]


def test_a_403_names_the_user_of_the_path_as_it_names_the_token_s(make: Make, secret: str) -> None:
    app, out = make()
    alice, bob = (Person(app.test_client(), secret, user) for user in ("alice", "bob"))
    bob.get("/api/bob/tasks")
    alice.get("/api/bob/tasks")
    own, refused = lines(out)
    assert refused["path_user"] == own["user"] != refused["user"]
    assert "path_user" not in own
    assert "client" not in own


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{TRACE}-{PARENT}-01", TRACE),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}-01-more", None),
        ("x", None),
    ],
)
def test_a_traceparent_is_carried_into_the_log(header: str, trace: str | None, make: Make) -> None:
    app, out = make()
    app.test_client().get("/health", headers={"traceparent": header})
    (line,) = lines(out)
    assert line.get("trace_id") == trace
    assert line.get("parent_id") == (PARENT if trace else None)


def test_a_fault_is_logged_with_its_frames_and_without_its_message(make: Make, secret: str) -> None:
    app, out = make()
    wrote = " ".join(["what", "a", "user", "wrote"])

    def fail() -> None:
        raise RuntimeError(wrote)

    app.before_request_funcs[None].append(fail)
    assert app.test_client().get("/health").status_code == 500
    fault = next(json.loads(line) for line in out.getvalue().splitlines() if '"error"' in line)
    assert (fault["level"], fault["error"]) == ("ERROR", "RuntimeError")
    assert any("in fail" in frame for frame in fault["traceback"])
    assert wrote not in out.getvalue()
    assert lines(out)[0]["status"] == 500


def test_a_database_error_is_logged_with_its_first_line_alone(make: Make) -> None:
    app, out = make()
    wrote = " ".join(["what", "a", "user", "wrote"])
    driver = Exception(f'null value in column "title"\nDETAIL:  Failing row contains ({wrote}).')

    def fail() -> None:
        raise exc.IntegrityError("INSERT INTO tasks", {"title": wrote}, driver)

    app.before_request_funcs[None].append(fail)
    assert app.test_client().get("/health").status_code == 500
    fault = next(json.loads(line) for line in out.getvalue().splitlines() if '"error"' in line)
    assert fault["message"] == 'database: Exception: null value in column "title"'
    assert any("in fail" in frame for frame in fault["traceback"])
    assert wrote not in out.getvalue()


def test_in_a_terminal_lines_are_to_be_read(make: Make, secret: str) -> None:
    app, out = make(Terminal())
    Person(app.test_client(), secret, "alice").get("/v1/tasks")
    app.test_client().get("/v1/tasks")
    good, refused = [line for line in out.getvalue().splitlines() if "/v1/tasks" in line]
    assert re.search(r"\x1b\[32mINFO +\x1b\[0m GET /v1/tasks 200 [0-9.]+ ms  request_id=\w+ user=\w+", good)
    assert re.search(r"\x1b\[33mWARNING +\x1b\[0m GET /v1/tasks 401 .* reason=no_token", refused)


def test_in_a_terminal_a_traceback_stands_below_its_line() -> None:
    try:
        raise ValueError("secret")
    except ValueError:
        record = logging.LogRecord("app.errors", logging.ERROR, "", 0, "broke", None, sys.exc_info())
    first, *frames = terminal_line(record_fields(record)).splitlines()
    assert "broke" in first
    assert "error=ValueError" in first
    assert any("test_in_a_terminal" in frame for frame in frames)
    assert "secret" not in first


def messages(out: io.StringIO) -> list[tuple[str, str]]:
    """The levels and messages of the lines that are no access lines."""
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    return [(line["level"], line["message"]) for line in found if line["logger"] != "app.access"]


def test_a_refused_origin_leaves_a_line_that_names_it_and_the_setting(make: Make) -> None:
    app, out = make(CORS_ORIGINS="http://localhost:3000")
    client = app.test_client()
    for origin in ("http://localhost:3000", "http://localhost:5173", "http://localhost:5174"):
        client.options("/api/tasks", headers={"Origin": origin})
    line = "refused the origin 'http://localhost:5173'; if it is your frontend's, add it to CORS_ORIGINS"
    assert messages(out) == [("WARNING", line)]


def test_refused_origins_leave_one_line_a_minute(make: Make) -> None:
    app, out = make()
    now = 0.0
    origins = RefusedOrigins(("http://localhost:3000",), clock=lambda: now)

    def count(origin: str) -> int:
        before = len(messages(out))
        with app.test_request_context(base_url="https://api.example.com", headers={"Origin": origin}):
            origins.check()
        return len(messages(out)) - before

    assert [count(origin) for origin in ("http://localhost:3000", "https://api.example.com")] == [0, 0]
    assert [count("http://a"), count("http://a"), count("http://b")] == [1, 0, 0]
    now = 59.9
    assert count("http://a") == 0
    now = 60.0
    assert [count("\x1b[2J" + "x" * 5000), count("http://a")] == [1, 0]
    assert "\x1b" not in messages(out)[-1][1]
    assert len(messages(out)[-1][1]) < 300

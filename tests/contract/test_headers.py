"""The headers that every answer carries."""

from collections.abc import Iterator

import pytest
from flask import Flask

from app import create_app
from app.extensions import db

# A route, a method, and the status that they get without a token.
ANSWERS = [
    ("GET", "/health", 200),
    ("GET", "/v1/tasks", 401),
    ("OPTIONS", "/api/tasks", 200),
    ("PUT", "/v1/tasks", 405),
    ("GET", "/nowhere", 404),
    ("GET", "//v1/tasks", 404),
]
ORIGIN = "https://app.example.com"
OTHER = "http://localhost:5173"
pytestmark = pytest.mark.one_database
EXPOSED = {"ETag", "Link", "Location", "Retry-After", "WWW-Authenticate", "X-Request-ID"}


@pytest.fixture
def cors_app(app: Flask, environ: dict[str, str]) -> Iterator[Flask]:
    """The application for the frontends of two origins."""
    cors_app = create_app(environ | {"CORS_ORIGINS": f"{ORIGIN}, {OTHER}"})
    yield cors_app
    with cors_app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_every_answer_carries_the_security_headers(app: Flask, method: str, path: str, status: int) -> None:
    response = app.test_client().open(path, method=method)
    assert response.status_code == status
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"
    assert len(response.headers["X-Request-ID"]) == 32


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_a_configured_origin_may_read_every_answer(
    cors_app: Flask, method: str, path: str, status: int
) -> None:
    response = cors_app.test_client().open(path, method=method, headers={"Origin": ORIGIN})
    assert response.status_code == status
    assert response.headers.getlist("Access-Control-Allow-Origin") == [ORIGIN]
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert set(response.headers["Access-Control-Expose-Headers"].split(", ")) == EXPOSED


def test_each_origin_gets_its_own_name_back_and_never_a_star(cors_app: Flask) -> None:
    for origin in (ORIGIN, OTHER):
        response = cors_app.test_client().get("/health", headers={"Origin": origin})
        assert response.headers.getlist("Access-Control-Allow-Origin") == [origin]
        assert "Origin" in response.headers["Vary"]
    assert "Access-Control-Allow-Origin" not in cors_app.test_client().get("/health").headers


def test_a_preflight_is_answered_without_a_token(cors_app: Flask) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization, content-type, if-match",
    }
    response = cors_app.test_client().options("/api/alice/tasks/x", headers=asked)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "PATCH" in response.headers["Access-Control-Allow-Methods"]
    allowed = response.headers["Access-Control-Allow-Headers"].lower()
    assert {name.strip() for name in allowed.split(",")} == {"authorization", "content-type", "if-match"}


@pytest.mark.parametrize("origin", ["https://evil.example", "https://app.example.com.evil", "null"])
def test_another_origin_may_read_nothing(cors_app: Flask, origin: str) -> None:
    response = cors_app.test_client().get("/health", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_without_a_configured_origin_no_frontend_may_read(app: Flask) -> None:
    response = app.test_client().get("/health", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in response.headers

"""`flask token` prints a token that the service takes, or says in one line why there is none."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask

from app import create_app
from app.extensions import db

Settings = dict[str, str]


@pytest.fixture(scope="module")
def settings(migrated_sqlite: Path, secret: str) -> Settings:
    return {
        "DATABASE_URL": f"sqlite:///{migrated_sqlite}",
        "BETTER_AUTH_SECRET": secret,
        "LOG_LEVEL": "ERROR",
    }


@pytest.fixture(scope="module")
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    with app.app_context():
        db.engine.dispose()


def printed(app: Flask, *options: str) -> str:
    """The token that the command prints, and nothing beside it."""
    result = app.test_cli_runner().invoke(args=["token", *options])
    assert result.exit_code == 0, result.output
    assert result.output.count("\n") == 1
    return result.output.strip()


def claims(app: Flask, secret: str, *options: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(
        printed(app, *options), secret, ["HS256"], options={"verify_aud": False, "verify_sub": False}
    )
    return decoded


def me(app: Flask, token: str) -> Any:
    response = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 200, response.text
    return response.get_json()


@pytest.mark.parametrize("user", ["alice", "auth0|5f", "ü@x", "a b", "o'b\"%s", "-1", "a" * 255])
def test_a_printed_token_works_as_its_user(app: Flask, user: str) -> None:
    assert me(app, printed(app, f"--user={user}"))["id"] == user


def test_a_printed_token_carries_email_and_name(app: Flask) -> None:
    token = printed(app, "--user", "alice", "--email", "alice@example.com", "--name", "Alice Ä")
    answer = me(app, token)
    assert (answer["email"], answer["name"]) == ("alice@example.com", "Alice Ä")


def test_a_token_without_email_and_name_has_no_such_claims(app: Flask, secret: str) -> None:
    assert set(claims(app, secret, "--user", "alice")) == {"sub", "iat", "exp"}


@pytest.mark.parametrize("minutes", [1, 90, 5_256_000])
def test_a_token_is_good_for_the_minutes_given(app: Flask, secret: str, minutes: int) -> None:
    before = int(time.time())
    found = claims(app, secret, "--user", "alice", "--minutes", str(minutes))
    assert found["exp"] - found["iat"] == minutes * 60
    assert before <= found["iat"] <= time.time()


def test_a_token_is_good_for_the_configured_minutes_otherwise(settings: Settings, secret: str) -> None:
    app = create_app(settings | {"ACCESS_TOKEN_EXPIRE_MINUTES": "7"})
    found = claims(app, secret, "--user", "alice")
    assert found["exp"] - found["iat"] == 7 * 60


@pytest.mark.parametrize(
    "user",
    ["", " ", "a" * 256, "a\nb", "a\0", "a\x7f"],
    ids=["empty", "blank", "long", "newline", "NUL", "DEL"],
)
def test_a_user_that_the_service_would_refuse_gets_no_token(app: Flask, secret: str, user: str) -> None:
    result = app.test_cli_runner().invoke(args=["token", f"--user={user}"])
    assert result.exit_code == 2
    assert "--user" in result.output
    assert "names no user" in result.output
    assert "eyJ" not in result.output
    assert secret not in result.output


@pytest.mark.parametrize(
    ("option", "value"),
    [("email", "nobody"), ("email", "a" * 250 + "@example.com"), ("name", "n" * 101), ("name", " ")],
)
def test_a_claim_that_the_service_would_leave_out_gets_no_token(app: Flask, option: str, value: str) -> None:
    result = app.test_cli_runner().invoke(args=["token", "--user", "alice", f"--{option}", value])
    assert result.exit_code == 2
    assert f"would ignore this {option}" in result.output
    assert "eyJ" not in result.output


@pytest.mark.parametrize("minutes", ["0", "-1", "1.5", "soon", "5256001"])
def test_minutes_that_are_none_get_no_token(app: Flask, minutes: str) -> None:
    result = app.test_cli_runner().invoke(args=["token", "--user", "alice", f"--minutes={minutes}"])
    assert result.exit_code == 2
    assert "--minutes" in result.output
    assert "eyJ" not in result.output


def test_a_token_of_nobody_is_not_printed(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["token"])
    assert result.exit_code == 2
    assert "--user" in result.output


def test_a_token_is_made_for_the_configured_issuer_audience_and_claim(
    settings: Settings, secret: str
) -> None:
    asked = {
        "JWT_ISSUER": "https://i.example",
        "JWT_AUDIENCE": "https://a.example",
        "JWT_USER_ID_CLAIMS": "user.id",
    }
    found = claims(create_app(settings | asked), secret, "--user", "alice")
    assert (found["iss"], found["aud"], found["user"]) == (
        "https://i.example",
        "https://a.example",
        {"id": "alice"},
    )
    assert "sub" not in found


def test_a_token_for_any_audience_names_none(settings: Settings, secret: str) -> None:
    assert "aud" not in claims(create_app(settings | {"JWT_AUDIENCE": "*"}), secret, "--user", "alice")


@pytest.mark.parametrize("name", ["BETTER_AUTH_URL", "JWT_JWKS_URL"])
def test_no_token_is_printed_where_a_key_server_has_the_keys(settings: Settings, name: str) -> None:
    asked = {
        "BETTER_AUTH_SECRET": "",
        name: "http://127.0.0.1:9/x",
        "JWT_ISSUER": "https://i.example",
        "JWT_AUDIENCE": "https://a.example",
    }
    result = create_app(settings | asked).test_cli_runner().invoke(args=["token", "--user", "alice"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    assert "http://127.0.0.1:9/x" in result.output
    assert "eyJ" not in result.output

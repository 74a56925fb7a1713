"""Errors that no input makes, and what every error has in common."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import exc
from werkzeug.test import TestResponse

from app.tasks.store import TaskStore
from tests.contract.expect import (
    NEVER_WAS,
    NO_TOKEN,
    V1,
    create,
    each_mount,
    expect_problem,
    table,
    without_request_id,
)
from tests.mounts import Mount
from tests.people import Person, token

BROKEN = "Something went wrong on our side; the request id helps us to find it."
OUT_OF_REACH = "The service cannot answer at the moment; try again shortly."


def raising(error: Exception) -> Callable[..., Any]:
    """A method that only raises."""

    def raises(*_args: Any, **_kwargs: Any) -> Any:
        raise error

    return raises


@each_mount
@table
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YWxpY2U6eA==", "alice"])
def test_no_credentials_are_401_unauthorized(mount: Mount, header: str, alice: Person) -> None:
    response = alice.client.get(mount.path(), headers={"Authorization": header})
    expect_problem(response, 401, "unauthorized", NO_TOKEN, v1=mount.enveloped)
    assert response.headers["WWW-Authenticate"] == "Bearer"


@each_mount
def test_an_expired_token_is_401_invalid_token(mount: Mount, alice: Person, secret: str) -> None:
    headers = {"Authorization": f"Bearer {token(secret, 'alice', minutes=-1)}"}
    response = alice.client.get(mount.path(), headers=headers)
    expect_problem(response, 401, "invalid_token", "The token has expired.", v1=mount.enveloped)
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@each_mount
@table
@pytest.mark.parametrize("bearer", ["nonsense", "a.b.c", "ü.ü.ü"])
def test_nonsense_for_a_token_is_401_invalid_token(mount: Mount, bearer: str, alice: Person) -> None:
    response = alice.client.get(mount.path(), headers={"Authorization": f"Bearer {bearer}"})
    body = response.get_json()
    assert (response.status_code, body["code"]) == (401, "invalid_token")
    assert bearer not in response.text


def test_what_is_sent_in_place_of_a_token_is_named(alice: Person) -> None:
    twice = "The header says Bearer twice; write it once, as in: Authorization: Bearer <token>."
    cookie = "if it is Better Auth's session cookie, get a JWT from /api/auth/token instead."
    for header, sentence in (
        (f"Bearer Bearer {alice.token}", twice),
        # Better Auth's cookie has the session's token and its signature.
        ("Bearer iD3aZQ.3Tx9%2BAk%3D", f"The token is not a JWT; {cookie}"),
    ):
        response = alice.client.get("/api/tasks", headers={"Authorization": header})
        expect_problem(response, 401, "invalid_token", sentence, v1=False)


@each_mount
@table
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_taken_in_any_letter_case(mount: Mount, scheme: str, alice: Person) -> None:
    response = alice.client.get(mount.path(), headers={"Authorization": f"{scheme} {alice.token}"})
    assert (response.status_code, mount.tasks(response)) == (200, [])


@each_mount
def test_what_breaks_is_500_without_a_word_of_it(
    mount: Mount, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TaskStore, "page", raising(RuntimeError("the secret is swordfish")))
    response = alice.get(mount.path())
    expect_problem(response, 500, "internal_error", BROKEN, v1=mount.enveloped)


@each_mount
@table
@pytest.mark.parametrize(
    ("error", "status"), [(exc.OperationalError, 503), (exc.InterfaceError, 503), (exc.DataError, 500)]
)
def test_a_database_out_of_reach_is_503_with_retry_after_and_its_other_errors_are_500(
    mount: Mount, error: type[exc.DBAPIError], status: int, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = error("SELECT swordfish", {"title": "Buy milk"}, Exception("swordfish"))
    monkeypatch.setattr(TaskStore, "page", raising(broken))
    response = alice.get(mount.path())
    code, detail = ("service_unavailable", OUT_OF_REACH) if status == 503 else ("internal_error", BROKEN)
    expect_problem(response, status, code, detail, v1=mount.enveloped)
    assert ("Retry-After" in response.headers) == (status == 503)


def one_of_each_error(alice: Person, **headers: str) -> list[TestResponse]:
    """A response of each kind, made before, in and after a view."""
    task_id = create(V1, alice)["id"]
    send = partial(alice.request, headers=headers)
    return [
        alice.client.get("/v1/tasks", headers=headers),
        send("GET", f"/v1/tasks/{NEVER_WAS}"),
        send("GET", "/v1/nope"),
        send("PATCH", "/v1/tasks"),
        send("GET", "/v1/tasks?limit=0"),
        send("POST", "/v1/tasks", json={"title": "", "colour": 1}),
        send("POST", "/v1/tasks", data=b"{", content_type="application/json"),
        send("POST", "/v1/tasks", data=b"{}", content_type="text/plain"),
        send("PUT", f"/v1/tasks/{task_id}", data=b" " * 65537, content_type="application/json"),
        send("GET", "/api/bob/tasks"),
        send("GET", "/nowhere"),
        send("GET", "/", environ_overrides={"PATH_INFO": "//health"}),
    ]


def test_every_kind_of_error_says_one_sentence_and_has_a_request_id_of_its_own(alice: Person) -> None:
    answers = one_of_each_error(alice)
    bodies = [answer.get_json() for answer in answers]
    assert [body["status"] for body in bodies] == [401, 404, 404, 405, 422, 422, 400, 415, 413, 403, 404, 404]
    for answer, body in zip(answers, bodies, strict=True):
        assert answer.content_type == "application/problem+json"
        assert answer.status_code == body["status"]
        assert body["detail"].endswith(".")
        assert "\n" not in body["detail"]
        assert ("errors" in body) == (body["code"] == "validation_error")
    assert len({body["request_id"] for body in bodies}) == len(bodies)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/json", "application/json"),
        ("application/json, text/plain;q=0.5", "application/json"),
        ("application/json, application/problem+json;q=0", "application/json"),
        ("application/json, */*", "application/problem+json"),
        ("application/json, application/problem+json", "application/problem+json"),
        ("application/*", "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("text/html", "application/problem+json"),
        ("nonsense;;q=x", "application/problem+json"),
        ("", "application/problem+json"),
    ],
)
def test_errors_are_plain_json_for_clients_that_accept_nothing_else(
    accept: str, media_type: str, app: Flask, secret: str
) -> None:
    alice = Person(FlaskClient(app, app.response_class), secret, "alice")
    plain = one_of_each_error(alice)
    for response, usual in zip(one_of_each_error(alice, Accept=accept), plain, strict=True):
        assert response.content_type == media_type
        assert (response.status_code, without_request_id(response)) == (
            usual.status_code,
            without_request_id(usual),
        )

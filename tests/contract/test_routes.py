"""Addresses and methods: what is open, what is refused, and what no address answers."""

from pathlib import Path

import pytest
from flask import Flask
from werkzeug.routing import Rule

from app import create_app
from app.extensions import db
from app.openapi import views as docs
from tests.contract.expect import (
    API,
    NEVER_WAS,
    NO_TOKEN,
    NOTHING,
    create,
    each_mount,
    expect_problem,
    statements,
    table,
    without_request_id,
)
from tests.mounts import Mount
from tests.people import Person

PUBLIC = {
    "/health",
    "/ready",
    "/metrics",
    "/",
    "/openapi.json",
    "/docs",
    *(f"/docs/{name}" for name in docs.FILES),
}
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"}
NO_METHOD = "This address does not answer to this method."


def address(rule: Rule) -> str:
    """An address that the rule answers."""
    values = {argument: "alice" if argument == "user_id" else NEVER_WAS for argument in rule.arguments}
    _, path = rule.build({**values, **(rule.defaults or {})}) or ("", "")
    return path


def methods_by_rule(app: Flask) -> dict[str, tuple[str, set[str]]]:
    """Each rule's text, with an address of it and the methods that it answers."""
    found: dict[str, tuple[str, set[str]]] = {}
    for rule in app.url_map.iter_rules():
        path, methods = found.get(rule.rule, (address(rule), set()))
        found[rule.rule] = (path, methods | (rule.methods or set()))
    return found


def allowed(header: str) -> set[str]:
    return {method.strip() for method in header.split(",")}


def test_every_route_outside_the_public_list_wants_a_token(app: Flask) -> None:
    client, asked = app.test_client(), 0
    for path, methods in methods_by_rule(app).values():
        for method in sorted(methods - {"OPTIONS"}):
            response = client.open(path, method=method)
            if path in PUBLIC:
                assert response.status_code < 400, (method, path)
                response.close()
                continue
            asked += 1
            assert response.status_code == 401, (method, path)
            assert response.headers["WWW-Authenticate"] == "Bearer"
            if method != "HEAD":
                expect_problem(response, 401, "unauthorized", NO_TOKEN, v1=path.startswith("/v1/"))
    assert asked >= 27


def test_a_method_that_a_route_lacks_is_405_with_allow_whoever_asks(app: Flask, alice: Person) -> None:
    for path, methods in methods_by_rule(app).values():
        for method in sorted(METHODS - methods):
            for response in (app.test_client().open(path, method=method), alice.request(method, path)):
                assert allowed(response.headers["Allow"]) == methods, (method, path)
                assert response.status_code == 405, (method, path)
                if method != "HEAD":
                    expect_problem(response, 405, "method_not_allowed", NO_METHOD, v1=path.startswith("/v1/"))


def test_options_needs_no_token_on_any_route(app: Flask) -> None:
    for path, methods in methods_by_rule(app).values():
        response = app.test_client().options(path)
        assert response.status_code in (200, 204), path
        assert allowed(response.headers["Allow"]) == methods, path


@each_mount
def test_each_mount_has_the_routes_and_methods_of_the_contract(mount: Mount, app: Flask) -> None:
    method, segment = mount.completion
    wanted = {
        "": {"GET", "POST"},
        f"/{NEVER_WAS}": {"GET", "PUT", "DELETE"},
        f"/{NEVER_WAS}/{segment}": {method},
    }
    for rest, methods in wanted.items():
        assert methods <= allowed(app.test_client().options(mount.path(rest=rest)).headers["Allow"])


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("PATCH", "/v1/tasks/{id}/complete"),
        ("POST", "/api/tasks/{id}/toggle"),
        ("POST", "/api/alice/tasks/{id}/toggle"),
    ],
)
def test_the_completion_of_one_mount_is_no_route_of_another(method: str, rest: str, alice: Person) -> None:
    task_id = create(API, alice)["id"]
    assert alice.request(method, rest.replace("{id}", task_id)).status_code == 404


@each_mount
def test_head_answers_as_get_does_without_the_body(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    for rest in ("", f"/{task['id']}", f"/{NEVER_WAS}", "?x=1"):
        got, head = (alice.request(method, mount.path(rest=rest)) for method in ("GET", "HEAD"))
        assert (head.status_code, head.data) == (got.status_code, b"")
        assert head.content_type == got.content_type
        assert head.headers["Content-Length"] == got.headers["Content-Length"]


@each_mount
def test_a_slash_at_the_end_answers_as_the_address_without_does_or_404(mount: Mount, alice: Person) -> None:
    task = create(mount, alice)
    method, segment = mount.completion
    calls = (
        ("GET", "", None),
        ("GET", f"/{task['id']}", None),
        ("PUT", f"/{task['id']}", {"title": "Buy milk"}),
        ("POST", "", {"title": ""}),
        ("PUT", f"/{NEVER_WAS}", {"title": "Buy tea"}),
        (method, f"/{NEVER_WAS}/{segment}", None),
    )
    for verb, rest, body in calls:
        plain, slashed = (
            alice.request(verb, mount.path(rest=rest + slash), json=body)
            if body
            else alice.request(verb, mount.path(rest=rest + slash))
            for slash in ("", "/")
        )
        assert slashed.status_code in (plain.status_code, 404), (verb, rest)
        if slashed.status_code < 400:
            assert slashed.data == plain.data


@each_mount
def test_a_task_created_at_an_address_with_a_slash_has_a_clean_location(mount: Mount, alice: Person) -> None:
    response = alice.post(mount.path(rest="/"), {"title": "Buy milk"})
    if response.status_code != 404:
        assert response.headers["Location"] == mount.path(rest=f"/{mount.task(response)['id']}")


@each_mount
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_a_double_slash_is_404_and_never_a_redirect(mount: Mount, method: str, alice: Person) -> None:
    task_id, segment = create(mount, alice)["id"], mount.completion[1]
    plain = mount.path(rest=f"/{task_id}/{segment}")
    places = [index for index, character in enumerate(plain) if index and character == "/"]
    paths = [f"{plain[:index]}/{plain[index:]}" for index in places]
    paths += [mount.path(rest="//"), mount.path(rest=f"//{task_id}"), mount.path(rest=f"/{task_id}//")]
    for path in paths:
        response = alice.request(method, path)
        assert response.status_code == 404, path


@table
@pytest.mark.parametrize("path", ["//v1/tasks", "//api/tasks", "//api/alice/tasks", "//api/me", "//health"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "OPTIONS"])
def test_a_double_slash_in_front_is_404_too(method: str, path: str, alice: Person) -> None:
    # Set past the client, which takes what follows a leading double slash for a host.
    response = alice.request(method, "/", environ_overrides={"PATH_INFO": path})
    assert response.status_code == 404


@table
@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/api",
        "/api/",
        "/api/nope",
        "/api/tasks/a/b/c",
        "/api/me/x",
        "/v1x",
        "/docs/nope",
        "/%00",
        "/%FF",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "BREW"])
def test_an_unknown_address_is_404_with_or_without_a_token(method: str, path: str, alice: Person) -> None:
    answers = (alice.client.open(path, method=method), alice.request(method, path))
    for answer in answers:
        expect_problem(answer, 404, "not_found", NOTHING, v1=False)
    assert without_request_id(answers[0]) == without_request_id(answers[1])


@table
@pytest.mark.parametrize("path", ["/v1/", "/v1/nope", "/v1/tasks/a/b", "/v1//tasks", "/v1/me"])
def test_an_unknown_address_of_v1_carries_its_error_member(path: str, alice: Person) -> None:
    expect_problem(alice.get(path), 404, "not_found", NOTHING, v1=True)


@each_mount
def test_an_address_in_other_letters_is_another_address(mount: Mount, alice: Person) -> None:
    assert alice.get(mount.path().replace("tasks", "Tasks")).status_code == 404


def test_health_is_told_to_anybody_and_touches_no_database(app: Flask) -> None:
    with statements() as seen:
        response = app.test_client().get("/health")
    assert (response.status_code, response.get_json()) == (200, {"status": "healthy"})
    assert seen == []


def test_ready_is_told_to_anybody_when_the_database_has_every_migration(app: Flask) -> None:
    response = app.test_client().get("/ready")
    assert (response.status_code, response.get_json()) == (200, {"status": "ready"})


def test_ready_is_503_over_a_database_that_lacks_migrations(tmp_path: Path, environ: dict[str, str]) -> None:
    app = create_app(environ | {"DATABASE_URL": f"sqlite:///{tmp_path / 'empty.db'}"})
    response = app.test_client().get("/ready")
    sentence = "The database lacks migrations; flask db upgrade makes them."
    expect_problem(response, 503, "service_unavailable", sentence, v1=False)
    assert int(response.headers["Retry-After"]) > 0
    with app.app_context():
        db.engine.dispose()

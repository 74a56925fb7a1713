"""No token but a good one opens the API, and a refusal tells nothing and never is a 500."""

import io
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import create_app
from app.config import ConfigError
from app.extensions import db
from app.logs import LineHandler
from tests.security.corpus import (
    LEEWAY,
    USER,
    Case,
    Environ,
    Source,
    always,
    audiences,
    bearer,
    claims,
    faults,
    forgeries,
    now,
    shared_secret,
    shared_secret_only,
    syntax,
)

ISSUER = "https://auth.example.com"
AUDIENCE = "https://api.example.com"
CASES = [*forgeries, *faults, *audiences, *syntax, *shared_secret_only]
CHALLENGES = {"unauthorized": "Bearer", "invalid_token": 'Bearer error="invalid_token"'}
Make = Callable[..., Flask]


@pytest.fixture(scope="module")
def make(migrated_sqlite: Path, secret: str) -> Iterator[Make]:
    """Make an application of one mode."""
    apps: list[Flask] = []

    def create(**settings: str) -> Flask:
        environ = {"DATABASE_URL": f"sqlite:///{migrated_sqlite}", "BETTER_AUTH_SECRET": secret, **settings}
        apps.append(create_app(environ | {"LOG_LEVEL": "ERROR"}))
        return apps[-1]

    yield create
    for app in apps:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(scope="module")
def app(make: Make) -> Flask:
    """The application in shared-secret mode, as the README starts it."""
    return make()


@pytest.fixture(scope="module")
def source(secret: str) -> Source:
    return shared_secret(secret)


def ask(app: Flask, environ: Environ, path: str = "/v1/tasks") -> TestResponse:
    """The answer to a request whose WSGI environment holds these very strings."""
    return app.test_client().get(path, environ_overrides=environ)


def assert_refused(response: TestResponse, code: str) -> None:
    assert response.status_code == 401, response.text
    assert response.content_type == "application/problem+json"
    assert response.headers.getlist("WWW-Authenticate") == [CHALLENGES[code]]
    assert response.headers["Cache-Control"] == "no-store"
    body = response.get_json()
    assert (body["status"], body["code"], body["error"]["code"]) == (401, code, code)
    assert body["detail"] == body["error"]["message"]
    assert body["detail"].endswith(".")


def assert_all_refused(cases: Iterable[Case], app: Flask, source: Source, subtests: pytest.Subtests) -> None:
    """Each of the attacks is refused."""
    for case in cases:
        with subtests.test(case.name):
            assert_refused(ask(app, case.environ(source)), case.code)


def owner(app: Flask, environ: Environ) -> Any:
    """Whom the service takes the token for."""
    response = ask(app, environ, "/api/me")
    assert response.status_code == 200, response.text
    return response.get_json()["id"]


def test_the_table_holds_enough_attacks_of_different_names() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 150


def test_an_attack_is_refused(app: Flask, source: Source, subtests: pytest.Subtests) -> None:
    assert_all_refused(CASES, app, source, subtests)


def test_a_good_token_works_before_and_after_all_attacks(app: Flask, source: Source) -> None:
    assert ask(app, bearer(source.token())).status_code == 200
    codes = {ask(app, case.environ(source)).status_code for case in CASES}
    assert codes == {401}
    assert ask(app, bearer(source.token())).status_code == 200


def test_no_refusal_repeats_the_token_the_secret_or_what_broke(
    app: Flask, source: Source, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, out = logging.getLogger("app"), io.StringIO()
    handler = next(handler for handler in log.handlers if isinstance(handler, LineHandler))
    monkeypatch.setattr(handler, "stream", out)
    level = log.level
    log.setLevel(logging.DEBUG)
    try:
        for case in CASES:
            environ = case.environ(source)
            told = ask(app, environ).text + out.getvalue()
            parts = environ.get("HTTP_AUTHORIZATION", "").split(".")
            needles = [part for part in (*parts, secret, "Traceback") if len(part) > 8]
            assert not [part for part in needles if part in told], case.name
    finally:
        log.setLevel(level)
    assert len(out.getvalue().splitlines()) >= len(CASES)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_works_in_any_letter_case(app: Flask, source: Source, scheme: str) -> None:
    assert owner(app, {"HTTP_AUTHORIZATION": f"{scheme} {source.token()}"}) == USER


@pytest.mark.parametrize("spaces", ["{}  {}", "{} {} ", "{}    {}  "])
def test_more_spaces_than_one_do_no_harm(app: Flask, source: Source, spaces: str) -> None:
    assert owner(app, {"HTTP_AUTHORIZATION": spaces.format("Bearer", source.token())}) == USER


GOOD: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "an integer sub": (lambda: {"sub": 12345}, "12345"),
    "a sub of zero": (lambda: {"sub": 0}, "0"),
    "a negative sub": (lambda: {"sub": -7}, "-7"),
    "a sub of 255 digits": (lambda: {"sub": int("9" * 255)}, "9" * 255),
    "a sub of 255 characters": (lambda: {"sub": "ü" * 255}, "ü" * 255),
    "a sub of 255 characters beyond the BMP": (lambda: {"sub": "😀" * 255}, "😀" * 255),
    "a sub with quotes and percent": (lambda: {"sub": "o'b\"%s%00{}\\"}, "o'b\"%s%00{}\\"),
    "a sub of spaces and a letter": (lambda: {"sub": " a "}, " a "),
    "a null sub and a user_id": (lambda: {"sub": None, "user_id": "u1"}, "u1"),
    "a null sub and an integer user_id": (lambda: {"sub": None, "user_id": 9}, "9"),
    "both sub and user_id": (lambda: {"sub": "u0", "user_id": "u1"}, "u0"),
    "an exp of a second ago": (lambda: {"exp": now() - 1}, USER),
    "an exp that is a float": (lambda: {"exp": time.time() + 60}, USER),
    "an nbf in five seconds": (lambda: {"nbf": now() + LEEWAY // 2}, USER),
    "an iat in five seconds": (lambda: {"iat": now() + LEEWAY // 2}, USER),
    "an iat long ago": (lambda: {"iat": 0}, USER),
    "a null aud": (lambda: {"aud": None}, USER),
    "an iss where none is configured": (lambda: {"iss": "anyone"}, USER),
    "a jti that is a number": (lambda: {"jti": 1}, USER),
    "claims that it does not know": (lambda: {"role": "admin", "scope": ["a"]}, USER),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_token_names_its_user(app: Flask, source: Source, name: str) -> None:
    make_claims, expected = GOOD[name]
    assert owner(app, bearer(source.token(**make_claims()))) == expected


def test_a_token_without_iat_works(app: Flask, source: Source) -> None:
    assert owner(app, bearer(source.token(without="iat"))) == USER


def test_a_user_id_claim_is_used_where_there_is_no_sub(app: Flask, source: Source) -> None:
    assert owner(app, bearer(source.token(without="sub", user_id="u1"))) == "u1"


@pytest.mark.parametrize(
    "header", [{"typ": "at+jwt"}, {"kid": "any"}, {"jku": "http://127.0.0.1:9/"}, {"jwk": {}}]
)
def test_what_a_signed_header_says_of_keys_is_not_looked_at(
    app: Flask, source: Source, header: dict[str, Any]
) -> None:
    assert owner(app, bearer(source.token(header=header))) == USER


def test_a_token_of_the_greatest_length_works(app: Flask, source: Source) -> None:
    short = next(
        token for n in range(5900, 6100) if 8180 <= len(token := source.token(padding="x" * n)) <= 8190
    )
    assert owner(app, bearer(short)) == USER


def test_a_name_that_is_repeated_means_its_last_value(app: Flask, source: Source) -> None:
    token = source.raw('{"sub":"mallory","sub":"victim","exp":1,"exp":LATER}')
    assert owner(app, bearer(token)) == USER


@pytest.mark.parametrize("depth", [100, 900, 2900])
def test_a_signed_claim_that_is_nested_deeply_never_breaks_the_service(
    app: Flask, source: Source, depth: int
) -> None:
    token = source.raw('{"sub":"victim","exp":LATER,"email":' + "[" * depth + "]" * depth + "}")
    response = ask(app, bearer(token))
    assert response.status_code in (200, 401)
    assert response.status_code == 200 or response.get_json()["code"] == "invalid_token"


@pytest.mark.parametrize("digits", [300, 4000])
def test_an_exp_without_end_is_no_error(app: Flask, source: Source, digits: int) -> None:
    assert owner(app, bearer(source.raw('{"sub":"victim","exp":' + "9" * digits + "}"))) == USER


@pytest.mark.parametrize("path", ["/v1/tasks", "/api/tasks", "/api/victim/tasks", "/api/me", "/v1/tasks/x"])
def test_no_route_of_a_user_opens_without_a_token(app: Flask, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        response = app.test_client().open(path, method=method)
        assert response.status_code in (401, 405)
        if response.status_code == 401:
            assert response.headers["WWW-Authenticate"] == "Bearer"
        else:
            assert method not in response.headers["Allow"].split(", ")


def test_every_route_but_the_public_ones_asks_for_a_token(app: Flask) -> None:
    closed = 0
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(("health.", "openapi.")):
            continue
        path = rule.rule.replace("<user_id>", "victim").replace("<id>", "x").replace("<task_id:id>", "x")
        for method in (rule.methods or set()) - {"OPTIONS"}:
            assert app.test_client().open(path, method=method).status_code == 401, (method, path)
            closed += 1
    assert closed >= 20


CONFIGURED = [
    claims("iss missing", lambda: {"aud": AUDIENCE}),
    *(
        always(f"iss {name}", {"aud": AUDIENCE, "iss": value})
        for name, value in {
            "null": None,
            "empty": "",
            "of another": "https://evil.example.com",
            "with a slash after it": ISSUER + "/",
            "with more after it": ISSUER + ".evil.com",
            "that ours begins with": ISSUER[:-4],
            "of one letter": "h",
            "in upper case": ISSUER.upper(),
            "in a list": [ISSUER],
            "in an object": {ISSUER: 1},
            "that is a number": 1,
            "that is true": True,
        }.items()
    ),
    claims("aud missing", lambda: {"iss": ISSUER}),
    *(
        always(f"aud {name}", {"iss": ISSUER, "aud": value})
        for name, value in {
            "null": None,
            "empty": "",
            "an empty list": [],
            "of another": "https://evil.example.com",
            "with a slash after it": AUDIENCE + "/",
            "that ours begins with": AUDIENCE[:-4],
            "of one letter": "h",
            "a star": "*",
            "a list of others": ["a", "b"],
            "a list of its letters": list(AUDIENCE),
            "a list with a number": [AUDIENCE, 1],
            "a list with null": [AUDIENCE, None],
            "a list in a list": [[AUDIENCE]],
            "an object": {AUDIENCE: 1},
            "a number": 1,
            "true": True,
        }.items()
    ),
]


@pytest.fixture(scope="module")
def configured(make: Make) -> Flask:
    """An application that asks for an issuer and an audience."""
    return make(JWT_ISSUER=ISSUER, JWT_AUDIENCE=AUDIENCE)


def test_a_token_from_elsewhere_or_for_another_is_refused(
    configured: Flask, source: Source, subtests: pytest.Subtests
) -> None:
    assert_all_refused(CONFIGURED, configured, source, subtests)


def test_a_forgery_is_refused_where_an_issuer_is_configured(
    configured: Flask, source: Source, subtests: pytest.Subtests
) -> None:
    assert_all_refused([*forgeries, *shared_secret_only], configured, source, subtests)


@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE], [AUDIENCE] * 2])
def test_the_right_issuer_and_audience_are_let_in(configured: Flask, source: Source, aud: Any) -> None:
    assert owner(configured, bearer(source.token(iss=ISSUER, aud=aud))) == USER


@pytest.mark.parametrize("aud", ["anything", ["a", "b"], "", [], None, 1, {}])
def test_any_audience_will_do_where_it_is_a_star(starred: Flask, source: Source, aud: Any) -> None:
    assert owner(starred, bearer(source.token(aud=aud))) == USER


def test_no_audience_will_do_where_it_is_a_star(starred: Flask, source: Source) -> None:
    assert owner(starred, bearer(source.token())) == USER


def test_an_attack_is_refused_where_any_audience_will_do(
    starred: Flask, source: Source, subtests: pytest.Subtests
) -> None:
    assert_all_refused([*forgeries, *faults], starred, source, subtests)


@pytest.fixture(scope="module")
def starred(make: Make) -> Flask:
    return make(JWT_AUDIENCE="*")


@pytest.fixture(scope="module")
def nested(make: Make) -> Flask:
    """An application whose user stands inside another claim."""
    return make(JWT_USER_ID_CLAIMS="user.id")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"user": None},
        {"user": USER},
        {"user": [USER]},
        {"user": [{"id": USER}]},
        {"user": {}},
        {"user": {"id": None}},
        {"user": {"id": ""}},
        {"user": {"id": [USER]}},
        {"user": {"id": {"id": USER}}},
        {"user": {"id": True}},
        {"user": {"sub": USER}},
        {"user.id": USER},
        {"id": USER},
        {"user_id": USER},
    ],
    ids=json.dumps,
)
def test_a_user_claim_inside_another_is_asked_for_as_configured(
    nested: Flask, source: Source, values: dict[str, Any]
) -> None:
    assert_refused(ask(nested, bearer(source.token(**values))), "invalid_token")


def test_a_user_claim_inside_another_wins_over_sub(nested: Flask, source: Source) -> None:
    assert owner(nested, bearer(source.token(sub="mallory", user={"id": USER}))) == USER


def test_a_token_of_another_deployment_is_refused(app: Flask) -> None:
    other = shared_secret(secrets.token_hex(32))
    assert_refused(ask(app, bearer(other.token())), "invalid_token")


def test_a_refusal_comes_before_the_path_user_is_compared(app: Flask, source: Source) -> None:
    bad = bearer(source.token(exp=1))
    assert ask(app, bad, "/api/victim/tasks").status_code == 401
    assert ask(app, bad, "/api/mallory/tasks").status_code == 401
    assert ask(app, bearer(source.token()), "/api/mallory/tasks").status_code == 403
    assert ask(app, bearer(source.token()), "/api/victim/tasks").status_code == 200


@pytest.mark.parametrize(
    "key", ["ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ", "-----BEGIN PUBLIC KEY-----x-----END PUBLIC KEY-----"]
)
def test_a_secret_that_looks_like_a_public_key_is_refused_at_the_start(make: Make, key: str) -> None:
    """PyJWT takes no such key for HMAC, and would say so at each request only."""
    with pytest.raises(ConfigError, match=r"^BETTER_AUTH_SECRET: ") as refusal:
        make(BETTER_AUTH_SECRET=key)
    assert key not in refusal.value.message

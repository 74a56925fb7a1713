"""The people of the tests, each with a real token."""

import time
from typing import Any

import jwt
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def token(secret: str, user_id: Any, *, minutes: float = 5, **claims: Any) -> str:
    """A token of shared-secret mode."""
    now = int(time.time())
    return jwt.encode({"sub": user_id, "iat": now, "exp": now + int(minutes * 60), **claims}, secret, "HS256")


class Person:
    """A user at a client of the API: each request carries their token."""

    def __init__(self, client: FlaskClient, secret: str, user_id: Any, **claims: Any) -> None:
        self.client = client
        self.id = user_id
        self.token = token(secret, user_id, **claims)

    def request(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", **kwargs.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> TestResponse:
        return self.request("POST", path, **_with_json(body, kwargs))

    def put(self, path: str, body: Any = None, **kwargs: Any) -> TestResponse:
        return self.request("PUT", path, **_with_json(body, kwargs))

    def patch(self, path: str, body: Any = None, **kwargs: Any) -> TestResponse:
        return self.request("PATCH", path, **_with_json(body, kwargs))

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self.request("DELETE", path, **kwargs)


def _with_json(body: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    return kwargs if body is None else {"json": body, **kwargs}

"""What the contract tests share: the table of mounts, whole error bodies, and a watch on statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from werkzeug.test import TestResponse

from app.db import database
from tests.mounts import MOUNTS, Mount
from tests.people import Person

NEVER_WAS = "01890a5d-ac96-774b-bcce-b302099a8057"
NO_TASK = "Task not found."
UNQUOTED = 'If-Match: holds no entity tag; send the ETag of a response with its quotes, as in "42".'
NOTHING = "There is nothing at this address."
NO_JSON = "The body is not valid JSON."
NO_TOKEN = "Send a token in the Authorization header, as in: Bearer <token>."
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    410: "Gone",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

V1, API, USER = MOUNTS
each_mount = pytest.mark.mounts(*MOUNTS)
each_complete = pytest.mark.mounts(API, USER)
# Below each_mount: the whole table on the first mount and one case on the others, which share the code.
table = pytest.mark.table


def expect_problem(
    response: TestResponse,
    status: int,
    code: str,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    *,
    v1: bool,
) -> None:
    """The answer is this error and says no more: the body is compared whole, but for the request id."""
    body = response.get_json()
    expected: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": body["request_id"],
    }
    if errors:
        expected["errors"] = errors
    if v1:
        expected["error"] = {"code": code, "message": detail, "details": errors}
    assert body == expected
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    assert isinstance(body["request_id"], str)
    assert body["request_id"]


def expect_invalid(
    response: TestResponse, mount: Mount, place: str, name: str, code: str, detail: str
) -> None:
    """The answer refuses one field (place: pointer) or one query parameter (place: parameter)."""
    where = f"/{name}" if place == "pointer" and name else name
    errors = [{place: where, "code": code, "detail": detail}]
    sentence = f"{name or 'body'}: {detail}"
    expect_problem(response, mount.invalid, "validation_error", sentence, errors, v1=mount.enveloped)


def expect_names(response: TestResponse, mount: Mount, place: str, where: str) -> None:
    """The answer is the mount's validation error and names this field or parameter alone."""
    body = response.get_json()
    assert (response.status_code, body["code"]) == (mount.invalid, "validation_error")
    assert [error[place] for error in body["errors"]] == [where]


def without_request_id(response: TestResponse) -> bytes:
    """The body's bytes, the request id taken out."""
    request_id: str = response.get_json()["request_id"]
    body: bytes = response.data
    return body.replace(request_id.encode(), b"")


def create(mount: Mount, person: Person, title: str = "Buy milk", **fields: Any) -> dict[str, Any]:
    """A new task of a person's, as the mount answers it."""
    response = person.post(mount.path(person.id), {"title": title, **fields})
    assert response.status_code == 201, response.text
    return mount.task(response)


def get(mount: Mount, person: Person, task_id: str) -> dict[str, Any]:
    """A person's task, as the mount answers it."""
    response = person.get(mount.path(person.id, f"/{task_id}"))
    assert response.status_code == 200, response.text
    return mount.task(response)


def complete(mount: Mount, person: Person, task_id: str, owner: str | None = None) -> TestResponse:
    """Turn a task's completion over: the call that needs no body."""
    method, segment = mount.completion
    return person.request(method, mount.path(owner or person.id, f"/{task_id}/{segment}"))


def rev(person: Person) -> int:
    """The person's `rev`, which a write that is refused or changes nothing may raise as well."""
    current: int = person.get("/api/me").get_json()["rev"]
    return current


@contextmanager
def nothing_written(mount: Mount, person: Person) -> Iterator[None]:
    """Fail if a task changes meanwhile, its `rev` included, or if the changes feed then has anything new."""

    def tasks() -> list[list[dict[str, Any]]]:
        queries = ("?limit=500", "?limit=500&deleted=true")
        return [mount.tasks(person.get(mount.path(person.id, query))) for query in queries]

    before, since = tasks(), rev(person)
    yield
    assert tasks() == before
    feed = person.get(mount.path(person.id, f"/changes?since={since}")).get_json()
    assert feed == {"tasks": [], "deleted": [], "rev": rev(person), "more": False}
    assert feed["rev"] >= since


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that reach a database meanwhile."""
    seen: list[str] = []

    def look(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    send = database.send

    def look_at_driver(cursor: Any, statement: str, params: Any) -> None:
        seen.append(statement)
        send(cursor, statement, params)

    event.listen(Engine, "before_cursor_execute", look)
    try:
        with patch.object(database, "send", look_at_driver):
            yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", look)

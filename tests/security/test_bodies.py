"""A body that did not come whole, or not as HTTP has it, changes nothing and is never a 500."""

import io
from typing import Any

import pytest
from gunicorn.http.errors import InvalidChunkSize

from tests.contract.expect import table
from tests.people import Person


class BadChunk(io.RawIOBase):
    """What gunicorn's body does when a chunk's size is no number."""

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: Any) -> int:
        raise InvalidChunkSize(b"zz")


def send(person: Person, method: str, path: str, stream: Any, **environ: Any) -> Any:
    """A request as gunicorn hands it over: its stream ends by itself, whatever the length given."""
    return person.client.open(
        path,
        method=method,
        headers={"Authorization": f"Bearer {person.token}"},
        content_type="application/json",
        environ_overrides={"wsgi.input": stream, "wsgi.input_terminated": True, **environ},
    )


def task_of(person: Person) -> Any:
    created = person.post("/api/tasks", {"title": "x"})
    assert created.status_code == 201
    return created.get_json()


@pytest.mark.parametrize(
    "sent", [b"", b'{"completed"', b'{"completed":true}'], ids=["nothing", "half", "nearly all"]
)
def test_a_completion_whose_body_was_cut_changes_nothing(alice: Person, sent: bytes) -> None:
    task = task_of(alice)
    path = f"/api/tasks/{task['id']}"
    response = send(alice, "PATCH", f"{path}/complete", io.BytesIO(sent), CONTENT_LENGTH="20")
    assert response.status_code == 400
    assert alice.get(path).get_json() == task


def test_a_creation_whose_body_was_cut_makes_no_task(alice: Person) -> None:
    response = send(alice, "POST", "/v1/tasks", io.BytesIO(b'{"title": "x"}'), CONTENT_LENGTH="100")
    assert response.status_code == 400
    assert alice.get("/v1/tasks").get_json()["tasks"] == []


@table
@pytest.mark.parametrize(
    ("method", "rest"), [("POST", ""), ("PUT", "/x"), ("PATCH", "/x"), ("PATCH", "/x/complete")]
)
def test_a_chunk_that_is_none_is_a_bad_request(alice: Person, method: str, rest: str) -> None:
    stream = io.BufferedReader(BadChunk())
    response = send(alice, method, f"/api/tasks{rest}", stream, HTTP_TRANSFER_ENCODING="chunked")
    assert response.status_code == 400
    assert response.get_json()["code"] == "bad_request"


@table
@pytest.mark.parametrize(("size", "status"), [(65_536, 201), (65_537, 413), (65_538, 413), (200_000, 413)])
def test_a_body_of_unknown_length_has_the_same_limit(alice: Person, size: int, status: int) -> None:
    stream = io.BytesIO(b'{"title":"x"}'.ljust(size))
    response = send(alice, "POST", "/v1/tasks", stream, HTTP_TRANSFER_ENCODING="chunked")
    assert response.status_code == status


@table
@pytest.mark.parametrize(
    "path", ["//v1/tasks", "///v1/tasks", "//api/tasks", "//api/alice/tasks", "/v1//tasks"]
)
def test_a_double_slash_is_no_address(alice: Person, path: str) -> None:
    response = alice.get("/", environ_overrides={"PATH_INFO": path, "REQUEST_URI": path, "RAW_URI": path})
    assert response.status_code == 404
    assert response.content_type == "application/problem+json"

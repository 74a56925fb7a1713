"""The floor: a WSGI application that returns fixed bytes, under the product's gunicorn settings."""

import json
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

TASK = {
    "id": "00000000-0000-7000-8000-100001100001",
    "user_id": "user-100001",
    "title": "Task 100001",
    "description": "Two litres, and bread if there is any left.",
    "completed": False,
    "rev": 1,
    "created_at": "2025-01-01T00:01:00.100001Z",
    "updated_at": "2025-01-01T00:01:00.100001Z",
}
ONE = json.dumps(TASK, separators=(",", ":")).encode()
FIFTY = json.dumps([TASK] * 50, separators=(",", ":")).encode()
STATUS = {"GET": "200 OK", "POST": "201 Created", "PATCH": "200 OK"}


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Return fifty tasks for a list and one task for any other request."""
    # An unread body would be parsed as the next request.
    if environ.get("CONTENT_LENGTH"):
        environ["wsgi.input"].read()
    method = environ["REQUEST_METHOD"]
    body = FIFTY if method == "GET" and environ["PATH_INFO"] == "/api/tasks" else ONE
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(STATUS[method], headers)
    return [body]

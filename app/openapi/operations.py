"""What the OpenAPI document adds to each operation's route, schemas and docstring."""

from typing import Any, NamedTuple

from marshmallow import Schema

from ..contracts import Contract
from ..errors import ERRORS, FIELD_ERRORS, TASK_NOT_FOUND, problem_body
from ..limits import MAX_USER_ID
from ..parsing import JSON, MERGE_PATCH
from ..tasks.fields import EXAMPLE_ID, EXAMPLE_TIME, task_fields
from ..tasks.queries import ChangesQuery, ListQuery
from ..validation import QuerySchema


class Operation(NamedTuple):
    """A view's part of the document.

    `response` and `body` name schemas, `headers` are those of successful responses, `problems` are statuses
    that other operations do not have, and `precondition` is the conditional header that it evaluates.
    """

    response: str = ""
    statuses: tuple[int, ...] = (200,)
    headers: tuple[str, ...] = ()
    body: str = ""
    query: type[Schema] = QuerySchema
    problems: tuple[int, ...] = ()
    precondition: str = ""
    id: str = ""
    tag: str = ""
    media_type: str = JSON
    body_types: tuple[str, ...] = (JSON,)
    body_required: bool = True


IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"
_WRITE = Operation("Task", headers=("ETag",), problems=(400, 404, 412), precondition=IF_MATCH)
# By the name of the view, which is the same on each mount.
TASK_OPERATIONS = {
    "list_tasks": Operation(
        "TaskList", (200, 304), ("ETag", "Link"), query=ListQuery, precondition=IF_NONE_MATCH
    ),
    "create_task": Operation("Task", (201, 200), ("ETag", "Location"), "NewTask", problems=(409,)),
    "list_changes": Operation("Changes", query=ChangesQuery, problems=(410,)),
    "batch_tasks": Operation("BatchResults", body="Batch", problems=(404, 409, 412)),
    "get_task": Operation("Task", (200, 304), ("ETag",), problems=(404,), precondition=IF_NONE_MATCH),
    "put_task": _WRITE._replace(body="TaskChanges"),
    "patch_task": _WRITE._replace(body="TaskChanges", body_types=(MERGE_PATCH, JSON)),
    "delete_task": _WRITE._replace(response="", statuses=(204,), headers=()),
    "restore_task": _WRITE,
    "toggle_task": _WRITE,
    "complete_task": _WRITE._replace(body="Completion", body_required=False),
}
PRIVATE, PUBLIC = "You", "Service"
TAGS = {
    PRIVATE: "What is stored about the token's user, and how to delete it.",
    PUBLIC: "For operators, without a token.",
}
# By endpoint.
OPERATIONS = {
    "me.get": Operation("Me", id="getMe", tag=PRIVATE),
    "me.delete": Operation(statuses=(204,), id="deleteMe", tag=PRIVATE),
    "health.health": Operation("Health", id="getHealth", tag=PUBLIC),
    "health.ready": Operation("Readiness", problems=(503,), id="getReadiness", tag=PUBLIC),
    "health.metrics": Operation(
        "Metrics", problems=(404,), id="getMetrics", tag=PUBLIC, media_type="text/plain"
    ),
    "openapi.document": Operation("Document", (200, 304), ("ETag",), id="getOpenapi", tag=PUBLIC),
    "openapi.page": Operation("Page", problems=(404,), id="getDocs", tag=PUBLIC, media_type="text/html"),
    "openapi.index": Operation(statuses=(302,), headers=("Location",), id="getRoot", tag=PUBLIC),
}
PLAIN_SCHEMAS: dict[str, dict[str, Any]] = {
    "Completed": {"type": "boolean", "default": False},
    "Document": {"type": "object"},
    "Page": {"type": "string"},
    "Metrics": {"type": "string"},
}

STATUS_DESCRIPTIONS = {
    200: "Done.",
    201: "Created.",
    204: "Done, without a body.",
    302: "Redirect.",
    304: "Not modified, without a body.",
}
# Sentences for the examples of codes that have none of their own, several, or one with parameters.
EXAMPLE_DETAILS = {
    "validation_error": f"title: {FIELD_ERRORS['empty'].detail}",
    "not_found": TASK_NOT_FOUND,
    "unsupported_media_type": ERRORS["unsupported_media_type"].detail.format(media_types=JSON),
}
# Names of responses that do not follow from the first code of the status.
PROBLEM_NAMES = {422: "Invalid", 503: "Unavailable"}

REQUEST_ID = "7d1f0c5b9e2a4f6c8b3d5e7f9a1c2e4d"
RESPONSE_HEADERS = {
    "ETag": ("The version. Send it as `If-Match` with a write, or as `If-None-Match` with a read.", '"42"'),
    "Link": ("The next page, if there is one.", '</api/tasks?cursor=AAY_…>; rel="next"'),
    "Location": ("The address of the task or page.", f"/api/tasks/{EXAMPLE_ID}"),
    "Retry-After": ("Seconds to wait before trying again.", "5"),
    "WWW-Authenticate": ("The challenge (RFC 6750, section 3).", 'Bearer error="invalid_token"'),
    "Accept-Patch": (
        "On PATCH, the accepted media types (RFC 5789, section 3.1).",
        f"{MERGE_PATCH}, {JSON}",
    ),
    "X-Request-ID": (
        "The id of the request in the log: the request's own `X-Request-ID`, or a new one.",
        REQUEST_ID,
    ),
}
OPTIONAL_HEADERS = ("Link", "Accept-Patch")
PRECONDITIONS: dict[str, dict[str, Any]] = {
    IF_MATCH: {
        "description": "Write the task only if it still has one of these entity tags, which include their "
        "quotes; otherwise the response is 412.",
        # `*`, or tags as responses have them. A header without any tag is a 400.
        "schema": {"type": "string", "pattern": r'^(\*|(W/)?"[!#-+.-~-]*"(, ?(W/)?"[!#-+.-~-]*")*)$'},
        "example": '"42"',
    },
    IF_NONE_MATCH: {
        "description": "The response is 304 if the entity tag is one of these.",
        "schema": {"type": "string"},
    },
}
PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "user_id": {
        "in": "path",
        "name": "user_id",
        "required": True,
        "description": "The id of the token's user.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID},
        "example": "alice",
    },
    "id": {
        "in": "path",
        "name": "id",
        "required": True,
        "description": "The task's id.",
        "schema": {"type": "string", "format": "uuid"},
        "example": EXAMPLE_ID,
    },
}


def problem_codes(status: int, *, v1: bool) -> list[str]:
    """The codes of the errors with that status on a mount."""
    statuses = {code: kind.status for code, kind in ERRORS.items()}
    statuses["validation_error"] = 422 if v1 else 400
    return [code for code in statuses if statuses[code] == status]


def problem_name(status: int, *, v1: bool) -> str:
    """The name of the responses with that status on a mount."""
    words = problem_codes(status, v1=v1)[0].split("_")
    name = PROBLEM_NAMES.get(status) or "".join(word.capitalize() for word in words)
    return f"V1{name}" if v1 else name


def problem_examples(status: int, *, v1: bool) -> dict[str, Any]:
    """Examples of the responses with that status on a mount, by code."""
    details = {code: kind.detail for code, kind in ERRORS.items()} | EXAMPLE_DETAILS
    invalid = [{"pointer": "/title", "code": "required", "detail": FIELD_ERRORS["empty"].detail}]
    examples = {}
    for code in problem_codes(status, v1=v1):
        errors = invalid if code == "validation_error" else None
        body = problem_body(status, code, details[code], errors, REQUEST_ID, v1=v1)
        examples[code] = {"value": body}
    return examples


def task_examples(contract: Contract) -> dict[str, Any]:
    """An example of each schema of the contract, by its name."""
    task = {field.name: field.example for field in task_fields(contract) if field.shown}
    tasks = [task]
    return {
        "Task": {"task": task} if contract.envelope else task,
        "TaskList": {"tasks": tasks, "next_cursor": None} if contract.envelope else tasks,
        "Changes": {
            "tasks": tasks,
            "deleted": [{"id": EXAMPLE_ID[:-2] + "11", "rev": 43}],
            "rev": 43,
            "more": False,
        },
        "Batch": {
            "operations": [
                {"op": "create", "task": {"title": task["title"]}},
                {"op": "update", "id": EXAMPLE_ID, "rev": 41, "task": {"completed": True}},
            ]
        },
        "BatchResults": {
            "results": [
                {"status": 201, "task": task},
                {
                    "status": 412,
                    "problem": problem_examples(412, v1=contract.envelope)["precondition_failed"]["value"],
                },
            ],
            "rev": task["rev"],
        },
        "NewTask": {name: task[name] for name in ("title", contract.text_field)},
        "TaskChanges": {"title": "Buy oat milk", "completed": True},
        "Completion": {"completed": True},
    }


FIXED_EXAMPLES: dict[str, Any] = {
    "Me": {
        "id": "alice",
        "email": "alice@example.com",
        "name": "Alice",
        "rev": 42,
        "created_at": EXAMPLE_TIME,
    },
    "Health": {"status": "healthy"},
    "Readiness": {"status": "ready"},
    "Document": {"openapi": "3.1.0"},
    "Page": "<!DOCTYPE html>",
    "Metrics": 'http_requests_total{route="/api/tasks",method="GET",status="200"} 42.0',
}

"""The registry of errors, and the handlers that turn every error into RFC 9457 problem details."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flask import Flask, Response, current_app, g, request
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException, MethodNotAllowed, default_exceptions
from werkzeug.http import HTTP_STATUS_CODES

from .contracts import has_error_member
from .db.outages import is_outage, outage_cause
from .headers import problem_media_type
from .limits import MAX_FIELD_ERRORS

log = logging.getLogger(__name__)


class ErrorKind(NamedTuple):
    """The status of an error code, its usual sentence, and the headers that only its responses carry."""

    status: int
    detail: str = ""
    headers: tuple[str, ...] = ()


class FieldError(NamedTuple):
    """Why a field or query parameter is refused: a code for programs, and a sentence without its subject."""

    code: str
    detail: str


# Every error by its code. validation_error has the status of the mount, and the sentence of its first field.
ERRORS = {
    "bad_request": ErrorKind(400, "The request cannot be read."),
    "malformed_json": ErrorKind(400, "The body is not valid JSON."),
    "validation_error": ErrorKind(400),
    "unauthorized": ErrorKind(
        401, "Send a token in the Authorization header, as in: Bearer <token>.", ("WWW-Authenticate",)
    ),
    "invalid_token": ErrorKind(401, "The token is not valid.", ("WWW-Authenticate",)),
    "forbidden": ErrorKind(403, "These tasks belong to another user."),
    "not_found": ErrorKind(404, "There is nothing at this address."),
    "method_not_allowed": ErrorKind(405, "This address does not answer to this method."),
    "conflict": ErrorKind(409, "A task with this id lies in the trash."),
    "sync_expired": ErrorKind(410, "Deletions since then were purged; start again from 0."),
    "precondition_failed": ErrorKind(412, "The task was changed meanwhile; fetch it again.", ("ETag",)),
    "payload_too_large": ErrorKind(413, "The body is larger than {kib} KiB."),
    "unsupported_media_type": ErrorKind(415, "The body must be sent as {media_types}.", ("Accept-Patch",)),
    "too_many_requests": ErrorKind(
        429, "There were too many requests; wait a moment and go on more slowly.", ("Retry-After",)
    ),
    "internal_error": ErrorKind(500, "Something went wrong on our side; the request id helps us to find it."),
    "service_unavailable": ErrorKind(
        503, "The service cannot answer at the moment; try again shortly.", ("Retry-After",)
    ),
}
TASK_NOT_FOUND = "Task not found."
# The codes of errors that Flask and werkzeug raise, by status.
CODES_BY_STATUS = {
    ERRORS[code].status: code
    for code in (
        "bad_request",
        "not_found",
        "method_not_allowed",
        "internal_error",
        "service_unavailable",
    )
}
FIELD_ERRORS = {
    "required": FieldError("required", "is required."),
    "empty": FieldError("required", "must not be empty."),
    "not_a_string": FieldError("invalid_type", "must be a string."),
    "not_a_boolean": FieldError("invalid_type", "must be true or false."),
    "not_a_list": FieldError("invalid_type", "must be an array."),
    "not_strings": FieldError("invalid_type", "must be an array of strings."),
    "not_an_object": FieldError("invalid_type", "must be a JSON object."),
    "not_a_uuid": FieldError("invalid", "must be a UUID."),
    "bad_cursor": FieldError("invalid", "is not the cursor of a list with these filters."),
    "not_a_choice": FieldError("invalid", "must be one of {choices}."),
    "not_a_date": FieldError("invalid", "must be a date or a date-time, as in 2026-02-05T09:00:00Z."),
    "no_such_date": FieldError("invalid", "must be a day of the calendar."),
    "excluded": FieldError("invalid", "cannot be combined with {other}."),
    "too_long": FieldError("too_long", "must be at most {limit} characters."),
    "too_many": FieldError("too_long", "must be at most {limit} items."),
    "out_of_range": FieldError("out_of_range", "must be a whole number from {low} to {high}."),
    "year_out_of_range": FieldError("out_of_range", "must be in the years 1 to 9999."),
    "unknown_rev": FieldError("out_of_range", "must be a rev that an answer gave."),
    "nul": FieldError("invalid_character", "must not contain a NUL character."),
    "control": FieldError("invalid_character", "must not contain a control character."),
    "not_printable": FieldError("invalid_character", "must be printable ASCII characters."),
    "unknown_field": FieldError("unknown_field", "is not a field that can be sent here."),
    "other_name": FieldError("unknown_field", "is called {here} here."),
    "unknown_parameter": FieldError("unknown_parameter", "is not a parameter of this address."),
    "repeated_parameter": FieldError("repeated_parameter", "must be given once."),
}


def field_error(name: str, **params: object) -> list[FieldError]:
    """One of FIELD_ERRORS with `params` in its sentence, in the list that marshmallow expects."""
    code, detail = FIELD_ERRORS[name]
    return [FieldError(code, detail.format(**params))]


class Problem(HTTPException):
    """An error response of one of ERRORS, with the code's own sentence unless `detail` replaces it.

    `params` fill in the sentence. `reason` is for the log and the metrics: one of a few words, never what a
    client sent. `index` is the place of the operation that stopped a batch.
    """

    index: int | None = None

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        status: int | None = None,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str = "",
        **params: object,
    ) -> None:
        kind = ERRORS[code]
        super().__init__(detail or kind.detail.format(**params))
        self.code = status or kind.status
        self.problem_code = code
        self.errors = errors
        self.headers = headers or {}
        self.reason = reason or code


def validation_problem(status: int, place: str, messages: Mapping[Any, Any]) -> Problem:
    """The problem of invalid input: lists of FieldError by name, those of a list's items by their index.

    Those of the body as a whole are under None. `place` is `pointer` for a body's fields, `parameter` for a
    query's.
    """
    found = list(_located(messages))[:MAX_FIELD_ERRORS]
    errors = []
    for path, (code, detail) in found:
        where = str(path[0]) if place == "parameter" else json_pointer(path)
        errors.append({place: where, "code": code, "detail": detail})
    path, first = found[0]
    subject = "/".join(map(str, path[:1] if place == "parameter" else path)) if path else "body"
    return Problem("validation_error", f"{subject}: {first.detail}", status=status, errors=errors)


def _located(messages: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], FieldError]]:
    """Each error with the names and indexes that lead to it."""
    if isinstance(messages, list):
        yield from ((path, error) for error in messages)
    else:
        for name, inner in messages.items():
            yield from _located(inner, path if name is None else (*path, name))


def json_pointer(path: tuple[Any, ...]) -> str:
    """The JSON pointer (RFC 6901, section 3) to a part of the body; an empty path is the whole."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def not_found() -> Problem:
    """The one problem of a task that is another user's, deleted, or never existed."""
    return Problem("not_found", TASK_NOT_FOUND)


def problem_body(
    status: int, code: str, detail: str, errors: list[dict[str, str]] | None, request_id: str, *, v1: bool
) -> dict[str, Any]:
    """The members of RFC 9457 and our own; with `v1` also the `error` member of that mount."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Unknown Error"),
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id,
    }
    if errors:
        body["errors"] = errors
    if v1:
        body["error"] = {"code": code, "message": detail, "details": errors or None}
    return body


def problem_details(error: HTTPException) -> dict[str, Any]:
    """The body of the response to any HTTP error of this request."""
    status = error.code or 500
    errors: list[dict[str, str]] | None = None
    if isinstance(error, Problem):
        code, detail, errors = error.problem_code, error.description, error.errors
    elif status in CODES_BY_STATUS:
        code = CODES_BY_STATUS[status]
        detail = ERRORS[code].detail
    else:
        title = HTTP_STATUS_CODES.get(status, "Unknown Error")
        code, detail = title.lower().replace(" ", "_"), f"{title}."
    body = problem_body(status, code, detail or "", errors, g.request_id, v1=has_error_member(request.path))
    if isinstance(error, Problem) and error.index is not None:
        body["index"] = error.index
    return body


def problem_response(error: HTTPException) -> Response:
    """The response to any HTTP error, with the error's own headers (such as `Allow`)."""
    body = problem_details(error)
    if isinstance(error, MethodNotAllowed):
        error.valid_methods = sorted(error.valid_methods or ())
    response: Response = error.get_response()  # type: ignore[assignment]
    response.data = current_app.json.dumps(body)
    response.content_type = problem_media_type()
    if isinstance(error, Problem):
        g.reason = error.reason
        response.headers.update(error.headers)
    if error.code == 503:
        response.headers.setdefault("Retry-After", "5")
    return response


def handle_database_error(error: exc.SQLAlchemyError) -> Response:
    """Respond 503 to an outage and 500 to any other error; log the error without its values."""
    outage = is_outage(error)
    cause = getattr(error, "orig", None) or error
    # Only the first line of a driver's message: the second, DETAIL, repeats what users wrote.
    reason = (str(cause).strip().splitlines() or [""])[0]
    log.error("database: %s: %s", type(cause).__name__, reason, exc_info=None if outage else _bare(error))
    g.reason = outage_cause(error)
    return problem_response(default_exceptions[503 if outage else 500]())


def handle_unexpected(error: Exception) -> Response:
    """Respond 500 and say nothing of the cause; the log has it under the request id."""
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return problem_response(default_exceptions[500]())


def _bare(error: BaseException) -> tuple[type[BaseException], BaseException, Any]:
    """The traceback of a database error without its message, which may repeat what users wrote."""
    return type(error), RuntimeError("(message left out)"), error.__traceback__


def init_app(app: Flask) -> None:
    """Register the handlers on the application, so that they cover unknown routes too."""
    app.register_error_handler(HTTPException, problem_response)
    app.register_error_handler(exc.SQLAlchemyError, handle_database_error)
    app.register_error_handler(Exception, handle_unexpected)

"""Every error, wherever it comes from, becomes RFC 9457 problem details here."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Flask, Response, current_app, g, request
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException, MethodNotAllowed, default_exceptions
from werkzeug.http import HTTP_STATUS_CODES

from .contracts import has_error_member
from .db.timeouts import ServerTimeout
from .limits import MAX_BODY, MAX_FIELD_ERRORS

log = logging.getLogger(__name__)

# What is told of an error that was not raised by our own code: status → (code, a sentence to show).
SENTENCES = {
    400: ("bad_request", "The request cannot be read."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not answer to this method."),
    413: ("payload_too_large", f"The body is larger than {MAX_BODY // 1024} KiB."),
    500: ("internal_error", "Something went wrong on our side; the request id helps us to find it."),
    503: ("service_unavailable", "The service cannot answer at the moment; try again shortly."),
}
# PostgreSQL's SQLSTATEs for a table and a column that are not there: migrations have not run yet. None is the
# driver's own refusal to connect.
MISSING_RELATION = ("42P01", "42703", None)
# SQLSTATEs of what ended at a time limit.
TIMEOUTS = {"57014": "statement_timeout", "55P03": "lock_timeout"}


class FieldError(NamedTuple):
    """Why one field or query parameter is refused: a code for programs, a sentence's end for people."""

    code: str
    detail: str


class Problem(HTTPException):
    """An error answer: its status, its code, one sentence, and what else the problem details hold."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(detail)
        self.code = status
        self.problem_code = code
        self.errors = errors
        self.headers = headers or {}
        # For the log and the metrics alone: one of a few words, never what a client sent.
        self.reason = reason or code


def validation_problem(status: int, place: str, messages: Mapping[Any, list[FieldError]]) -> Problem:
    """The answer to invalid input: the errors by name, under None those of the body as a whole.

    `place` is `pointer` for a body's fields, `parameter` for a query's.
    """
    errors = []
    for name, field_errors in messages.items():
        where = name if place == "parameter" else json_pointer(name)
        errors += [{place: where, "code": code, "detail": detail} for code, detail in field_errors]
    first = next(iter(messages))
    detail = f"{'body' if first is None else first}: {messages[first][0].detail}"
    return Problem(status, "validation_error", detail, errors=errors[:MAX_FIELD_ERRORS])


def json_pointer(name: str | None) -> str:
    """RFC 6901, section 3, for a member of the body, or for None the body as a whole."""
    return "" if name is None else "/" + name.replace("~", "~0").replace("/", "~1")


def precondition_failed(etag: str) -> Problem:
    """The task has moved on from the version that If-Match names; `etag` is that of the current one."""
    detail = "The task was changed meanwhile; fetch it again."
    return Problem(412, "precondition_failed", detail, headers={"ETag": etag})


def not_found() -> Problem:
    """The one answer for a task that is another's, deleted, or was never there."""
    return Problem(404, "not_found", "There is no such task.")


def problem_body(
    status: int, code: str, detail: str, errors: list[dict[str, str]] | None, request_id: str, *, v1: bool
) -> dict[str, Any]:
    """The members of RFC 9457, those of our own, and on v1 the `error` that it had before them."""
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


def problem_response(error: HTTPException) -> Response:
    """Any HTTP error as `application/problem+json`, its own headers (such as `Allow`) kept."""
    status = error.code or 500
    title = HTTP_STATUS_CODES.get(status, "Unknown Error")
    if isinstance(error, Problem):
        code, detail, errors, headers = error.problem_code, error.description, error.errors, error.headers
        g.reason = error.reason
    else:
        fallback = (title.lower().replace(" ", "_"), f"{title}.")
        code, detail = SENTENCES.get(status, fallback)
        errors, headers = None, {}
    body = problem_body(status, code, detail or "", errors, g.request_id, v1=has_error_member(request.path))
    if isinstance(error, MethodNotAllowed):
        error.valid_methods = sorted(error.valid_methods or ())
    response: Response = error.get_response()  # type: ignore[assignment]
    response.data = current_app.json.dumps(body)
    response.content_type = "application/problem+json"
    response.headers.update(headers)
    if status == 503:
        response.headers.setdefault("Retry-After", "5")
    return response


def is_outage(error: exc.SQLAlchemyError) -> bool:
    """Whether the database, not the statement, is at fault: out of reach, full, frozen or not migrated."""
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.InternalError | exc.TimeoutError):
        return True
    # A file that is no SQLite database has no kind of its own.
    if type(error) is exc.DatabaseError:
        return True
    return isinstance(error, exc.ProgrammingError) and getattr(error.orig, "pgcode", None) in MISSING_RELATION


def outage_cause(error: exc.SQLAlchemyError) -> str:
    """What kept the database from answering, in a word."""
    if isinstance(error, exc.TimeoutError):
        return "pool_timeout"
    cause = getattr(error, "orig", None)
    if isinstance(cause, ServerTimeout):
        return "no_answer"
    return TIMEOUTS.get(getattr(cause, "pgcode", None) or "", "database")


def handle_database_error(error: exc.SQLAlchemyError) -> Response:
    """Answer an outage with 503 and anything else with 500; the log gets the error without its values."""
    outage = is_outage(error)
    cause = getattr(error, "orig", None) or error
    # Of a driver's message only the first line: the second, DETAIL, repeats what users wrote.
    reason = (str(cause).strip().splitlines() or [""])[0]
    log.error("database: %s: %s", type(cause).__name__, reason, exc_info=None if outage else _bare(error))
    g.reason = outage_cause(error)
    return problem_response(default_exceptions[503 if outage else 500]())


def handle_unexpected(error: Exception) -> Response:
    """Answer 500 without a word of what broke; the log has it under the request id."""
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return problem_response(default_exceptions[500]())


def _bare(error: BaseException) -> tuple[type[BaseException], BaseException, Any]:
    """The traceback of a database error, without the message that may repeat what users wrote."""
    return type(error), RuntimeError("(message left out)"), error.__traceback__


def init_app(app: Flask) -> None:
    """Put the handlers on the application, where unknown routes come past them too."""
    app.register_error_handler(HTTPException, problem_response)
    app.register_error_handler(exc.SQLAlchemyError, handle_database_error)
    app.register_error_handler(Exception, handle_unexpected)

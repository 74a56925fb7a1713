"""The log on standard output, a line for each request and event: JSON, or text on a terminal."""

import hashlib
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

import click
import orjson
import uuid_utils
from flask import Flask, Response, g, has_request_context, request

from .config import Settings

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context, section 3.2.2: version 00, trace id, parent id, flags; neither id is all zeros.
TRACEPARENT = re.compile("00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
COLOURS = {"DEBUG": "blue", "INFO": "green", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "magenta"}
ACCESS = "app.access"
Fields = dict[str, Any]


def record_fields(record: logging.LogRecord) -> Fields:
    """The fields of a record's line, by name."""
    moment = datetime.fromtimestamp(record.created, UTC).isoformat()
    fields: Fields = {
        "time": moment,
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
    }
    if has_request_context():
        fields["request_id"] = g.get("request_id")
        fields |= g.get("trace", {})
    fields |= getattr(record, "fields", {})
    if record.exc_info and record.exc_info[0]:
        # Only the frames and the type of the error: its message may repeat what a user sent.
        fields["error"] = record.exc_info[0].__name__
        fields["traceback"] = traceback.format_tb(record.exc_info[2])
    return fields


def json_line(fields: Fields) -> str:
    """The fields as one line of JSON."""
    return orjson.dumps(fields, default=str).decode()


def terminal_line(fields: Fields) -> str:
    """The fields as a coloured line for people, followed by any traceback."""
    fields = dict(fields)
    moment, level, message = fields.pop("time")[11:23], fields.pop("level"), fields.pop("message")
    frames = "".join(["\n", *fields.pop("traceback")]) if "traceback" in fields else ""
    if fields["logger"] == ACCESS:
        del fields["logger"]
        message = " ".join(str(fields.pop(name)) for name in ("method", "route", "status", "ms")) + " ms"
    others = " ".join(f"{name}={value}" for name, value in fields.items() if value is not None)
    return f"{moment} {click.style(f'{level:<8}', fg=COLOURS[level])} {message}  {others}{frames}"


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes each record as one line: JSON, or text if the stream is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._line = terminal_line if stream.isatty() else json_line

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, without a line break at its end."""
        return self._line(record_fields(record))


def user_names(settings: Settings) -> Callable[[str], str | None]:
    """A function from a user's id to their name in the log, by LOG_USER: a keyed hash, the id, or None."""
    # The key is the same in every process of a deployment, and unknown to those who only read the log.
    known = settings.secret or settings.database_url.render_as_string(hide_password=False)
    key = hashlib.sha256(known.encode()).digest()

    def hashed(user_id: str) -> str | None:
        return hashlib.blake2b(user_id.encode(), digest_size=8, key=key).hexdigest()

    names: dict[str, Callable[[str], str | None]] = {"plain": str, "hash": hashed, "off": lambda _: None}
    return names[settings.log_user]


def begin_request() -> None:
    """Store the request's id, the client's own if it is sane, its start, and the trace it belongs to."""
    given = request.headers.get("X-Request-ID")
    g.request_id = given if given and SANE_REQUEST_ID.fullmatch(given) else uuid_utils.uuid4().hex
    g.began = time.perf_counter()
    parent = request.headers.get("traceparent")
    if parent and (trace := TRACEPARENT.fullmatch(parent)):
        g.trace = {"trace_id": trace[1], "parent_id": trace[2]}


def init_app(app: Flask, settings: Settings) -> None:
    """Write the application's log to standard output, with a line for each request."""
    name_user = user_names(settings)
    handler = LineHandler(sys.stdout)
    logger = logging.getLogger("app")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(settings.log_level)
    access = logging.getLogger(ACCESS)

    def end_request(response: Response) -> Response:
        """Log the request, and return its id to the client."""
        response.headers["X-Request-ID"] = g.request_id
        level = logging.WARNING if response.status_code in (401, 403) else logging.INFO
        if not logger.isEnabledFor(level):
            return response
        fields: Fields = {"method": request.method}
        # The rule, because the path may hold a user id.
        fields["route"] = request.url_rule.rule if request.url_rule else None
        fields["status"] = response.status_code
        fields["ms"] = round((time.perf_counter() - g.began) * 1000, 2)
        if "user_id" in g and (user := name_user(g.user_id)):
            fields["user"] = user
        if "reason" in g:
            fields["reason"] = g.reason
        # Not `access.log`, which searches the stack for its caller on every request.
        record = access.makeRecord(ACCESS, level, "", 0, "request", (), None, extra={"fields": fields})
        handler.handle(record)
        return response

    app.before_request(begin_request)
    app.after_request(end_request)

"""A line for each request and each trouble on standard output: JSON, or text where that is a terminal."""

import hashlib
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext, suppress
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
    """What a record tells, by name."""
    fields = _fields(record.levelname, record.name, record.getMessage(), record.created)
    if record.exc_info and record.exc_info[0]:
        # Frames and the kind of error, not its message: that may repeat what a user sent.
        fields["error"] = record.exc_info[0].__name__
        fields["traceback"] = traceback.format_tb(record.exc_info[2])
    return fields


def _fields(level: str, logger: str, message: str, created: float) -> Fields:
    moment = datetime.fromtimestamp(created, UTC).isoformat()
    fields: Fields = {"time": moment, "level": level, "logger": logger, "message": message}
    if has_request_context():
        fields["request_id"] = g.get("request_id")
        fields |= g.get("trace", {})
    return fields


def json_line(fields: Fields) -> str:
    """The fields as one line of JSON."""
    return orjson.dumps(fields, default=str).decode()


def terminal_line(fields: Fields) -> str:
    """The fields as a line to read, with colour; a traceback stands below."""
    fields = dict(fields)
    moment, level, message = fields.pop("time")[11:23], fields.pop("level"), fields.pop("message")
    frames = "".join(["\n", *fields.pop("traceback")]) if "traceback" in fields else ""
    if fields["logger"] == ACCESS:
        del fields["logger"]
        message = " ".join(str(fields.pop(name)) for name in ("method", "route", "status", "ms")) + " ms"
    others = " ".join(f"{name}={value}" for name, value in fields.items() if value is not None)
    return f"{moment} {click.style(f'{level:<8}', fg=COLOURS[level])} {message}  {others}{frames}"


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes records, and what has no record, as lines."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._line = terminal_line if stream.isatty() else json_line

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, without its end."""
        return self._line(record_fields(record))

    def tell(self, fields: Fields) -> None:
        """Write a line of fields: what logging does for a record, without a record's cost."""
        line = self._line(fields)
        with self.lock or nullcontext(), suppress(OSError, ValueError):
            self.stream.write(f"{line}\n")
            self.stream.flush()


def user_names(settings: Settings) -> Callable[[str], str | None]:
    """What LOG_USER has a user called in the log: as they are, by a keyed hash, or not at all."""
    # The same in every process of a deployment, and known to nobody who only reads the log.
    known = settings.secret or settings.database_url.render_as_string(hide_password=False)
    key = hashlib.sha256(known.encode()).digest()

    def hashed(user_id: str) -> str | None:
        return hashlib.blake2b(user_id.encode(), digest_size=8, key=key).hexdigest()

    names: dict[str, Callable[[str], str | None]] = {"plain": str, "hash": hashed, "off": lambda _: None}
    return names[settings.log_user]


def begin_request() -> None:
    """Take the client's request id when it is a sane one, make one otherwise; take its trace."""
    given = request.headers.get("X-Request-ID")
    g.request_id = given if given and SANE_REQUEST_ID.fullmatch(given) else uuid_utils.uuid4().hex
    g.began = time.perf_counter()
    parent = request.headers.get("traceparent")
    if parent and (trace := TRACEPARENT.fullmatch(parent)):
        g.trace = {"trace_id": trace[1], "parent_id": trace[2]}


def init_app(app: Flask, settings: Settings) -> None:
    """Send the logs of the application to standard output, and a line for each request."""
    name_user = user_names(settings)
    handler = LineHandler(sys.stdout)
    logger = logging.getLogger("app")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(settings.log_level)

    def end_request(response: Response) -> Response:
        """Log the request and answer its id."""
        response.headers["X-Request-ID"] = g.request_id
        level = logging.WARNING if response.status_code in (401, 403) else logging.INFO
        if not logger.isEnabledFor(level):
            return response
        fields = _fields(logging.getLevelName(level), ACCESS, "request", time.time())
        fields["method"] = request.method
        # The rule, not the path: that holds user ids.
        fields["route"] = request.url_rule.rule if request.url_rule else None
        fields["status"] = response.status_code
        fields["ms"] = round((time.perf_counter() - g.began) * 1000, 2)
        if "user_id" in g and (user := name_user(g.user_id)):
            fields["user"] = user
        if "reason" in g:
            fields["reason"] = g.reason
        handler.tell(fields)
        return response

    app.before_request(begin_request)
    app.after_request(end_request)

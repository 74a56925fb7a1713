"""A line for each request and each trouble on standard output: JSON, or text where that is a terminal."""

import hashlib
import logging
import re
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from flask import Flask, Response, g, has_request_context, request

from .config import Settings

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context, section 3.2.2: version 00, trace id, parent id, flags; neither id is all zeros.
TRACEPARENT = re.compile("00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
COLOURS = {"DEBUG": "blue", "INFO": "green", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "magenta"}
access_log = logging.getLogger("app.access")


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a record tells, by name."""
    fields: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
    }
    if has_request_context():
        fields["request_id"] = g.get("request_id")
        fields |= g.get("trace", {})
    fields |= getattr(record, "fields", {})
    if record.exc_info and record.exc_info[0]:
        # Frames and the kind of error, not its message: that may repeat what a user sent.
        fields["error"] = record.exc_info[0].__name__
        fields["traceback"] = traceback.format_tb(record.exc_info[2])
    return fields


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        return orjson.dumps(fields_of(record), default=str).decode()


class TerminalFormatter(logging.Formatter):
    """A record as a line to read, with colour."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or with a traceback the lines, without the end."""
        fields = fields_of(record)
        moment, level, message = fields.pop("time")[11:23], fields.pop("level"), fields.pop("message")
        frames = "".join(["\n", *fields.pop("traceback")]) if "traceback" in fields else ""
        if record.name == access_log.name:
            del fields["logger"]
            message = " ".join(str(fields.pop(name)) for name in ("method", "route", "status", "ms")) + " ms"
        others = " ".join(f"{name}={value}" for name, value in fields.items() if value is not None)
        return f"{moment} {click.style(f'{level:<8}', fg=COLOURS[level])} {message}  {others}{frames}"


def user_names(settings: Settings) -> Callable[[str], str | None]:
    """What LOG_USER has a user called in the log: as they are, by a keyed hash, or not at all."""
    # The same in every process of a deployment, and known to nobody who only reads the log.
    secrets = f"{settings.secret} {settings.database_url.render_as_string(hide_password=False)}"
    key = hashlib.sha256(secrets.encode()).digest()

    def hashed(user_id: str) -> str | None:
        return hashlib.blake2b(user_id.encode(), digest_size=8, key=key).hexdigest()

    names: dict[str, Callable[[str], str | None]] = {"plain": str, "hash": hashed, "off": lambda _: None}
    return names[settings.log_user]


def begin_request() -> None:
    """Take the client's request id when it is a sane one, make one otherwise; take its trace."""
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if SANE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    g.began = time.perf_counter()
    trace = TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    if trace:
        g.trace = {"trace_id": trace[1], "parent_id": trace[2]}


def init_app(app: Flask, settings: Settings) -> None:
    """Send the logs of the application to standard output, and a line for each request."""
    name_user = user_names(settings)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(TerminalFormatter() if sys.stdout.isatty() else JsonFormatter())
    logger = logging.getLogger("app")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(settings.log_level)

    def end_request(response: Response) -> Response:
        """Log the request and answer its id."""
        response.headers["X-Request-ID"] = g.request_id
        refused = response.status_code in (401, 403)
        if not access_log.isEnabledFor(logging.WARNING if refused else logging.INFO):
            return response
        fields = {
            "method": request.method,
            # The rule, not the path: that holds user ids.
            "route": request.url_rule.rule if request.url_rule else None,
            "status": response.status_code,
            "ms": round((time.perf_counter() - g.began) * 1000, 2),
        }
        if "user_id" in g and (user := name_user(g.user_id)):
            fields["user"] = user
        if "reason" in g:
            fields["reason"] = g.reason
        access_log.log(logging.WARNING if refused else logging.INFO, "request", extra={"fields": fields})
        return response

    app.before_request(begin_request)
    app.after_request(end_request)

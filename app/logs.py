"""JSON lines on standard output, each under its request's id, and one access line for each request."""

import json
import logging
import re
import sys
import time
import traceback
import uuid
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, has_request_context, request

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
access_log = logging.getLogger("app.access")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, with the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_request_context():
            line["request_id"] = g.get("request_id")
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            # Frames and the kind of error, not its message: that may repeat what a user sent.
            line["error"] = record.exc_info[0].__name__
            line["traceback"] = traceback.format_tb(record.exc_info[2])
        return json.dumps(line)


def begin_request() -> None:
    """Take the client's request id when it is a sane one, make one otherwise."""
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if SANE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    g.began = time.perf_counter()


def end_request(response: Response) -> Response:
    """Log the request and answer its id."""
    response.headers["X-Request-ID"] = g.request_id
    fields = {
        "method": request.method,
        # The rule, not the path: that holds user ids.
        "route": request.url_rule.rule if request.url_rule else None,
        "status": response.status_code,
        "ms": round((time.perf_counter() - g.began) * 1000, 2),
    }
    refused = response.status_code in (401, 403)
    access_log.log(logging.WARNING if refused else logging.INFO, "request", extra={"fields": fields})
    return response


def init_app(app: Flask, level: str) -> None:
    """Send the logs of the application to standard output, at `level` and above."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("app")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level)
    app.before_request(begin_request)
    app.after_request(end_request)

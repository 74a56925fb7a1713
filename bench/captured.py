"""Captures the statements that the product sends to PostgreSQL."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from flask import Flask
from werkzeug.test import TestResponse

from app.db.timeouts import TimeoutCursor
from bench.seed import task_id, user_id
from bench.workload import MARK, Cell, Owner


class Sent(NamedTuple):
    """A statement with its values inserted."""

    text: str
    in_transaction: bool


@contextmanager
def watch() -> Iterator[list[Sent]]:
    """Collect the statements that are sent to PostgreSQL inside the context."""
    sent: list[Sent] = []

    execute = TimeoutCursor.execute

    def look(cursor: TimeoutCursor, query: str, params: Any = None) -> None:
        text = cursor.mogrify(query, params).decode()
        sent.append(Sent(text, not cursor.connection.autocommit))
        execute(cursor, query, params)

    with patch.object(TimeoutCursor, "execute", look):
        yield sent


def ask(app: Flask, request: bytes) -> TestResponse:
    """Return the application's response to a prepared request."""
    head, _, body = request.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ")
    headers = [tuple(line.split(": ", 1)) for line in lines]
    return app.test_client().open(path, method=method, headers=headers, data=body)

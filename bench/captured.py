"""Captures the statements that the product sends to PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from flask import Flask
from werkzeug.test import TestResponse

from app.db.timeouts import TimeoutCursor


@contextmanager
def watch() -> Iterator[list[str]]:
    """Collect the statements that are sent to PostgreSQL inside the context, with their values inserted."""
    sent: list[str] = []
    execute = TimeoutCursor.execute

    def look(cursor: TimeoutCursor, query: str, params: Any = None) -> None:
        # A message may hold several statements.
        sent.extend(cursor.mogrify(text, params).decode() for text in query.split("; "))
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

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


def pgbench_script(app: Flask, cell: Cell, owner: Owner) -> str:
    """Turn the statements of one request into a pgbench script over the users and tasks of the seed.

    The script draws only users with the same number of tasks, because it has one range of task numbers.
    """
    with watch() as sent:
        answer = ask(app, cell.request(owner, random.Random(7)))
    statements = [f"{statement.text};" for statement in sent]
    if any(statement.in_transaction for statement in sent):
        statements = ["BEGIN;", *statements, "COMMIT;"]
    text = "\n".join(statements)
    if answer.status_code == 201 and answer.json:
        text = text.replace(answer.json["id"], "00000000-0000-4000-8000-:fresh")
    text = re.sub(task_id(owner.number, 0)[:-1] + r"\d{6}", "00000000-0000-7000-8000-:user:task", text)
    return text.replace(user_id(owner.number), "user-:user").replace(f"Task {MARK}", "Task :fresh")

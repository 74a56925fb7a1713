"""The tasks of one user, and what is kept of the user: the statements run, in transactions or without.

A user's first write makes their row, each further one adds one to its `rev`; that row's lock puts the writes
of one user in the order of their revs, whoever commits when.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import uuid_utils
from sqlalchemy import Connection, Executable, exc

from .extensions import db
from .statements import DELETE_TASKS, FIND_USER, FORGET_USER, TaskStatements
from .tokens import TokenUser

T = TypeVar("T")
Row = dict[str, Any]


class UserStore:
    """What is kept of one user."""

    def __init__(self, user: TokenUser) -> None:
        self._user = user

    def get(self) -> Row:
        """The user, as stored or, before their first write, as the token has it."""
        user = self._user
        unknown = {"id": user.id, "email": user.email, "name": user.name, "rev": 0, "created_at": None}
        return read_one(FIND_USER, {"owner": user.id}) or unknown

    def forget(self) -> None:
        """Delete the user's tasks, trash included, and all that is known of them but the id and its rev."""

        def work(connection: Connection) -> None:
            # The user's row first: its lock keeps out a task that is being written.
            connection.execute(FORGET_USER, {"owner": self._user.id})
            connection.execute(DELETE_TASKS, {"owner": self._user.id})

        write(work)


class TaskStore:
    """The tasks of one user. What is another's is not there."""

    def __init__(self, statements: TaskStatements, user: TokenUser) -> None:
        self._statements = statements
        self._user = user

    def page(
        self, limit: int, completed: bool | None = None, after: tuple[datetime, str] | None = None
    ) -> list[Row]:
        """At most `limit` tasks, newest first, from after the task that was made at a time with an id."""
        statement = self._statements.pages[completed is not None, after is not None]
        after_time, after_id = after or (None, None)
        params = {"limit": limit, "completed": completed, "after_time": after_time, "after_id": after_id}
        used = {name: value for name, value in params.items() if value is not None}
        return read(statement, self._bind(used))

    def get(self, task_id: str | None) -> Row | None:
        """The task, or None; an id of None is that of no task."""
        if task_id is None:
            return None
        return read_one(self._statements.get, self._bind({"task_id": task_id}))

    def create(
        self, title: str, description: str | None = None, completed: bool = False, id: str | None = None
    ) -> Row | None:
        """The new task, or None where the client's `id` is taken already."""
        return self._write(
            self._statements.insert,
            id or str(uuid_utils.uuid7()),
            new_title=title,
            new_description=description,
            new_completed=completed,
        )

    def update(self, task_id: str | None, **changes: Any) -> Row | None:
        """The task with `changes` made (title, description, completed), unstamped where nothing changed."""
        changed = self._write(
            self._statements.update,
            task_id,
            new_title=changes.get("title"),
            has_description="description" in changes,
            new_description=changes.get("description"),
            new_completed=changes.get("completed"),
        )
        return changed or self.get(task_id)

    def flip(self, task_id: str | None) -> Row | None:
        """The task with `completed` turned over, or None."""
        return self._write(self._statements.flip, task_id)

    def delete(self, task_id: str | None) -> bool:
        """Whether there was such a task; it is in the trash now."""
        return self._write(self._statements.delete, task_id) is not None

    def is_in_trash(self, task_id: str) -> bool:
        """Whether the task was deleted."""
        return read_one(self._statements.in_trash, self._bind({"task_id": task_id})) is not None

    def _bind(self, params: Row) -> Row:
        return {"owner": self._user.id, **params}

    def _write(self, statement: Executable, task_id: str | None, **params: Any) -> Row | None:
        """The row that `statement` wrote under the owner's next rev; without one nothing was written."""
        if task_id is None:
            return None
        user, now = self._user, datetime.now(UTC)

        def work(connection: Connection) -> Row | None:
            stamp = self._bind({"email": user.email, "name": user.name, "now": now})
            rev = connection.execute(self._statements.next_rev, stamp).scalar_one()
            bound = self._bind({"task_id": task_id, "new_rev": rev, "now": now, **params})
            row = connection.execute(statement, bound).mappings().one_or_none()
            if row is None:
                connection.rollback()
                return None
            return dict(row)

        return write(work)


def read(statement: Executable, params: Row) -> list[Row]:
    """The rows of one SELECT, outside a transaction."""

    def work() -> list[Row]:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            result = connection.execute(statement, params)
            names = tuple(result.keys())
            return [dict(zip(names, row, strict=True)) for row in result]

    return _retry_dead_connection(work)


def read_one(statement: Executable, params: Row) -> Row | None:
    """The one row of a SELECT by a whole key, or None."""
    return next(iter(read(statement, params)), None)


def write(work: Callable[[Connection], T]) -> T:
    """What `work` returns, done in one transaction."""
    committing = False

    def attempt() -> T:
        nonlocal committing
        with db.engine.connect() as connection:
            result = work(connection)
            committing = True
            connection.commit()
            return result

    # Before the COMMIT nothing has happened, so all of it may happen again; after it nobody knows.
    return _retry_dead_connection(attempt, unless=lambda: committing)


def _retry_dead_connection(work: Callable[[], T], unless: Callable[[], bool] = lambda: False) -> T:
    """Run `work`, and once more if its pooled connection turns out to have been closed by the server."""
    try:
        return work()
    except exc.DBAPIError as error:
        if not error.connection_invalidated or unless():
            raise
        return work()

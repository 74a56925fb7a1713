"""The tasks of one user, and what is kept of the user: the statements run, in transactions or without.

A user's first write makes their row, each further one adds one to its `rev`; that row's lock puts the writes
of one user in the order of their revs, whoever commits when.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple

import uuid_utils
from sqlalchemy import Connection, Executable

from ..auth.tokens import TokenUser
from ..db.database import Record, read_one, read_rows, run_transaction, write_once
from .statements import (
    DELETE_TASKS,
    FIND_OWNER,
    FIND_USER,
    FORGET_USER,
    OWNER,
    TaskStatements,
    Write,
)

Revs = Collection[int] | None


class WriteResult(NamedTuple):
    """What became of a write: the task as it stands, whether it was written, and whether it is in the trash.

    `task` is None where the owner has no such task.
    """

    task: Record | None
    changed: bool = True
    deleted: bool = False


class Page(NamedTuple):
    """Some of a user's tasks, and the user's numbers in the same moment.

    `version` grows with each write of the user and each purge of their trash, `purge_count` with the latter.
    """

    tasks: list[Record]
    owner_rev: int = 0
    purged_rev: int = 0
    purge_count: int = 0
    version: int = 0


class UserStore:
    """What is kept of one user."""

    def __init__(self, user: TokenUser) -> None:
        self._user = user

    def get(self) -> Record:
        """The user, as stored or, before their first write, as the token has it."""
        user = self._user
        unknown = {"id": user.id, "email": user.email, "name": user.name, "rev": 0, "created_at": None}
        return read_one(FIND_USER, {"owner": user.id}) or unknown

    def forget(self) -> None:
        """Delete the user's tasks, trash included, and all that is known of them but the id and its rev."""

        def work(connection: Connection) -> None:
            # The user's row first: its lock keeps out a task that is being written. Without a row there is no
            # lock, and nothing to forget: a first write that is under way comes after this.
            if connection.execute(FORGET_USER, {"owner": self._user.id}).rowcount:
                connection.execute(DELETE_TASKS, {"owner": self._user.id})

        run_transaction(work)


class TaskStore:
    """The tasks of one user. What is another's is not there.

    `revs` are those that an If-Match names, one of which the task has to have; None takes any.
    """

    def __init__(self, statements: TaskStatements, user: TokenUser) -> None:
        self._statements = statements
        self._user = user

    def page(
        self,
        limit: int,
        *,
        trash: bool = False,
        completed: bool | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> Page:
        """At most `limit` tasks, newest first, from behind the one of a time and an id."""
        statement = self._statements.pages[trash, completed is not None, after is not None]
        after_time, after_id = after or (None, None)
        params = {"limit": limit, "completed": completed, "after_time": after_time, "after_id": after_id}
        return self._page(statement, {name: value for name, value in params.items() if value is not None})

    def changes(self, since: int, limit: int) -> Page:
        """At most `limit` tasks written after the rev `since`, deleted ones too, oldest change first."""
        return self._page(self._statements.changes, {"since": since, "limit": limit})

    def version(self) -> int:
        """What `page` would answer as its version, for one read by key."""
        owner = read_one(FIND_OWNER, self._bind({}))
        version: int = owner["version"] if owner else 0
        return version

    def get(self, task_id: str | None) -> Record | None:
        """The task, or None; an id of None is that of no task."""
        if task_id is None:
            return None
        return read_one(self._statements.get, self._bind({"task_id": task_id}))

    def create(
        self, title: str, description: str | None = None, completed: bool = False, id: str | None = None
    ) -> WriteResult:
        """The new task, or the one that has the client's `id` already."""
        return self._write(
            self._statements.insert,
            id or str(uuid_utils.uuid7()),
            new_title=title,
            new_description=description,
            new_completed=completed,
        )

    def update(self, task_id: str | None, revs: Revs = None, **changes: Any) -> WriteResult:
        """The task with `changes` made (title, description, completed); not written where nothing changed."""
        return self._write(
            self._statements.update,
            task_id,
            revs,
            new_title=changes.get("title"),
            has_description="description" in changes,
            new_description=changes.get("description"),
            new_completed=changes.get("completed"),
        )

    def toggle(self, task_id: str | None, revs: Revs = None) -> WriteResult:
        """The task with `completed` turned over."""
        return self._write(self._statements.toggle, task_id, revs)

    def delete(self, task_id: str | None, revs: Revs = None) -> WriteResult:
        """The task, now in the trash."""
        return self._write(self._statements.delete, task_id, revs)

    def restore(self, task_id: str | None, revs: Revs = None) -> WriteResult:
        """The task, back from the trash; not written where it was not there."""
        return self._write(self._statements.restore, task_id, revs)

    def _bind(self, params: Record) -> Record:
        return {"owner": self._user.id, **params}

    def _page(self, statement: Executable, params: Record) -> Page:
        names, rows = read_rows(statement, self._bind(params))
        # The owner's columns stand at the end of each row; without tasks there is one row, of them alone.
        width = len(names) - len(OWNER)
        owner = dict(zip(names[width:], rows[0][width:], strict=True)) if rows else {}
        tasks = [dict(zip(names[:width], row, strict=False)) for row in rows if row[0] is not None]
        return Page(tasks, **owner)

    def _write(self, change: Write, task_id: str | None, revs: Revs = None, **params: Any) -> WriteResult:
        """Make the change under the owner's next rev; where there is nothing to write, nothing is written."""
        if task_id is None:
            return WriteResult(None, changed=False)
        owner = self._bind({"email": self._user.email, "name": self._user.name, "now": datetime.now(UTC)})
        bound = {**owner, "task_id": task_id, **params, **({} if revs is None else {"revs": revs})}
        conditional = revs is not None
        if change.quick and (task := write_once(change.quick[conditional], bound)):
            return WriteResult(task)

        def work(connection: Connection) -> WriteResult:
            rev = connection.execute(self._statements.next_rev, owner).scalar_one()
            row = (
                connection.execute(change.plain[conditional], {**bound, "new_rev": rev})
                .mappings()
                .one_or_none()
            )
            if row is not None:
                return WriteResult(dict(row))
            # The owner's other writers are locked out still, so this is the task that was not written.
            found = connection.execute(self._statements.find, self._bind({"task_id": task_id}))
            row = found.mappings().one_or_none()
            connection.rollback()
            task = dict(row) if row else {}
            deleted = task.pop("deleted", False)
            return WriteResult(task or None, changed=False, deleted=deleted)

        return run_transaction(work)

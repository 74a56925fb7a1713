"""The tasks of one user.

A user's first write makes their row, and each further one raises its `rev`; that row's lock puts the
writes of one user in the order of their revs, whoever commits when.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple

import uuid_utils
from sqlalchemy import Executable

from ..auth.tokens import TokenUser
from ..db.database import Record, read, read_one, run_transaction
from ..errors import Problem
from .clauses import FOLDED, OWNER
from .fields import SETTABLE_FIELDS
from .lists import SORT_KEY, Cursor, Filters
from .pages import Shape
from .statements import DELETE_FORGOTTEN_TASK, FIND_VERSION, SETTABLE, TaskStatements, Write, fold

Revs = Collection[int] | None
# How often a write is tried while others come between it and the look at what it found.
ATTEMPTS = 5
# The values of a new task that the client does not set, or sets to null.
DEFAULTS: Record = {field.column.key: field.default for field in SETTABLE_FIELDS}


class WriteResult(NamedTuple):
    """The outcome of a write: the task as it stands, whether it was written, and whether it is in the trash.

    `task` is None where the owner has no such task.
    """

    task: Record | None
    changed: bool = True
    deleted: bool = False


class Page(NamedTuple):
    """Some of a user's tasks, and the user's numbers at the same moment.

    A page of a list has `version`, which grows with each write of the user and each purge of their trash, and
    the cursor of the `following` page, if there is one. One of the changes has the other numbers.
    """

    tasks: list[Record]
    version: int = 0
    following: Cursor | None = None
    owner_rev: int = 0
    purged_rev: int = 0
    purge_count: int = 0


class TaskStore:
    """The tasks of one user; those of others do not exist here.

    `revs` are those that an If-Match names, one of which the task must have; None takes any.
    """

    def __init__(self, statements: TaskStatements, user: TokenUser) -> None:
        self._statements = statements
        self._user = user

    def page(self, filters: Filters, limit: int, after: Cursor | None = None) -> Page:
        """At most `limit` tasks of a list, after the one of a cursor."""
        params = filters.values() | {"limit": limit + 1}
        if after:
            params |= {"after_key": after.key, "after_id": after.id}
        page = self._page(self._statements.page(Shape.of(filters, after)), params, 1)
        tasks = page.tasks[:limit]
        following = Cursor.after(tasks[-1], filters) if len(page.tasks) > limit else None
        if filters.order.field == SORT_KEY:
            for task in tasks:
                del task[SORT_KEY]
        return page._replace(tasks=tasks, following=following)

    def changes(self, since: int, limit: int) -> Page:
        """At most `limit` tasks written after the rev `since`, deleted ones too, oldest change first."""
        return self._page(self._statements.changes, {"since": since, "limit": limit}, len(OWNER))

    def version(self) -> int:
        """The version that `page` would answer, for one read by key."""
        owner = read_one(FIND_VERSION, self._bind({}))
        version: int = owner["version"] if owner else 0
        return version

    def get(self, task_id: str | None) -> Record | None:
        """The task, or None; an id of None is that of no task."""
        return read_one(self._statements.get, self._bind({"task_id": task_id})) if task_id else None

    def create(self, id: str | None = None, **values: Any) -> WriteResult:
        """The new task, or the one that has the client's `id` already."""
        return self._write(self._statements.create, id or str(uuid_utils.uuid7()), **_new(DEFAULTS | values))

    def update(self, task_id: str | None, revs: Revs = None, **changes: Any) -> WriteResult:
        """The task with `changes` made, by the columns' names; not written where nothing changed."""
        return self._write(self._statements.update, task_id, revs, **_new(changes))

    def toggle(self, task_id: str | None, revs: Revs = None) -> WriteResult:
        """The task with `completed` reversed."""
        return self._write(self._statements.toggle, task_id, revs)

    def delete(self, task_id: str | None, revs: Revs = None) -> WriteResult:
        """The task, now in the trash."""
        return self._write(self._statements.delete, task_id, revs)

    def restore(self, task_id: str | None, revs: Revs = None) -> WriteResult:
        """The task, back from the trash; not written where it was not there."""
        return self._write(self._statements.restore, task_id, revs)

    def _bind(self, params: Record) -> Record:
        return {"owner": self._user.id, **params}

    def _page(self, statement: Executable, params: Record, owner_columns: int) -> Page:
        names, rows, _ = read(statement, self._bind(params))
        # Each row is a task and then its owner; without tasks there is one row, whose id is null.
        width = -owner_columns
        tasks = [dict(zip(names[:width], row, strict=False)) for row in rows if row[0] is not None]
        owner = dict(zip(names[width:], rows[0][width:], strict=True)) if rows else {}
        return Page(tasks, **owner)

    def _write(self, write: Write, task_id: str | None, revs: Revs = None, **values: Any) -> WriteResult:
        """Make one change of a task, or find out why there is none to make."""
        if task_id is None:
            return WriteResult(None, changed=False)
        claims = {"email": self._user.email, "name": self._user.name, "now": datetime.now(UTC)}
        params = self._bind(
            {**claims, "task_id": task_id, "revs": None if revs is None else sorted(revs), **values}
        )
        creates = write is self._statements.create
        for _ in range(ATTEMPTS):
            if written := run_transaction(write.statements, params).records():
                return WriteResult(written[0])
            task = read_one(write.look, params)
            if task is None and not creates:
                return WriteResult(None, changed=False)
            if task is not None and not task.pop("applicable"):
                return WriteResult(task, changed=False, deleted=task.pop("deleted"))
            # Another writer came between the write and the look, or a forgotten task has the new one's id.
            if creates:
                run_transaction((DELETE_FORGOTTEN_TASK,), params)
        raise Problem("service_unavailable", reason="contention")


def _new(values: Record) -> Record:
    """The parameters of a write that sets these columns; null stands for the default."""
    params: Record = {}
    for column in SETTABLE:
        name, value = column.key, values.get(column.key)
        params[f"has_{name}"] = name in values
        params[f"new_{name}"] = DEFAULTS[name] if value is None and name in values else value
    for column, folded in FOLDED.items():
        params[f"has_{folded.key}"] = column.key in values
        params[f"new_{folded.key}"] = fold(values.get(column.key))
    return params

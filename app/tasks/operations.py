"""The writes of one contract, as clients ask for them: alone or in a batch."""

from collections.abc import Collection
from typing import Any, NamedTuple

import uuid_utils

from ..db.clauses import FOLDED
from ..db.database import Record
from ..errors import Problem, not_found
from ..etags import task_etag
from .fields import SETTABLE_FIELDS
from .statements import SETTABLE, TaskStatements, Write, fold

Revs = Collection[int] | None
# The values of a new task that the client does not set, or sets to null.
DEFAULTS: Record = {field.column.key: field.default for field in SETTABLE_FIELDS}


class WriteResult(NamedTuple):
    """What a write found: the task as it stands, whether it was written, and whether it is in the trash.

    `task` is None where the owner has no such task.
    """

    task: Record | None
    changed: bool = True
    deleted: bool = False


NO_TASK = WriteResult(None, changed=False)


class Outcome(NamedTuple):
    """The status of a successful write, and the task after it; a response with 204 does not show it."""

    status: int
    task: Record


class Operation(NamedTuple):
    """A write of the task with an id; an id of None is that of no task.

    `revs` are those that an If-Match names, one of which the task must have; None takes any.
    """

    write: Write
    task_id: str | None
    revs: Revs
    values: Record

    def params(self) -> Record:
        """The parameters of the write's statements, but for those of its owner."""
        revs = None if self.revs is None else sorted(self.revs)
        return {"task_id": self.task_id, "revs": revs, **self.values}

    def outcome(self, result: WriteResult) -> Outcome:
        """The outcome for the client. Raises Problem 404, 409, or 412 if the task has none of `revs`."""
        task, changed, deleted = result
        if self.write.creates and (task is None or deleted):
            raise Problem("conflict")
        if task is None or (deleted and not self.write.restores):
            raise not_found()
        if not changed and self.revs is not None and task["rev"] not in self.revs:
            raise Problem("precondition_failed", headers={"ETag": task_etag(task["rev"])})
        return Outcome(self.write.status if changed else 200, task)


class Operations:
    """Makes the operations of one contract."""

    def __init__(self, statements: TaskStatements) -> None:
        self._statements = statements

    def create(self, id: str | None = None, **values: Any) -> Operation:
        """Create a task, with the client's `id` if it has one."""
        task_id = id or str(uuid_utils.uuid7())
        return Operation(self._statements.create, task_id, None, _new(DEFAULTS | values))

    def update(self, task_id: str | None, revs: Revs = None, **changes: Any) -> Operation:
        """Make `changes`, by the columns' names; nothing is written where nothing differs."""
        return Operation(self._statements.update, task_id, revs, _new(changes))

    def toggle(self, task_id: str | None, revs: Revs = None) -> Operation:
        """Reverse `completed`."""
        return Operation(self._statements.toggle, task_id, revs, {})

    def delete(self, task_id: str | None, revs: Revs = None) -> Operation:
        """Move the task to the trash."""
        return Operation(self._statements.delete, task_id, revs, {})

    def restore(self, task_id: str | None, revs: Revs = None) -> Operation:
        """Take the task back from the trash; nothing is written where it is not there."""
        return Operation(self._statements.restore, task_id, revs, {})


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

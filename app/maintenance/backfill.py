"""Fills in what code without the planning fields leaves null or out of date, user by user and in batches."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from ..db.clauses import LIMIT, OWNED_ROWS
from ..db.database import Record, read
from ..db.models import Task
from ..extensions import db
from ..tasks.statements import fold
from .purge import LOCK_OWNER, each_user

BATCH = 500
TEXTS = (Task.title, Task.description, Task.title_folded, Task.description_folded)
AFTER: Any = sa.bindparam("after", type_=Task.id.type)
NEXT_TASKS = (
    sa.select(Task.id, Task.rev, *TEXTS, Task.completed, Task.completed_at)
    .where(OWNED_ROWS, sa.or_(AFTER.is_(None), Task.id > AFTER))
    .order_by(Task.id)
    .limit(LIMIT)
)


def backfill(batch: int = BATCH) -> int:
    """Fold the texts and set the times of completion of all tasks; return how many were changed.

    A task that was completed meanwhile gets the time of its last write.
    """
    return sum(_fill(owner, tasks) for owner in each_user() for tasks in _batches(owner, batch))


def _batches(owner: str, batch: int) -> Iterator[list[Record]]:
    after = None
    while tasks := read(NEXT_TASKS, {"owner": owner, "after": after, "limit": batch}).records():
        yield tasks
        after = tasks[-1]["id"]


def _fill(owner: str, tasks: list[Record]) -> int:
    rows = []
    for task in tasks:
        folded = (fold(task["title"]), fold(task["description"]))
        is_filled = folded == (task["title_folded"], task["description_folded"]) and task["completed"] == (
            task["completed_at"] is not None
        )
        if not is_filled:
            rows.append((task["id"], task["rev"], *folded))
    if not rows:
        return 0
    columns = (Task.id, Task.rev, Task.title_folded, Task.description_folded)
    filled = sa.values(*(sa.column(c.key, c.type) for c in columns), name="filled").data(rows).cte()
    update = (
        sa.update(Task)
        # A task that was written since has another rev, and its writer filled it in.
        .where(OWNED_ROWS, Task.id == filled.c.id, Task.rev == filled.c.rev)
        .values(
            title_folded=filled.c.title_folded,
            description_folded=filled.c.description_folded,
            completed_at=sa.case((Task.completed, sa.func.coalesce(Task.completed_at, Task.updated_at))),
        )
    )
    with db.engine.begin() as connection:
        # Each statement has other values in its text, so none is worth a place in the cache.
        connection.execution_options(compiled_cache=None)
        connection.execute(LOCK_OWNER, {"owner": owner})
        # sqlite3 counts no rows of a statement that begins with WITH.
        return len(connection.execute(update.returning(Task.id), {"owner": owner}).all())

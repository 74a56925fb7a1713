"""The rows that statements are about: the owner's, live or in the trash."""

from typing import Any

import sqlalchemy as sa

from .models import Task, User

Columns = list[sa.ColumnElement[Any]]

THIS_USER = User.id == sa.bindparam("owner")
# Grows with each write and with each purge, whose tasks may be older than others purged before.
VERSION = (User.rev + User.purge_count).label("version")
OWNER = (
    User.rev.label("owner_rev"),
    User.purged_rev.label("purged_rev"),
    User.purge_count.label("purge_count"),
)
OWNER_REV = sa.select(User.rev).where(THIS_USER).scalar_subquery()
FORGOTTEN_REV = sa.select(User.forgotten_rev).where(THIS_USER).scalar_subquery()

LIMIT: Any = sa.bindparam("limit")
OWNED_ROWS = Task.user_id == sa.bindparam("owner")
# Rows that wait to be deleted after their owner asked to be forgotten.
FORGOTTEN = (OWNED_ROWS, Task.rev <= FORGOTTEN_REV)
OWNED = sa.and_(OWNED_ROWS, Task.rev > FORGOTTEN_REV)
TASK_KEY = (OWNED, Task.id == sa.bindparam("task_id"))
LIVE = Task.deleted_at.is_(None)
TRASHED = Task.deleted_at.is_not(None)

# The folded texts of a task, which lists search and sort by.
FOLDED = {Task.title: Task.title_folded, Task.description: Task.description_folded}

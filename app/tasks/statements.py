"""The statements on tasks, bound to their owner and built once, the same on both databases."""

from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ..contracts import Contract
from ..db.clauses import (
    FOLDED,
    FORGOTTEN,
    LIMIT,
    LIVE,
    OWNED,
    OWNER,
    OWNER_REV,
    TASK_KEY,
    THIS_USER,
    TRASHED,
    VERSION,
    Columns,
)
from ..db.database import KEPT_STATEMENTS
from ..db.functions import List, any_of
from ..db.models import Task, User
from .fields import SETTABLE_FIELDS, task_fields
from .pages import page, with_owner

# The revs that If-Match names; null stands for any.
REVS = sa.bindparam("revs", type_=List())
REV_MATCHES = sa.or_(REVS.is_(None), any_of(Task.rev, REVS))
NOW = sa.bindparam("now", type_=Task.updated_at.type)


def new(column: Any) -> Any:
    """The value that a write sets a column to."""
    return sa.bindparam(f"new_{column.key}", type_=column.type)


def changed(column: Any) -> Any:
    """The value that a column has after a change, which may leave it alone."""
    if column.nullable:
        return sa.case((sa.bindparam(f"has_{column.key}"), new(column)), else_=column)
    return sa.func.coalesce(new(column), column)


# The columns that a client can set.
SETTABLE = tuple(getattr(Task, field.column.key) for field in SETTABLE_FIELDS)


def fold(text: str | None) -> str | None:
    """The text without its case (Unicode, section 3.13), as databases cannot make it."""
    return text and text.casefold()


DIFFERS = sa.or_(*(column.is_distinct_from(changed(column)) for column in SETTABLE))
NEW_VALUES = {column.key: changed(column) for column in (*SETTABLE, *FOLDED.values())} | {
    "completed_at": sa.case(
        (sa.not_(changed(Task.completed)), None), (Task.completed, Task.completed_at), else_=NOW
    )
}
TOGGLED = {
    "completed": sa.not_(Task.completed),
    "completed_at": sa.case((Task.completed, None), else_=NOW),
}
STAMP = {"rev": OWNER_REV, "updated_at": NOW}


class Write(NamedTuple):
    """How one change of a task is made.

    `statements` run in one transaction: the first raises the owner's `rev`, which locks out their other
    writers; the second writes the task and returns it. Where it returns no row, `look` finds the task, with
    `deleted` and with `applicable`: whether the conditions of the write hold now. A write that is made has
    `status`.
    """

    statements: tuple[sa.Executable, sa.Executable]
    look: sa.Select[Any]
    status: int = 200
    creates: bool = False
    restores: bool = False


class TaskStatements:
    """The statements of one contract, which return a task's columns under the names of its JSON."""

    def __init__(self, contract: Contract) -> None:
        columns = task_columns(contract)
        self.create = create(columns)
        self.update = change(columns, [LIVE, DIFFERS], NEW_VALUES)
        self.toggle = change(columns, [LIVE], TOGGLED)
        self.delete = change(columns, [LIVE], {"deleted_at": NOW})._replace(status=204)
        self.restore = change(columns, [TRASHED], {"deleted_at": None})._replace(restores=True)
        self.get = sa.select(*columns).where(*TASK_KEY, LIVE)
        # Filters, orders and starts of pages combine to thousands: each is built when it is first asked for.
        self.page = lru_cache(KEPT_STATEMENTS)(lambda shape: page(columns, shape))
        self.changes = with_owner(
            sa.select(*columns, TRASHED.label("deleted"))
            .where(OWNED, Task.rev > sa.bindparam("since"))
            .order_by(Task.rev)
            .limit(LIMIT),
            OWNER,
        )


def task_columns(contract: Contract) -> Columns:
    """A task's columns, in the order and by the names of the mount's JSON."""
    return [field.column.label(field.name) for field in task_fields(contract) if field.shown]


def create(columns: Columns) -> Write:
    """Insert a task, unless the owner has one with its id, in the trash or not."""
    values = {
        "user_id": sa.bindparam("owner"),
        "id": sa.bindparam("task_id", type_=Task.id.type),
        **{column.key: new(column) for column in (*SETTABLE, *FOLDED.values())},
        "completed_at": sa.case((new(Task.completed), NOW)),
        "created_at": NOW,
        "updated_at": NOW,
        "rev": User.rev,
    }
    insert_task = (
        insert(Task)
        .from_select(list(values), sa.select(*values.values()).where(THIS_USER))
        .on_conflict_do_nothing(index_elements=[Task.user_id, Task.id])
        .returning(*columns)
    )
    return Write((ADD_USER, insert_task), look(columns, [sa.false()]), status=201, creates=True)


def change(columns: Columns, conditions: list[Any], values: dict[str, Any]) -> Write:
    """Update a task that meets the conditions, and those of If-Match, to `values`."""
    conditions = [*conditions, REV_MATCHES]
    update_task = (
        sa.update(Task)
        # A task as new as its owner was written beside this transaction, by a first write that its own
        # statement on the owner did not see: left alone, so that the write is tried again.
        .where(*TASK_KEY, *conditions, Task.rev < OWNER_REV)
        .values(values | STAMP)
        .returning(*columns)
    )
    return Write((RAISE_REV, update_task), look(columns, conditions))


def look(columns: Columns, conditions: list[Any]) -> sa.Select[Any]:
    """A task, in the trash or not, and whether it meets the conditions."""
    return sa.select(*columns, TRASHED.label("deleted"), sa.and_(*conditions).label("applicable")).where(
        *TASK_KEY
    )


def kept_claim(name: str) -> Any:
    """A claim of the token where it has one; nothing is stored about a user who was forgotten."""
    stored = User.__table__.c[name]
    return sa.case((User.created_at.is_(None), None), else_=sa.func.coalesce(sa.bindparam(name), stored))


def add_user() -> Any:
    """Insert the owner, or raise the `rev` of the one that is there."""
    user = insert(User).values(
        id=sa.bindparam("owner"),
        email=sa.bindparam("email"),
        name=sa.bindparam("name"),
        rev=1,
        created_at=NOW,
    )
    return user.on_conflict_do_update(
        index_elements=[User.id],
        set_={
            "rev": User.rev + 1,
            "email": sa.func.coalesce(user.excluded.email, User.email),
            "name": sa.func.coalesce(user.excluded.name, User.name),
            "created_at": sa.func.coalesce(User.created_at, user.excluded.created_at),
        },
    )


ADD_USER = add_user()
RAISE_REV = (
    sa.update(User)
    .where(THIS_USER)
    .values(rev=User.rev + 1, email=kept_claim("email"), name=kept_claim("name"))
)
# The same before a batch: a row comes back if the owner's row is there and now locked.
ADD_AND_LOCK_USER = ADD_USER.returning(User.rev, User.forgotten_rev)
LOCK_USER = RAISE_REV.returning(User.rev, User.forgotten_rev)
FIND_VERSION = sa.select(VERSION).where(THIS_USER)
DELETE_FORGOTTEN_TASK = sa.delete(Task).where(*FORGOTTEN, Task.id == sa.bindparam("task_id"))

"""Every SQL statement on tasks and their users, each bound to its owner, built once with bound parameters."""

from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    case,
    delete,
    exists,
    func,
    not_,
    or_,
    outerjoin,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from ..contracts import Contract
from ..db.models import Task, User, utc
from .fields import task_fields

Columns = list[ColumnElement[Any]]
INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


OWNED = Task.user_id == bindparam("owner")
TASK_KEY = (OWNED, Task.id == bindparam("task_id"))
LIVE = Task.deleted_at.is_(None)
TRASHED = Task.deleted_at.is_not(None)
THIS_USER = User.id == bindparam("owner")
OWNER = (
    User.rev.label("owner_rev"),
    User.purged_rev.label("purged_rev"),
    User.purge_count.label("purge_count"),
    # Grows with each write and with each purge, whose tasks may be older than others purged before.
    (User.rev + User.purge_count).label("version"),
)
REV_MATCHES = Task.rev.in_(bindparam("revs", expanding=True))
QUICK_REV_MATCHES = Task.rev == func.any(bindparam("revs", type_=ARRAY(BigInteger)))
# What is bound to something new; a row that has it all already is not touched.
NEW = {
    Task.title: func.coalesce(bindparam("new_title"), Task.title),
    Task.description: case(
        (bindparam("has_description"), bindparam("new_description")), else_=Task.description
    ),
    Task.completed: func.coalesce(bindparam("new_completed"), Task.completed),
}
CHANGED = or_(*(column.is_distinct_from(new) for column, new in NEW.items()))
# Conditions and values of update, toggle, delete and restore.
CHANGES: tuple[tuple[list[Any], dict[str, Any]], ...] = (
    ([LIVE, CHANGED], {column.key: new for column, new in NEW.items()}),
    ([LIVE], {"completed": not_(Task.completed)}),
    ([LIVE], {"deleted_at": bindparam("now")}),
    ([TRASHED], {"deleted_at": None}),
)


def stamp(rev: ColumnElement[int]) -> dict[str, Any]:
    """What each write of a task sets."""
    return {"rev": rev, "updated_at": bindparam("now")}


class Write(NamedTuple):
    """How one change of a task is made.

    `plain` goes in a transaction, behind the owner's next rev. `quick` does all at once: it returns no row
    where there is nothing to write, and divides by zero where a writer who came between left nothing to do.
    Each is a pair: as it is, and for the revs that an If-Match names.
    """

    plain: tuple[Any, Any]
    quick: tuple[Any, Any] | None = None


class TaskStatements:
    """The statements of one contract: they return a task's columns under the names of its JSON."""

    def __init__(self, contract: Contract, dialect: str) -> None:
        insert = INSERT[dialect]
        columns = task_columns(contract)
        # SQLite has no data-modifying WITH.
        has_quick = dialect == "postgresql"
        self.next_rev = next_rev(insert)
        self.insert = creation(insert, columns, has_quick)
        self.update, self.toggle, self.delete, self.restore = (
            change(conditions, values, columns, has_quick) for conditions, values in CHANGES
        )
        self.get = select(*columns).where(*TASK_KEY, LIVE)
        self.find = select(*columns, TRASHED.label("deleted")).where(*TASK_KEY)
        # (in the trash, filtered by completed, after a cursor) → statement
        self.pages = {
            (trash, filtered, after): with_user(page(columns, trash, filtered, after))
            for trash in (False, True)
            for filtered in (False, True)
            for after in (False, True)
        }
        self.changes = with_user(
            select(*columns, TRASHED.label("deleted"))
            .where(OWNED, Task.rev > bindparam("since"))
            .order_by(Task.rev)
            .limit(bindparam("limit"))
        )


def task_columns(contract: Contract) -> Columns:
    """A task's columns, in the order and by the names of the mount's JSON."""
    return [field.column.label(field.name) for field in task_fields(contract) if field.shown]


def next_rev(insert: Any) -> Any:
    """Make the user's row or add one to its `rev`, and return that; it locks out their other writers."""
    new = insert(User).values(
        id=bindparam("owner"),
        email=bindparam("email"),
        name=bindparam("name"),
        rev=1,
        created_at=bindparam("now"),
    )
    changes = {
        "rev": User.rev + 1,
        "email": func.coalesce(new.excluded.email, User.email),
        "name": func.coalesce(new.excluded.name, User.name),
        "created_at": func.coalesce(User.created_at, new.excluded.created_at),
    }
    return new.on_conflict_do_update(index_elements=[User.id], set_=changes).returning(User.rev)


def creation(insert: Any, columns: Columns, has_quick: bool) -> Write:
    """Insert a task, or nothing where the owner has one with its id, in the trash or not."""
    values: dict[str, Any] = {
        "user_id": bindparam("owner"),
        "id": bindparam("task_id", type_=Task.id.type),
        "title": bindparam("new_title"),
        "description": bindparam("new_description"),
        "completed": bindparam("new_completed"),
        "created_at": bindparam("now"),
    }
    key = [Task.user_id, Task.id]
    plain = insert(Task).values(values | stamp(bindparam("new_rev")))
    plain = plain.on_conflict_do_nothing(index_elements=key).returning(*columns)
    if not has_quick:
        return Write((plain, plain))
    owner = next_rev(insert).cte("owner")
    row = values | stamp(owner.c.rev)
    quick = insert(Task).from_select(list(row), select(*row.values()))
    statement = at_once(owner, quick.on_conflict_do_nothing(index_elements=key), columns)
    return Write((plain, plain), (statement, statement))


def change(conditions: list[Any], values: dict[str, Any], columns: Columns, has_quick: bool) -> Write:
    """Update a task to `values` where it meets the conditions."""
    plain, quick = [], []
    for condition, quick_condition in (([], []), ([REV_MATCHES], [QUICK_REV_MATCHES])):
        written = update(Task).where(*TASK_KEY, *conditions, *condition)
        plain.append(written.values(values | stamp(bindparam("new_rev"))).returning(*columns))
        wanted = [*TASK_KEY, *conditions, *quick_condition]
        known: dict[str, Any] = {
            name: func.coalesce(bindparam(name), User.__table__.c[name]) for name in ("email", "name")
        }
        owner = (
            update(User)
            .where(THIS_USER, exists().where(*wanted))
            .values({"rev": User.rev + 1, **known})
            .returning(User.id, User.rev)
            .cte("owner")
        )
        # The owner's lock comes first here too, so that no two writers wait for each other.
        written = update(Task).where(*wanted, Task.user_id == owner.c.id)
        written = written.values(values | stamp(owner.c.rev))
        quick.append(at_once(owner, written, columns))
    return Write((plain[0], plain[1]), (quick[0], quick[1]) if has_quick else None)


def at_once(owner: CTE, written: Any, columns: Columns) -> Select[Any]:
    """One statement that adds one to the owner's rev and writes the task, or does neither."""
    task = written.returning(*columns).cte("written")
    # The owner's rev was raised on what the statement saw when it began; should the task have moved on
    # by the time of its turn, this fails, and takes the rev back with it.
    both = text("1 / CASE WHEN written.id IS NULL THEN 0 ELSE 1 END = 1")
    return select(*task.c).select_from(outerjoin(owner, task, true())).where(both)


def page(columns: Columns, trash: bool, filtered: bool, after: bool) -> Select[Any]:
    """One page of a list, newest first, or of the trash, deleted last first."""
    time = Task.deleted_at if trash else Task.created_at
    conditions = [OWNED, TRASHED if trash else LIVE]
    if filtered:
        conditions.append(Task.completed == bindparam("completed"))
    if after:
        key = (bindparam("after_time", type_=time.type), bindparam("after_id", type_=Task.id.type))
        conditions.append(tuple_(time, Task.id) < tuple_(*key))
    ordered = select(*columns).where(*conditions).order_by(time.desc(), Task.id.desc())
    return ordered.limit(bindparam("limit"))


def with_user(tasks: Select[Any]) -> Select[Any]:
    """The tasks beside what OWNER tells of their owner, of one snapshot; one row also without tasks."""
    # Joined to one row on no condition, so in a loop: the tasks stay in their order.
    found = tasks.subquery("found")
    return select(*found.c, *OWNER).select_from(User).outerjoin(found, true()).where(THIS_USER)


FIND_USER = select(User.id, User.email, User.name, User.rev, utc(User.created_at).label("created_at")).where(
    THIS_USER
)
FIND_OWNER = select(*OWNER).where(THIS_USER)
# The row stays, with a rev above all that a client may hold, so that none of those passes for a new one.
FORGET_USER = (
    update(User)
    .where(THIS_USER, User.created_at.is_not(None))
    .values(
        rev=User.rev + 1,
        purged_rev=User.rev + 1,
        purge_count=User.purge_count + 1,
        email=None,
        name=None,
        created_at=None,
    )
)
DELETE_TASKS = delete(Task).where(OWNED)

"""Every SQL statement on tasks and their users, each bound to its owner, built once with bound parameters."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    bindparam,
    case,
    delete,
    func,
    not_,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from .contracts import Contract
from .models import Task, User

INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class utc(GenericFunction[datetime]):  # noqa: N801 - an SQL function
    """A stored time as UTC without a zone, whatever zone the database's session is in."""

    type = DateTime()
    inherit_cache = True


@compiles(utc)
def _compile_utc(element: Any, compiler: Any, **kwargs: Any) -> str:
    return str(compiler.process(element.clauses, **kwargs))


@compiles(utc, "postgresql")
def _compile_utc_postgresql(element: Any, compiler: Any, **kwargs: Any) -> str:
    return f"timezone('UTC', {compiler.process(element.clauses, **kwargs)})"


class TaskStatements:
    """The statements of one contract: they return a task's columns under the names of its JSON."""

    def __init__(self, contract: Contract, dialect: str) -> None:
        insert = INSERT[dialect]
        columns: list[ColumnElement[Any]] = [
            Task.id.label("id"),
            *([Task.user_id.label("user_id")] if contract.shows_owner else []),
            Task.title.label("title"),
            Task.description.label(contract.text_field),
            Task.completed.label("completed"),
            Task.rev.label("rev"),
            utc(Task.created_at).label("created_at"),
            utc(Task.updated_at).label("updated_at"),
        ]
        mine = Task.user_id == bindparam("owner")
        live = Task.deleted_at.is_(None)
        this = (mine, Task.id == bindparam("task_id"))

        new_user = insert(User).values(
            id=bindparam("owner"),
            email=bindparam("email"),
            name=bindparam("name"),
            rev=1,
            created_at=bindparam("now"),
        )
        self.next_rev = new_user.on_conflict_do_update(
            index_elements=[User.id],
            set_={
                "rev": User.rev + 1,
                "email": func.coalesce(new_user.excluded.email, User.email),
                "name": func.coalesce(new_user.excluded.name, User.name),
                "created_at": func.coalesce(User.created_at, new_user.excluded.created_at),
            },
        ).returning(User.rev)

        self.insert = (
            insert(Task)
            .values(
                user_id=bindparam("owner"),
                id=bindparam("task_id"),
                title=bindparam("new_title"),
                description=bindparam("new_description"),
                completed=bindparam("new_completed"),
                rev=bindparam("new_rev"),
                created_at=bindparam("now"),
                updated_at=bindparam("now"),
            )
            .on_conflict_do_nothing(index_elements=[Task.user_id, Task.id])
            .returning(*columns)
        )

        stamp: dict[str, Any] = {"rev": bindparam("new_rev"), "updated_at": bindparam("now")}
        changes = {
            Task.title: func.coalesce(bindparam("new_title"), Task.title),
            Task.description: case(
                (bindparam("has_description"), bindparam("new_description")), else_=Task.description
            ),
            Task.completed: func.coalesce(bindparam("new_completed"), Task.completed),
        }
        changed = or_(*(column.is_distinct_from(new) for column, new in changes.items()))
        self.update = (
            update(Task)
            .where(*this, live, changed)
            .values({column.key: new for column, new in changes.items()} | stamp)
            .returning(*columns)
        )
        self.flip = (
            update(Task)
            .where(*this, live)
            .values(completed=not_(Task.completed), **stamp)
            .returning(*columns)
        )
        self.delete = (
            update(Task).where(*this, live).values(deleted_at=bindparam("now"), **stamp).returning(Task.id)
        )

        self.get = select(*columns).where(*this, live)
        self.in_trash = select(Task.id).where(*this, not_(live))
        page = (
            select(*columns)
            .where(mine, live)
            .order_by(Task.created_at.desc(), Task.id.desc())
            .limit(bindparam("limit"))
        )
        with_state = Task.completed == bindparam("completed")
        older = tuple_(Task.created_at, Task.id) < tuple_(
            bindparam("after_time", type_=Task.created_at.type), bindparam("after_id", type_=Task.id.type)
        )
        # (filtered by completed, after a cursor) → statement
        self.pages = {
            (False, False): page,
            (False, True): page.where(older),
            (True, False): page.where(with_state),
            (True, True): page.where(with_state, older),
        }


FIND_USER = select(User.id, User.email, User.name, User.rev, utc(User.created_at).label("created_at")).where(
    User.id == bindparam("owner")
)
# The row stays, with a rev above all that a client may hold, so that none of those passes for a new one.
FORGET_USER = (
    update(User)
    .where(User.id == bindparam("owner"), User.created_at.is_not(None))
    .values(rev=User.rev + 1, purged_rev=User.rev + 1, email=None, name=None, created_at=None)
)
DELETE_TASKS = delete(Task).where(Task.user_id == bindparam("owner"))

"""The two tables. Every key begins with the owner, so that no index finds a task by its id alone."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Text,
    TypeDecorator,
    Uuid,
    false,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.functions import GenericFunction

from ..extensions import db
from ..limits import MAX_DESCRIPTION, MAX_EMAIL, MAX_NAME, MAX_TITLE, MAX_USER_ID


class utc(GenericFunction[datetime]):  # noqa: N801 - an SQL function
    """A stored time in UTC without a zone, whatever the time zone of the session."""

    type = DateTime()
    inherit_cache = True


@compiles(utc)
def _compile_utc(element: Any, compiler: Any, **kwargs: Any) -> str:
    return str(compiler.process(element.clauses, **kwargs))


@compiles(utc, "postgresql")
def _compile_utc_postgresql(element: Any, compiler: Any, **kwargs: Any) -> str:
    return f"timezone('UTC', {compiler.process(element.clauses, **kwargs)})"


class List(TypeDecorator[list[Any]]):
    """A bound list: PostgreSQL's driver makes an array of it, SQLite gets it as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[Any] | None, _dialect: Any) -> str | None:
        """The list as JSON."""
        return None if value is None else json.dumps(value)


class any_of(GenericFunction[bool]):  # noqa: N801 - an SQL function
    """Whether a value is in a bound `List`."""

    type = Boolean()
    inherit_cache = True


@compiles(any_of, "sqlite")
def _compile_any_of_sqlite(element: Any, compiler: Any, **kwargs: Any) -> str:
    value, values = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"{value} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - compiled clauses


@compiles(any_of, "postgresql")
def _compile_any_of_postgresql(element: Any, compiler: Any, **kwargs: Any) -> str:
    value, values = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"{value} = ANY({values})"


class User(db.Model):  # type: ignore[name-defined, misc]
    """A token's user, stored with their first write.

    `rev` grows with each of the user's writes. `purged_rev` is the rev up to which deletions are purged,
    `purge_count` the number of purges. Tasks up to `forgotten_rev` wait to be deleted, and nobody sees
    them. `created_at` is null once the user has deleted everything.
    """

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    email: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    rev: Mapped[int] = mapped_column(BigInteger)
    purged_rev: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    purge_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    forgotten_rev: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        CheckConstraint(f"length(id) BETWEEN 1 AND {MAX_USER_ID}", "id_length"),
        CheckConstraint("purged_rev BETWEEN 0 AND rev", "purged_rev_range"),
        CheckConstraint(f"length(email) <= {MAX_EMAIL} AND email LIKE '%_@_%'", "email_format"),
        CheckConstraint(f"length(name) BETWEEN 1 AND {MAX_NAME}", "name_length"),
    )


class Task(db.Model):  # type: ignore[name-defined, misc]
    """A task of one user; `rev` is the owner's `rev` at its last write. Deleted tasks stay until a purge."""

    __tablename__ = "tasks"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    # Text in Python: the id goes from the database to JSON without a UUID object.
    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    completed: Mapped[bool] = mapped_column(Boolean, server_default=false())
    rev: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        CheckConstraint(f"length(title) BETWEEN 1 AND {MAX_TITLE}", "title_length"),
        CheckConstraint(f"length(description) <= {max(MAX_DESCRIPTION.values())}", "description_length"),
    )


_live: dict[str, Any] = {
    "sqlite_where": Task.deleted_at.is_(None),
    "postgresql_where": Task.deleted_at.is_(None),
}
Index("ix_tasks_list", Task.user_id, Task.created_at.desc(), Task.id.desc(), **_live)
Index(
    "ix_tasks_list_completed", Task.user_id, Task.completed, Task.created_at.desc(), Task.id.desc(), **_live
)
Index("ix_tasks_user_id_rev", Task.user_id, Task.rev)
_in_trash: dict[str, Any] = {
    "sqlite_where": Task.deleted_at.is_not(None),
    "postgresql_where": Task.deleted_at.is_not(None),
}
Index("ix_tasks_trash", Task.user_id, Task.deleted_at.desc(), Task.id.desc(), **_in_trash)
Index(
    "ix_tasks_trash_completed",
    Task.user_id,
    Task.completed,
    Task.deleted_at.desc(),
    Task.id.desc(),
    **_in_trash,
)

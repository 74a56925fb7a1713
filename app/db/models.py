"""The two tables. Every key begins with the owner, so that no index finds a task by its id alone."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ColumnElement,
    DateTime,
    ForeignKey,
    Index,
    SmallInteger,
    Text,
    Uuid,
    and_,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import db
from ..limits import MAX_DESCRIPTION, MAX_EMAIL, MAX_NAME, MAX_TITLE, MAX_USER_ID
from .functions import TextList, empty_list

# By rank, which the table holds.
PRIORITIES = ("low", "medium", "high", "urgent")
MEDIUM = PRIORITIES.index("medium")
# Text that sorts byte by byte, whatever the database's locale; SQLite does so by default.
BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")


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
    """A task of one user; `rev` is the owner's `rev` at its last write. Deleted tasks stay until a purge.

    `priority` is a place in PRIORITIES, `due_date` and `position` are texts that sort as they compare. Lists
    search and sort by the folded texts (`str.casefold`); `flask tasks backfill` fills those that are null.
    """

    __tablename__ = "tasks"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    # Text in Python: the id goes from the database to JSON without a UUID object.
    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    title_folded: Mapped[str | None] = mapped_column(BYTEWISE)
    description_folded: Mapped[str | None] = mapped_column(BYTEWISE)
    completed: Mapped[bool] = mapped_column(Boolean, server_default=false())
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text(f"{MEDIUM}"))
    due_date: Mapped[str | None] = mapped_column(BYTEWISE)
    tags: Mapped[list[str]] = mapped_column(TextList, server_default=empty_list())
    position: Mapped[str | None] = mapped_column(BYTEWISE)
    rev: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        CheckConstraint(f"length(title) BETWEEN 1 AND {MAX_TITLE}", "title_length"),
        CheckConstraint(f"length(description) <= {max(MAX_DESCRIPTION.values())}", "description_length"),
    )


def _where(*conditions: ColumnElement[bool]) -> dict[str, Any]:
    return {"sqlite_where": and_(*conditions), "postgresql_where": and_(*conditions)}


_live = _where(Task.deleted_at.is_(None))
Index("ix_tasks_list", Task.user_id, Task.created_at.desc(), Task.id.desc(), **_live)
Index(
    "ix_tasks_list_completed", Task.user_id, Task.completed, Task.created_at.desc(), Task.id.desc(), **_live
)
Index("ix_tasks_updated_at", Task.user_id, Task.updated_at, Task.id, **_live)
Index("ix_tasks_priority", Task.user_id, Task.priority, Task.id, **_live)
Index("ix_tasks_title", Task.user_id, Task.title_folded, Task.id, **_live)
# A task that has none of these costs no more to create.
for _column in (Task.due_date, Task.position, Task.completed_at):
    _filled = _where(Task.deleted_at.is_(None), _column.is_not(None))
    Index(f"ix_tasks_{_column.key}", Task.user_id, _column, Task.id, **_filled)
Index("ix_tasks_user_id_rev", Task.user_id, Task.rev)
_in_trash = _where(Task.deleted_at.is_not(None))
Index("ix_tasks_trash", Task.user_id, Task.deleted_at.desc(), Task.id.desc(), **_in_trash)
Index(
    "ix_tasks_trash_completed",
    Task.user_id,
    Task.completed,
    Task.deleted_at.desc(),
    Task.id.desc(),
    **_in_trash,
)

"""Lists of tasks: their filters, their orders, and the cursors of their pages."""

import base64
import hashlib
import struct
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from ..db.models import PRIORITIES, Task

# Behind the sort key as JSON: the id, and a hash of the filters.
CURSOR_TAIL = struct.Struct("16s8s")
# The name of a column that holds the sort key where no field of a task does.
SORT_KEY = "sort_key"


class Sort(NamedTuple):
    """An order of a list: the column, its default direction, and the field of a task that always holds it."""

    column: Any
    descending: bool = False
    field: str = SORT_KEY

    @property
    def nullable(self) -> bool:
        """Whether a task may have no value, and then comes last."""
        return bool(self.column.nullable) and self.field == SORT_KEY

    def load(self, value: Any) -> Any:
        """The sort key of a value in a cursor. Raises ValueError or TypeError for any other value."""
        if value is None and self.nullable:
            return None
        if isinstance(self.column.type, sa.DateTime):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        if isinstance(self.column.type, sa.SmallInteger):
            if type(value) is not int or value not in range(len(PRIORITIES)):
                raise ValueError("not a rank")
        elif not isinstance(value, str) or "\0" in value:
            raise ValueError("not a text")
        return value


SORTS = {
    "created_at": Sort(Task.created_at, descending=True, field="created_at"),
    "updated_at": Sort(Task.updated_at, descending=True, field="updated_at"),
    "due_date": Sort(Task.due_date),
    "priority": Sort(Task.priority, descending=True),
    "title": Sort(Task.title_folded),
    "position": Sort(Task.position),
    "completed_at": Sort(Task.completed_at, descending=True),
}
# A task in the trash does not change, so that its `updated_at` is the time of its deletion.
TRASH = Sort(Task.deleted_at, descending=True, field="updated_at")


class Filters(NamedTuple):
    """Which tasks a list shows, in which order; None filters nothing.

    `search` is a pattern of LIKE for folded text, with `/` before characters that mean themselves.
    """

    trash: bool = False
    sort: str = "created_at"
    descending: bool = True
    completed: bool | None = None
    priority: int | None = None
    tags: tuple[str, ...] | None = None
    due_after: str | None = None
    due_before: str | None = None
    search: str | None = None

    @property
    def order(self) -> Sort:
        """What the list is sorted by."""
        return TRASH if self.trash else SORTS[self.sort]

    def values(self) -> dict[str, Any]:
        """The values of the filters that are set, by their names."""
        given = zip(FILTERS, self[-len(FILTERS) :], strict=True)
        values = {name: value for name, value in given if value is not None}
        return values | ({"tags": list(self.tags)} if self.tags else {})


FILTERS = ("completed", "priority", "tags", "due_after", "due_before", "search")


class Cursor(NamedTuple):
    """The last task of a page, by its sort key and its id, and the filters of the list."""

    key: Any
    id: str
    filters: Filters

    @classmethod
    def after(cls, task: Mapping[str, Any], filters: Filters) -> "Cursor":
        """The cursor of the page after `task`."""
        return cls(task[filters.order.field], task["id"], filters)

    def encode(self) -> str:
        """The cursor as opaque text for a URL."""
        tail = CURSOR_TAIL.pack(uuid.UUID(self.id).bytes, _digest(self.filters))
        return base64.urlsafe_b64encode(orjson.dumps(self.key) + tail).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, filters: Filters) -> "Cursor":
        """The cursor that `encode` wrote for these filters. Raises ValueError for any other text."""
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
            raw_id, digest = CURSOR_TAIL.unpack(packed[-CURSOR_TAIL.size :])
            if digest != _digest(filters):
                raise ValueError("a cursor of other filters")
            key = filters.order.load(orjson.loads(packed[: -CURSOR_TAIL.size]))
            return cls(key, str(uuid.UUID(bytes=raw_id)), filters)
        except (struct.error, TypeError) as error:
            raise ValueError("not a cursor") from error


def _digest(filters: Filters) -> bytes:
    return hashlib.blake2b(repr(filters).encode(), digest_size=8).digest()

"""The queries of lists and changes, as marshmallow schemas, and the cursor of a list."""

import base64
import binascii
import struct
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from marshmallow import ValidationError, fields, validates_schema

from ..errors import field_error
from ..limits import DEFAULT_CHANGES, DEFAULT_PAGE, MAX_CHANGES, MAX_PAGE
from ..validation import BoundedInteger, QueryBoolean, QuerySchema
from .sync import MAX_SINCE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR = "The `next_cursor` of the previous page, or the `cursor` of its `Link`; send the same filters."


# Microseconds since 1970, the id, the index of the filters in FILTERS.
CURSOR_FORMAT = struct.Struct(">q16sB")


class Filters(NamedTuple):
    """The filters of a list: the trash or not, completed or not; None is both."""

    deleted: bool
    completed: bool | None


FILTERS = [Filters(deleted, completed) for deleted in (False, True) for completed in (None, False, True)]


class Cursor(NamedTuple):
    """The last task of a page, and the filters of its list."""

    time: datetime
    id: str
    filters: "Filters"

    @classmethod
    def after(cls, task: Mapping[str, Any], filters: "Filters") -> "Cursor":
        """The cursor of the page after `task`."""
        # A task in the trash does not change, so its `updated_at` is the time of its deletion.
        time = task["updated_at" if filters.deleted else "created_at"]
        return cls(time.replace(tzinfo=UTC), task["id"], filters)

    def encode(self) -> str:
        """The cursor as opaque text for a URL."""
        micros = (self.time - EPOCH) // timedelta(microseconds=1)
        packed = CURSOR_FORMAT.pack(micros, uuid.UUID(self.id).bytes, FILTERS.index(self.filters))
        return base64.urlsafe_b64encode(packed).decode()

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """The cursor of a text that `encode` wrote. Raises ValueError for any other text."""
        try:
            micros, raw_id, filters = CURSOR_FORMAT.unpack(base64.b64decode(text, b"-_", validate=True))
            time = EPOCH + timedelta(microseconds=micros)
            return cls(time, str(uuid.UUID(bytes=raw_id)), FILTERS[filters])
        except (binascii.Error, struct.error, OverflowError, IndexError) as error:
            raise ValueError("not a cursor") from error


class CursorField(fields.String):
    """A `Cursor`, from the previous page."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> Any:
        try:
            return Cursor.decode(value)
        except ValueError:
            raise ValidationError(field_error("bad_cursor")) from None


class ListQuery(QuerySchema):
    """The query of a list."""

    completed = QueryBoolean(
        "Only tasks that are completed, or only those that are not.", load_default=None, allow_none=False
    )
    deleted = QueryBoolean("The trash instead, latest deletion first.", load_default=False)
    limit = BoundedInteger(1, MAX_PAGE, "The maximum number of tasks.", load_default=DEFAULT_PAGE)
    cursor = CursorField(load_default=None, allow_none=False, metadata={"description": CURSOR})

    @validates_schema
    def check_cursor(self, query: dict[str, Any], **_kwargs: Any) -> None:
        """Refuse a cursor of other filters."""
        if query["cursor"] and query["cursor"].filters != (query["deleted"], query["completed"]):
            raise ValidationError({"cursor": field_error("bad_cursor")})


class ChangesQuery(QuerySchema):
    """The query of the changes feed."""

    since = BoundedInteger(
        0, MAX_SINCE, "The `rev` of the previous response; 0 for everything.", load_default=0
    )
    limit = BoundedInteger(1, MAX_CHANGES, "The maximum number of changes.", load_default=DEFAULT_CHANGES)

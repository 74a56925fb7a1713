"""What may come in: marshmallow schemas for bodies and queries."""

import base64
import binascii
import re
import struct
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from marshmallow import RAISE, Schema, ValidationError, fields, pre_load, validate, validates_schema

from .contracts import Contract
from .errors import FieldError
from .models import TITLE_LIMIT
from .sync import MAX_SINCE

# What a response shows and a client cannot set: ignored, so that a client may send back what it got.
READ_ONLY = frozenset({"id", "user_id", "rev", "created_at", "updated_at"})
# RFC 9562, section 4, in either letter case; no braces, no URN, no bare digits.
UUID = re.compile("-".join(f"[0-9a-fA-F]{{{n}}}" for n in (8, 4, 4, 4, 12)))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_PAGE = 500
MAX_CHANGES = 1000

REQUIRED = [FieldError("required", "is required.")]
UNKNOWN_FIELD = FieldError("unknown_field", "is not a field that can be sent here.")
UNKNOWN_PARAMETER = FieldError("unknown_parameter", "is not a parameter of this address.")
NOT_A_STRING = [FieldError("invalid_type", "must be a string.")]
NOT_A_BOOLEAN = [FieldError("invalid_type", "must be true or false.")]
NOT_A_UUID = [FieldError("invalid", "must be a UUID.")]
BAD_CURSOR = [FieldError("invalid", "is not the cursor of a list with these filters.")]


def refuse_nul(value: str) -> None:
    """PostgreSQL's text cannot hold a NUL."""
    if "\0" in value:
        raise ValidationError([FieldError("invalid_character", "must not contain a NUL character.")])


class Length(validate.Length):
    """marshmallow's Length, whose errors carry a code."""

    def __call__(self, value: Any) -> Any:
        if self.min and len(value) < self.min:
            raise ValidationError([FieldError("required", "must not be empty.")])
        if self.max and len(value) > self.max:
            raise ValidationError([FieldError("too_long", f"must be at most {self.max} characters.")])
        return value


class Text(fields.String):
    """A string: not a number, not null unless that is allowed."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own way
        "required": REQUIRED,
        "null": NOT_A_STRING,
        "invalid": NOT_A_STRING,
    }


class Title(Text):
    """A string without white space around it."""

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        return super()._deserialize(*args, **kwargs).strip()


class StrictBoolean(fields.Boolean):
    """A JSON boolean; marshmallow's own takes "yes" and 1 as well."""

    default_error_messages = {  # noqa: RUF012
        "required": REQUIRED,
        "null": NOT_A_BOOLEAN,
        "invalid": NOT_A_BOOLEAN,
    }

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class TaskId(fields.String):
    """A UUID as a string, in lower case."""

    default_error_messages = {"null": NOT_A_UUID, "invalid": NOT_A_UUID}  # noqa: RUF012

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        task_id = parse_uuid(super()._deserialize(*args, **kwargs))
        if task_id is None:
            raise self.make_error("invalid")
        return task_id


class TrueFalse(fields.String):
    """`true` or `false` in a query, in any letter case."""

    default_error_messages = {"invalid": NOT_A_BOOLEAN}  # noqa: RUF012

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> Any:
        try:
            return {"true": True, "false": False}[value.lower()]
        except KeyError:
            raise self.make_error("invalid") from None


class Count(fields.Integer):
    """A whole number from `low` to `high`, in ASCII digits; marshmallow's own takes 1.5 as well."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high = low, high

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        if not (re.fullmatch("[0-9]{1,18}", value) and self.low <= int(value) <= self.high):
            detail = f"must be a whole number from {self.low} to {self.high}."
            raise ValidationError([FieldError("out_of_range", detail)])
        return int(value)


# Microseconds since 1970, the id, the place of the filters in FILTERS.
CURSOR_FORMAT = struct.Struct(">q16sB")


class Filters(NamedTuple):
    """Which of a user's tasks a list shows."""

    deleted: bool
    completed: bool | None


FILTERS = [Filters(deleted, completed) for deleted in (False, True) for completed in (None, False, True)]


class Cursor(NamedTuple):
    """Where a page of a list ended, and the filters of that list."""

    time: datetime
    id: str
    filters: "Filters"

    @classmethod
    def after(cls, task: Mapping[str, Any], filters: "Filters") -> "Cursor":
        """The cursor that goes on behind `task`."""
        # A task in the trash does not change any more: it was updated when it was deleted.
        time = task["updated_at" if filters.deleted else "created_at"]
        return cls(time.replace(tzinfo=UTC), task["id"], filters)

    def encode(self) -> str:
        """As opaque text for a URL."""
        micros = (self.time - EPOCH) // timedelta(microseconds=1)
        packed = CURSOR_FORMAT.pack(micros, uuid.UUID(self.id).bytes, FILTERS.index(self.filters))
        return base64.urlsafe_b64encode(packed).decode()

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """The reverse of `encode`. Raises ValueError for any other text."""
        try:
            micros, raw_id, filters = CURSOR_FORMAT.unpack(base64.b64decode(text, b"-_", validate=True))
            time = EPOCH + timedelta(microseconds=micros)
            return cls(time, str(uuid.UUID(bytes=raw_id)), FILTERS[filters])
        except (binascii.Error, struct.error, OverflowError, IndexError) as error:
            raise ValueError("not a cursor") from error


class CursorField(fields.String):
    """A `Cursor`, as the answer before gave it."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> Any:
        try:
            return Cursor.decode(value)
        except ValueError:
            raise ValidationError(BAD_CURSOR) from None


class BodySchema(Schema):
    """A body of a task's fields."""

    class Meta:
        unknown = RAISE

    error_messages: ClassVar[dict[str, Any]] = {"unknown": UNKNOWN_FIELD}  # type: ignore[misc]

    @pre_load
    def drop_read_only(self, body: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name in self.fields or name not in READ_ONLY}


class QuerySchema(Schema):
    """The query of an address that takes none."""

    class Meta:
        unknown = RAISE

    error_messages: ClassVar[dict[str, Any]] = {"unknown": UNKNOWN_PARAMETER}  # type: ignore[misc]


class ListQuery(QuerySchema):
    """The query of a list."""

    completed = TrueFalse(load_default=None)
    deleted = TrueFalse(load_default=False)
    limit = Count(1, MAX_PAGE, load_default=100)
    cursor = CursorField(load_default=None)

    @validates_schema
    def check_cursor(self, query: dict[str, Any], **_kwargs: Any) -> None:
        if query["cursor"] and query["cursor"].filters != (query["deleted"], query["completed"]):
            raise ValidationError({"cursor": BAD_CURSOR})


class ChangesQuery(QuerySchema):
    """The query of a user's changes."""

    since = Count(0, MAX_SINCE, load_default=0)
    limit = Count(1, MAX_CHANGES, load_default=500)


class CompletionSchema(BodySchema):
    """The body of `…/complete`."""

    completed = StrictBoolean(required=True)


def changes_schema(contract: Contract) -> type[Schema]:
    """What a client may change of a task, as `contract` names and bounds it."""
    return BodySchema.from_dict(
        {
            "title": Title(required=True, validate=[Length(1, TITLE_LIMIT), refuse_nul]),
            "description": Text(
                data_key=contract.text_field,
                allow_none=True,
                validate=[Length(max=contract.text_limit), refuse_nul],
            ),
            "completed": StrictBoolean(),
        },
        name=f"{contract.name}_task_changes",
    )


def creation_schema(contract: Contract) -> type[Schema]:
    """What a client may send to create a task: its changes, and an id of its own."""
    return changes_schema(contract).from_dict({"id": TaskId()}, name=f"{contract.name}_new_task")


def parse_uuid(text: str) -> str | None:
    """The UUID in lower case, or None where `text` spells none."""
    return text.lower() if UUID.fullmatch(text) else None

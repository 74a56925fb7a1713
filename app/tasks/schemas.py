"""What bodies may hold: marshmallow schemas."""

import re
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, fields, pre_load, validate

from ..contracts import Contract
from ..errors import field_error
from ..limits import MAX_TITLE

# What a response shows and a client cannot set: ignored, so that a client may send back what it got.
READ_ONLY = frozenset({"id", "user_id", "rev", "created_at", "updated_at"})
# RFC 9562, section 4, in either letter case; no braces, no URN, no bare digits.
UUID = re.compile("-".join(f"[0-9a-fA-F]{{{n}}}" for n in (8, 4, 4, 4, 12)))

# For the document, in JSON Schema's regular expressions (ECMA-262).
NO_NUL = r"^[^\u0000]*$"
NOT_BLANK = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"


def refuse_nul(value: str) -> None:
    """PostgreSQL's text cannot hold a NUL."""
    if "\0" in value:
        raise ValidationError(field_error("nul"))


class Length(validate.Length):
    """marshmallow's Length, whose errors carry a code."""

    def __call__(self, value: Any) -> Any:
        if self.min and len(value) < self.min:
            raise ValidationError(field_error("empty"))
        if self.max and len(value) > self.max:
            raise ValidationError(field_error("too_long", limit=self.max))
        return value


class Text(fields.String):
    """A string: not a number, not null unless that is allowed."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own way
        "required": field_error("required"),
        "null": field_error("not_a_string"),
        "invalid": field_error("not_a_string"),
    }


class Title(Text):
    """A string without white space around it."""

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        return super()._deserialize(*args, **kwargs).strip()


class StrictBoolean(fields.Boolean):
    """A JSON boolean; marshmallow's own takes "yes" and 1 as well."""

    default_error_messages = {  # noqa: RUF012
        "required": field_error("required"),
        "null": field_error("not_a_boolean"),
        "invalid": field_error("not_a_boolean"),
    }

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class TaskId(fields.String):
    """A UUID as a string, in lower case."""

    default_error_messages = {"null": field_error("not_a_uuid"), "invalid": field_error("not_a_uuid")}  # noqa: RUF012

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        task_id = parse_uuid(super()._deserialize(*args, **kwargs))
        if task_id is None:
            raise self.make_error("invalid")
        return task_id


class BodySchema(Schema):
    """A body of a task's fields."""

    class Meta:
        unknown = RAISE

    error_messages: ClassVar[dict[str, Any]] = {"unknown": field_error("unknown_field")[0]}  # type: ignore[misc]

    @pre_load
    def drop_read_only(self, body: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name in self.fields or name not in READ_ONLY}


class CompletionSchema(BodySchema):
    """The body of `…/complete`."""

    completed = StrictBoolean(required=True)


def changes_schema(contract: Contract) -> type[Schema]:
    """What a client may change of a task, as `contract` names and bounds it."""
    return BodySchema.from_dict(
        {
            "title": Title(
                required=True,
                validate=[Length(1, MAX_TITLE), refuse_nul],
                metadata={"pattern": NOT_BLANK, "description": "White space around it is cut off."},
            ),
            "description": Text(
                data_key=contract.text_field,
                allow_none=True,
                validate=[Length(max=contract.text_limit), refuse_nul],
                metadata={"pattern": NO_NUL, "description": "Kept as sent."},
            ),
            "completed": StrictBoolean(),
        },
        name=f"{contract.name}_task_changes",
    )


def creation_schema(contract: Contract) -> type[Schema]:
    """What a client may send to create a task: its changes, and an id of its own."""
    own_id = TaskId(metadata={"format": "uuid", "description": "Your own id, so that it can be sent again."})
    return changes_schema(contract).from_dict({"id": own_id}, name=f"{contract.name}_new_task")


def parse_uuid(text: str) -> str | None:
    """The UUID in lower case, or None where `text` spells none."""
    return text.lower() if UUID.fullmatch(text) else None

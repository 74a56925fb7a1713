"""A task's fields, each declared once: statements, bodies, responses and examples follow from them."""

import re
from typing import Any, NamedTuple

import sqlalchemy as sa
from marshmallow import ValidationError, fields, validate

from ..contracts import CONTRACTS, Contract
from ..db.functions import utc
from ..db.models import MEDIUM, PRIORITIES, Task
from ..due_dates import DUE_DATE, DueDate
from ..errors import field_error
from ..limits import MAX_DESCRIPTION, MAX_POSITION, MAX_TAG, MAX_TAGS, MAX_TITLE
from ..validation import (
    Choice,
    Length,
    StrictBoolean,
    Text,
    TextList,
    TrimmedText,
    Uuid,
    refuse_control,
    refuse_nul,
)

# JSON Schema patterns (ECMA-262) for the document.
NO_NUL = r"^[^\u0000]*$"
NOT_BLANK = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
NO_CONTROL_NOT_BLANK = (
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
)
PRINTABLE = "^[ -~]*$"
EXAMPLE_ID = "0199d2f4-8c6b-7c3e-9a51-3f0f6f2f7d10"
EXAMPLE_TIME = "2026-11-21T09:30:00.125000Z"


class TaskField(NamedTuple):
    """One field of a task on one mount.

    `name` is its name in JSON, `column` what a statement selects for it, `output` its schema in a response,
    if it is `shown`. `input` validates it in a body, under the column's name; None if a client cannot set it.
    A field with `only_on_create` cannot be changed later. `default` is what a new task's column holds if the
    client does not set it, or sets it to null.
    """

    name: str
    column: Any
    output: fields.Field[Any]
    example: Any
    input: fields.Field[Any] | None = None
    default: Any = None
    only_on_create: bool = False
    shown: bool = True


RANKS = {name: rank for rank, name in enumerate(PRIORITIES)}
# As constants in the text, and by the name of the column.
PRIORITY_NAME: Any = sa.case(
    {sa.literal_column(str(rank)): sa.literal_column(f"'{name}'") for name, rank in RANKS.items()},
    value=Task.priority,
).label("priority")


def refuse_unprintable(value: str) -> None:
    """Refuse what is no printable ASCII character."""
    if not re.fullmatch(PRINTABLE, value):
        raise ValidationError(field_error("not_printable"))


def tag_field() -> TrimmedText:
    """A tag, in a body and in a query."""
    return TrimmedText(
        validate=[Length(1, MAX_TAG), refuse_control],
        metadata={"pattern": NO_CONTROL_NOT_BLANK, "minLength": 1, "maxLength": MAX_TAG},
    )


def always(field: type[fields.Field[Any]], about: str = "", **kwargs: Any) -> fields.Field[Any]:
    """A member that every response has."""
    metadata = kwargs.pop("metadata", {}) | ({"description": about} if about else {})
    return field(required=True, metadata=metadata, **kwargs)


def rev_field(about: str, low: int = 0) -> fields.Field[Any]:
    """A rev that every response has, of at least `low`."""
    return always(fields.Integer, about, validate=validate.Range(min=low), metadata={"format": "int64"})


def task_fields(contract: Contract) -> tuple[TaskField, ...]:
    """A task's fields on a mount, in the order of its JSON."""
    return (
        TaskField(
            "id",
            Task.id,
            always(fields.UUID, "Chosen by the client, or made by the server (version 7)."),
            EXAMPLE_ID,
            Uuid(
                metadata={
                    "format": "uuid",
                    "description": "Your own id, which makes the request safe to repeat.",
                }
            ),
            only_on_create=True,
        ),
        TaskField(
            "user_id",
            Task.user_id,
            always(fields.String, "The owner."),
            "alice",
            shown=contract.shows_owner,
        ),
        TaskField(
            "title",
            Task.title,
            always(fields.String, validate=validate.Length(1, MAX_TITLE)),
            "Buy milk",
            TrimmedText(
                required=True,
                validate=[Length(1, MAX_TITLE), refuse_nul],
                metadata={"pattern": NOT_BLANK, "description": "White space around it is removed."},
            ),
        ),
        TaskField(
            contract.text_field,
            Task.description,
            # A longer text may come from another mount.
            always(
                fields.String, validate=validate.Length(max=max(MAX_DESCRIPTION.values())), allow_none=True
            ),
            "Two litres, not the small ones",
            Text(
                allow_none=True,
                validate=[Length(max=contract.text_limit), refuse_nul],
                metadata={"pattern": NO_NUL, "description": "Stored as sent."},
            ),
        ),
        TaskField("completed", Task.completed, always(fields.Boolean), False, StrictBoolean(), default=False),
        TaskField(
            "completed_at",
            utc(Task.completed_at).label("completed_at"),
            always(fields.DateTime, "When `completed` became true; null while it is false.", allow_none=True),
            None,
        ),
        TaskField(
            "priority",
            PRIORITY_NAME,
            always(fields.String, validate=validate.OneOf(PRIORITIES)),
            "high",
            Choice(RANKS, "Null means `medium`.", allow_none=True),
            default=MEDIUM,
        ),
        TaskField(
            "due_date",
            Task.due_date,
            always(fields.String, allow_none=True, metadata={"pattern": DUE_DATE}),
            "2026-12-01",
            DueDate(allow_none=True),
        ),
        TaskField(
            "tags",
            Task.tags,
            always(fields.List, cls_or_instance=fields.String(), validate=validate.Length(max=MAX_TAGS)),
            ["home"],
            TextList(
                tag_field(),
                MAX_TAGS,
                "White space around a tag is removed, and a repeated tag is stored once; null means none.",
                allow_none=True,
            ),
            default=[],
        ),
        TaskField(
            "position",
            Task.position,
            always(fields.String, "Compared byte by byte.", allow_none=True),
            None,
            Text(
                allow_none=True,
                validate=[Length(1, MAX_POSITION), refuse_unprintable],
                metadata={
                    "pattern": PRINTABLE,
                    "description": "The place in a list that people order by hand: a fractional index.",
                },
            ),
        ),
        TaskField(
            "rev", Task.rev, rev_field("The task's version: the owner's `rev` at its last write.", 1), 42
        ),
        TaskField("created_at", utc(Task.created_at), always(fields.DateTime), EXAMPLE_TIME),
        TaskField("updated_at", utc(Task.updated_at), always(fields.DateTime), EXAMPLE_TIME),
    )


# The fields that a client can change; their columns are the same on every mount.
SETTABLE_FIELDS = tuple(
    field for field in task_fields(CONTRACTS[0]) if field.input is not None and not field.only_on_create
)
# Ignored in a change, so that a client may send back a task as it received it.
READ_ONLY = frozenset(
    field.name
    for contract in CONTRACTS
    for field in task_fields(contract)
    if field.input is None or field.only_on_create
)

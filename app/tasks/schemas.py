"""The bodies that the routes of tasks accept, as marshmallow schemas."""

from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, fields, pre_load

from ..contracts import CONTRACTS, Contract
from ..errors import field_error
from ..validation import StrictBoolean
from .fields import READ_ONLY, task_fields

# Every name that a field has on some mount, and its column's.
COLUMNS = {
    field.name: field.column.key for contract in CONTRACTS for field in task_fields(contract) if field.input
}


class BodySchema(Schema):
    """A body of a task's fields. Read-only fields are ignored, unknown ones are refused."""

    class Meta:
        unknown = RAISE

    error_messages: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "unknown": field_error("unknown_field")[0]
    }

    def handle_error(self, error: ValidationError, *_args: Any, **_kwargs: Any) -> None:
        """Name this mount's field where a body has the name that it has on another mount."""
        for name in error.messages_dict.keys() & COLUMNS.keys():
            field = self.fields.get(COLUMNS[name])
            if field and field.data_key and field.data_key != name:
                error.messages_dict[name] = field_error("other_name", here=field.data_key)

    @pre_load
    def drop_read_only(self, body: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Drop the fields that a client may send but cannot set."""
        return {name: value for name, value in body.items() if name in self.fields or name not in READ_ONLY}


class CompletionSchema(BodySchema):
    """The body of `…/complete`; without `completed` it toggles."""

    completed = StrictBoolean()


def changes_schema(contract: Contract) -> type[Schema]:
    """The schema of a change, with the mount's names and limits; its keys are the columns' names."""
    return BodySchema.from_dict(_inputs(contract, only_on_create=False), name=f"{contract.name}_task_changes")


def creation_schema(contract: Contract) -> type[Schema]:
    """The schema of a new task: of a change, and what can be set on create alone."""
    return changes_schema(contract).from_dict(
        _inputs(contract, only_on_create=True), name=f"{contract.name}_new_task"
    )


def _inputs(contract: Contract, *, only_on_create: bool) -> dict[str, fields.Field[Any]]:
    inputs = {}
    for field in task_fields(contract):
        if field.input is not None and field.only_on_create == only_on_create:
            field.input.data_key = field.name
            inputs[field.column.key] = field.input
    return inputs

"""The bodies that the routes of tasks accept, as marshmallow schemas."""

from typing import Any, ClassVar

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, pre_load

from ..contracts import CONTRACTS, Contract
from ..errors import field_error
from ..limits import MAX_OPERATIONS, MAX_REV
from ..validation import BoundedList, Choice, JsonInteger, JsonObject, Length, StrictBoolean, Text
from .fields import READ_ONLY, task_fields

# Every name that a field has on some mount, and its column's.
COLUMNS = {
    field.name: field.column.key for contract in CONTRACTS for field in task_fields(contract) if field.input
}


class StrictSchema(Schema):
    """A JSON object; unknown members are refused."""

    class Meta:
        unknown = RAISE

    error_messages: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "unknown": field_error("unknown_field")[0]
    }


class BodySchema(StrictSchema):
    """A body of a task's fields. Read-only fields are ignored."""

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


# The docstrings of the operations describe them in the OpenAPI document.
class CreateSchema(StrictSchema):
    """Create a task."""

    op = Text(required=True)
    task = JsonObject(required=True)


class DeleteSchema(StrictSchema):
    """Move a task to the trash."""

    op = Text(required=True)
    id = Text(required=True, metadata={"description": "The task's id."})
    rev = JsonInteger(1, MAX_REV, "As `If-Match`: only if the task still has this `rev`.")


class RestoreSchema(DeleteSchema):
    """Restore a task from the trash."""


class UpdateSchema(DeleteSchema):
    """Change the fields in `task`."""

    task = JsonObject(required=True)


# By `op`.
OPERATIONS: dict[str, StrictSchema] = {
    "create": CreateSchema(),
    "update": UpdateSchema(),
    "delete": DeleteSchema(),
    "restore": RestoreSchema(),
}


class KindSchema(Schema):
    """The member that tells which schema an operation has."""

    op = Choice({op: op for op in OPERATIONS}, "The kind of operation.", required=True)


class AnyOperation(JsonObject):
    """One operation of a batch; the tasks in it are validated one by one later."""

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        operation = super()._deserialize(*args, **kwargs)
        kind = KindSchema(unknown=EXCLUDE).load(operation)
        return OPERATIONS[kind["op"]].load(operation)


class BatchSchema(StrictSchema):
    """The body of a batch."""

    operations = BoundedList(
        AnyOperation(), MAX_OPERATIONS, "Done in order.", required=True, validate=Length(1)
    )
    atomic = StrictBoolean(
        metadata={"description": "Do all of them, or none if one is refused. Without it, false."}
    )


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

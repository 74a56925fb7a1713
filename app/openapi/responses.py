"""What goes out, as marshmallow schemas: they document the responses, which the statements' columns make."""

from marshmallow import EXCLUDE, Schema, fields, validate

from ..contracts import Contract
from ..errors import ERRORS, FIELD_ERRORS
from ..tasks.fields import always, rev_field, task_fields

CODES = tuple(ERRORS)
FIELD_CODES = tuple(dict.fromkeys(error.code for error in FIELD_ERRORS.values()))


class ResponseSchema(Schema):
    """An answer's body; clients have to bear that fields are added."""

    class Meta:
        unknown = EXCLUDE


class FieldProblemSchema(ResponseSchema):
    """Why a field or a query parameter is refused."""

    pointer = fields.String(metadata={"description": "The body's field (RFC 6901); empty for the whole."})
    parameter = fields.String(metadata={"description": "The query's parameter."})
    code = always(fields.String, "For programs.", validate=validate.OneOf(FIELD_CODES))
    detail = always(fields.String, "To show beside the field.")


class ProblemSchema(ResponseSchema):
    """An error, as RFC 9457 problem details."""

    type = always(fields.String, validate=validate.OneOf(["about:blank"]))
    title = always(fields.String, "The status in words.")
    status = always(fields.Integer, validate=validate.Range(400, 599))
    code = always(fields.String, "For programs.", validate=validate.OneOf(CODES))
    detail = always(fields.String, "One sentence to show.")
    request_id = always(fields.String, "What the service's log has this request under.")
    errors = fields.List(fields.Nested(FieldProblemSchema), metadata={"description": "What is invalid."})


class ErrorMemberSchema(ResponseSchema):
    """The error once more, in v1's own words."""

    code = always(fields.String, validate=validate.OneOf(CODES))
    message = always(fields.String)
    details = always(fields.List, cls_or_instance=fields.Nested(FieldProblemSchema), allow_none=True)


class V1ProblemSchema(ProblemSchema):
    """An error, as RFC 9457 problem details and in v1's own words."""

    error = always(fields.Nested, nested=ErrorMemberSchema)


class DeletionSchema(ResponseSchema):
    """A task that is gone, or lies in the trash."""

    id = always(fields.UUID)
    rev = rev_field("The user's `rev` at the deletion.", 1)


class MeSchema(ResponseSchema):
    """What is stored of a user; for one who never wrote, what the token says."""

    id = always(fields.String, "The user's id in the token.")
    email = always(fields.String, allow_none=True)
    name = always(fields.String, allow_none=True)
    rev = rev_field("How many writes there were.")
    created_at = always(fields.DateTime, "The time of the first write.", allow_none=True)


class HealthSchema(ResponseSchema):
    status = always(fields.String, validate=validate.OneOf(["healthy"]))


class ReadinessSchema(ResponseSchema):
    status = always(fields.String, validate=validate.OneOf(["ready"]))


# Those before are parts of those behind.
FIXED_RESPONSES: dict[str, type[Schema]] = {
    "FieldProblem": FieldProblemSchema,
    "Problem": ProblemSchema,
    "ErrorMember": ErrorMemberSchema,
    "V1Problem": V1ProblemSchema,
    "Deletion": DeletionSchema,
    "Me": MeSchema,
    "Health": HealthSchema,
    "Readiness": ReadinessSchema,
}


def task_responses(contract: Contract) -> dict[str, Schema]:
    """The contract's responses with tasks, by name; `TaskAnswer` and `TaskList` where it wraps them."""
    task = ResponseSchema.from_dict(
        {field.name: field.output for field in task_fields(contract) if field.shown},
        name=f"{contract.schema_prefix}Task",
    )
    tasks = always(fields.List, cls_or_instance=fields.Nested(task))
    since = always(fields.Integer, "What to send as `since` next.", metadata={"format": "int64"})
    changes = ResponseSchema.from_dict(
        {
            "tasks": tasks,
            "deleted": always(fields.List, cls_or_instance=fields.Nested(DeletionSchema)),
            "rev": since,
            "more": always(fields.Boolean, "Whether to ask again at once."),
        }
    )
    responses: dict[str, type[Schema]] = {"Task": task, "Changes": changes}
    if contract.envelope:
        cursor = always(fields.String, "What to send as `cursor`; null on the last page.", allow_none=True)
        responses["TaskAnswer"] = ResponseSchema.from_dict({"task": always(fields.Nested, nested=task)})
        responses["TaskList"] = ResponseSchema.from_dict({"tasks": tasks, "next_cursor": cursor})
    return {name: schema() for name, schema in responses.items()}

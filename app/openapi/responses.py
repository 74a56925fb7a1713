"""The responses as marshmallow schemas, for the document alone: statements select what is sent."""

from marshmallow import EXCLUDE, Schema, fields, validate

from ..contracts import Contract
from ..errors import ERRORS, FIELD_ERRORS
from ..tasks.fields import always, rev_field, task_fields

CODES = tuple(ERRORS)
FIELD_CODES = tuple(dict.fromkeys(error.code for error in FIELD_ERRORS.values()))


class ResponseSchema(Schema):
    """The body of a response; later versions may add members."""

    class Meta:
        unknown = EXCLUDE


class FieldProblemSchema(ResponseSchema):
    """An invalid field or query parameter."""

    pointer = fields.String(
        metadata={"description": "The field of the body (RFC 6901); empty for the whole body."}
    )
    parameter = fields.String(metadata={"description": "The query parameter."})
    code = always(fields.String, "For programs.", validate=validate.OneOf(FIELD_CODES))
    detail = always(fields.String, "The end of a sentence about the field.")


class ProblemSchema(ResponseSchema):
    """An error, as RFC 9457 problem details."""

    type = always(fields.String, validate=validate.OneOf(["about:blank"]))
    title = always(fields.String, "The status in words.")
    status = always(fields.Integer, validate=validate.Range(400, 599))
    code = always(fields.String, "For programs.", validate=validate.OneOf(CODES))
    detail = always(fields.String, "One sentence to show.")
    request_id = always(fields.String, "The id of the request in the service's log.")
    index = fields.Integer(
        metadata={"description": "The place of the operation that ended a batch with `atomic`."}
    )
    errors = fields.List(
        fields.Nested(FieldProblemSchema), metadata={"description": "The invalid fields or parameters."}
    )


class ErrorMemberSchema(ResponseSchema):
    """The error in v1's own format."""

    code = always(fields.String, validate=validate.OneOf(CODES))
    message = always(fields.String)
    details = always(fields.List, cls_or_instance=fields.Nested(FieldProblemSchema), allow_none=True)


class V1ProblemSchema(ProblemSchema):
    """An error, as RFC 9457 problem details and in v1's own format."""

    error = always(fields.Nested, nested=ErrorMemberSchema)


class DeletionSchema(ResponseSchema):
    """A deleted task."""

    id = always(fields.UUID)
    rev = rev_field("The user's `rev` at the deletion.", 1)


class MeSchema(ResponseSchema):
    """What is stored about a user; before their first write, what the token says."""

    id = always(fields.String, "The user's id in the token.")
    email = always(fields.String, allow_none=True)
    name = always(fields.String, allow_none=True)
    rev = rev_field("Grows with each write of the user, and may skip numbers.")
    created_at = always(fields.DateTime, "The time of the first write.", allow_none=True)


class HealthSchema(ResponseSchema):
    """The process responds."""

    status = always(fields.String, validate=validate.OneOf(["healthy"]))


class ReadinessSchema(ResponseSchema):
    """The database responds."""

    status = always(fields.String, validate=validate.OneOf(["ready"]))


# A schema follows those that it contains.
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
    """The responses of a mount that hold tasks, by name; `TaskAnswer` and `TaskList` if it wraps them."""
    task = ResponseSchema.from_dict(
        {field.name: field.output for field in task_fields(contract) if field.shown},
        name=f"{contract.schema_prefix}Task",
    )
    tasks = always(fields.List, cls_or_instance=fields.Nested(task))
    since = always(fields.Integer, "The next `since`.", metadata={"format": "int64"})
    changes = ResponseSchema.from_dict(
        {
            "tasks": tasks,
            "deleted": always(fields.List, cls_or_instance=fields.Nested(DeletionSchema)),
            "rev": since,
            "more": always(fields.Boolean, "Whether there are more changes now."),
        }
    )
    problem = V1ProblemSchema if contract.envelope else ProblemSchema
    result = ResponseSchema.from_dict(
        {
            "status": always(fields.Integer, "The status that the single request would have."),
            "task": fields.Nested(task, metadata={"description": "With 200 and 201."}),
            "problem": fields.Nested(problem, metadata={"description": "With 400 and above."}),
        },
        name=f"{contract.schema_prefix}BatchResult",
    )
    results = ResponseSchema.from_dict(
        {
            "results": always(
                fields.List, "One for each operation, in order.", cls_or_instance=fields.Nested(result)
            ),
            "rev": rev_field("The user's `rev` after the batch."),
        }
    )
    responses: dict[str, type[Schema]] = {
        "Task": task,
        "Changes": changes,
        "BatchResult": result,
        "BatchResults": results,
    }
    if contract.envelope:
        cursor = always(
            fields.String, "The `cursor` of the next page; null on the last one.", allow_none=True
        )
        responses["TaskAnswer"] = ResponseSchema.from_dict({"task": always(fields.Nested, nested=task)})
        responses["TaskList"] = ResponseSchema.from_dict({"tasks": tasks, "next_cursor": cursor})
    return {name: schema() for name, schema in responses.items()}

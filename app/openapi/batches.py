"""The schemas of a batch, whose operations are told apart by `op`."""

from typing import Any

from ..tasks.schemas import OPERATIONS, BatchSchema

# The schemas of the tasks in operations.
TASKS = {"create": "NewTask", "update": "TaskChanges"}
COMPONENTS = "#/components/schemas"


def batch_schemas(converter: Any, prefix: str) -> dict[str, dict[str, Any]]:
    """The body of a batch on the mount with that prefix, and each kind of operation, by their names."""
    schemas = {}
    for op, schema in OPERATIONS.items():
        described = converter.schema2jsonschema(schema) | {"description": schema.__doc__}
        described["properties"]["op"] = {"type": "string", "enum": [op]}
        if op in TASKS:
            described["properties"]["task"] = {"$ref": f"{COMPONENTS}/{prefix}{TASKS[op]}"}
        schemas[f"{prefix}{op.capitalize()}Operation"] = described
    batch = converter.schema2jsonschema(BatchSchema())
    references = [f"{COMPONENTS}/{name}" for name in schemas]
    batch["properties"]["operations"]["items"] = {
        "oneOf": [{"$ref": reference} for reference in references],
        "discriminator": {"propertyName": "op", "mapping": dict(zip(OPERATIONS, references, strict=True))},
    }
    return {**schemas, f"{prefix}Batch": batch}

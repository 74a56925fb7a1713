"""The OpenAPI 3.1 document, built from the routes, contracts, schemas and the views' docstrings."""

import inspect
import re
import tomllib
from collections.abc import Iterable
from typing import Any

import orjson
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import Schema
from werkzeug.routing import Rule

from ..auth.hook import PUBLIC_BLUEPRINTS
from ..config import ROOT
from ..contracts import CONTRACTS, Contract, has_error_member
from ..errors import ERRORS
from ..tasks.fields import READ_ONLY
from ..tasks.schemas import CompletionSchema, changes_schema, creation_schema
from .batches import batch_schemas
from .operations import (
    FIXED_EXAMPLES,
    OPERATIONS,
    OPTIONAL_HEADERS,
    PATH_PARAMETERS,
    PLAIN_SCHEMAS,
    PRECONDITIONS,
    RESPONSE_HEADERS,
    STATUS_DESCRIPTIONS,
    TAGS,
    TASK_OPERATIONS,
    Operation,
    problem_examples,
    problem_name,
    task_examples,
)
from .responses import FIXED_RESPONSES, task_responses

PROBLEM_JSON = "application/problem+json"
DESCRIPTION = """\
Each user's tasks. The token of your sign-in service identifies the user: press **Authorize**, paste a token,
and try the requests.

Three mounts serve the same tasks and differ only in names and formats. Use `/api/tasks` for a new frontend,
and for an existing one the mount that it was written for. Every error is
[RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem details, with a `code` for programs and a `detail`
to show; a client that accepts `application/json` alone gets the same under that type.
[docs/api.md](docs/api.md) describes every request, with examples.
"""


def openapi_document(app: Flask) -> bytes:
    """The document as JSON, built once."""
    built: bytes | None = app.extensions.get("openapi")
    if built is None:
        built = orjson.dumps(Document(app).build(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        app.extensions["openapi"] = built
    return built


def openapi_path(rule: str) -> str:
    """A rule in OpenAPI's syntax: `{id}` for `<task_id:id>`."""
    return re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule)


def mount_tag(contract: Contract) -> str:
    """The tag of a mount's operations."""
    return f"Tasks on {openapi_path(contract.prefix)}"


class Document:
    """Builds the document of an application."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        plugin = MarshmallowPlugin()
        about = {mount_tag(contract): contract.about for contract in CONTRACTS} | TAGS
        self._spec = APISpec(
            "Tasks API",
            # From the file, because the application is not installed as a package.
            tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"],
            "3.1.0",
            plugins=[plugin],
            info={"description": DESCRIPTION},
            # Relative to the document, so that it is right under any prefix.
            servers=[{"url": ".", "description": "This service"}],
            security=[{"token": []}],
            tags=[{"name": name, "description": description} for name, description in about.items()],
        )
        self._converter: Any = plugin.converter

    def build(self) -> dict[str, Any]:
        """The whole document, in JSON's types."""
        self._add_components()
        contracts = {contract.name: contract for contract in CONTRACTS}
        for rule in self._app.url_map.iter_rules():
            blueprint, view = rule.endpoint.split(".")
            contract = contracts.get(blueprint)
            operation = TASK_OPERATIONS[view] if contract else OPERATIONS.get(rule.endpoint)
            if operation:
                (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
                described = self._operation(rule, operation, contract)
                self._spec.path(openapi_path(rule.rule), operations={method.lower(): described})
        return self._spec.to_dict()

    def _add_components(self) -> None:
        components = self._spec.components
        about = "A token of your sign-in service, without `Bearer`."
        scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": about}
        components.security_scheme("token", scheme)
        for name, (about, example) in RESPONSE_HEADERS.items():
            header = {"description": about, "schema": {"type": "string"}, "example": example}
            components.header(name, header | {"required": name not in OPTIONAL_HEADERS})
        for name, response_schema in FIXED_RESPONSES.items():
            components.schema(name, schema=response_schema)
        for name, schema in PLAIN_SCHEMAS.items():
            components.schema(name, schema)
        for contract in CONTRACTS:
            self._add_schemas(contract)

    def _add_schemas(self, contract: Contract) -> None:
        add, prefix = self._spec.components.schema, contract.schema_prefix
        for name, response in task_responses(contract).items():
            add(prefix + name, schema=response)
        if not contract.envelope:
            add(f"{prefix}TaskList", {"type": "array", "items": _ref("schemas", f"{prefix}Task")})
        new = self._body_schema(creation_schema(contract)())
        # By reference: openapi-typescript would make a member with a default a required one.
        new["properties"]["completed"] = _ref("schemas", "Completed")
        add(f"{prefix}NewTask", new)
        add(f"{prefix}TaskChanges", self._body_schema(changes_schema(contract)(partial=True)))
        for name, described in batch_schemas(self._converter, prefix).items():
            add(name, described)
        if contract.completion_has_body:
            add(f"{prefix}Completion", self._body_schema(CompletionSchema()))

    def _body_schema(self, schema: Schema) -> dict[str, Any]:
        described: dict[str, Any] = self._converter.schema2jsonschema(schema)
        for name in sorted(READ_ONLY - schema.fields.keys()):
            described["properties"][name] = {"description": "Ignored, so that you can send a task back."}
        return described

    def _operation(self, rule: Rule, operation: Operation, contract: Contract | None) -> dict[str, Any]:
        view = self._app.view_functions[rule.endpoint]
        summary, _, more = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
        public = rule.endpoint.split(".")[0] in PUBLIC_BLUEPRINTS
        described: dict[str, Any] = {
            "operationId": operation.id,
            "summary": summary.rstrip("."),
            "tags": [mount_tag(contract) if contract else operation.tag],
            "parameters": self._parameters(rule, operation),
            "responses": {},
        }
        if more:
            described["description"] = more
        if contract:
            described["operationId"] = _camel_case(f"{contract.operation_prefix}_{view.__name__}")
        if contract and operation.body:
            described["requestBody"] = _request_body(operation, contract)
        for status in operation.statuses:
            # A repeated create has no Location.
            headers = [name for name in operation.headers if (name, status) != ("Location", 200)]
            content = _content(operation, contract) if status in (200, 201) else {}
            described["responses"][str(status)] = _response(STATUS_DESCRIPTIONS[status], headers, content)
        for status in _problems(operation, contract, public=public):
            described["responses"][str(status)] = self._problem(status, v1=has_error_member(rule.rule))
        if public:
            described["security"] = []
        return described

    def _problem(self, status: int, *, v1: bool) -> dict[str, str]:
        name = problem_name(status, v1=v1)
        if name not in self._spec.components.responses:
            shown = problem_examples(status, v1=v1)
            about = f"The `code` is {' or '.join(f'`{code}`' for code in shown)}."
            content = {
                PROBLEM_JSON: {"schema": _ref("schemas", "V1Problem" if v1 else "Problem"), "examples": shown}
            }
            response = _response(about, ERRORS[next(iter(shown))].headers, content)
            self._spec.components.response(name, response)
        return _ref("responses", name)

    def _parameters(self, rule: Rule, operation: Operation) -> list[dict[str, Any]]:
        parameters = [PATH_PARAMETERS[name] for name in ("user_id", "id") if name in rule.arguments]
        for parameter in self._converter.schema2parameters(operation.query(), location="query"):
            if parameter["schema"].get("default", ...) is None:
                del parameter["schema"]["default"]
            parameters.append(parameter)
        if operation.precondition:
            header = {"in": "header", "name": operation.precondition}
            parameters.append(header | PRECONDITIONS[operation.precondition])
        return parameters


def _request_body(operation: Operation, contract: Contract) -> dict[str, Any]:
    schema = _ref("schemas", contract.schema_prefix + operation.body)
    media = {"schema": schema, "example": task_examples(contract)[operation.body]}
    return {"required": operation.body_required, "content": dict.fromkeys(operation.body_types, media)}


def _content(operation: Operation, contract: Contract | None) -> dict[str, Any]:
    name, prefix = operation.response, contract.schema_prefix if contract else ""
    if not name:
        return {}
    examples = task_examples(contract) if contract else FIXED_EXAMPLES
    wrapped = "Answer" if contract and contract.envelope and name == "Task" else ""
    media = {"schema": _ref("schemas", prefix + name + wrapped), "example": examples[name]}
    return {operation.media_type: media}


def _problems(operation: Operation, contract: Contract | None, *, public: bool) -> list[int]:
    statuses = set(operation.problems)
    if not public:
        statuses |= {401, 429, 500, 503, contract.invalid_status if contract else 400}
    if operation.body:
        statuses |= {400, 413, 415}
    if contract and contract.names_owner:
        statuses.add(403)
    return sorted(statuses)


def _response(about: str, headers: Iterable[str], content: dict[str, Any]) -> dict[str, Any]:
    described = {name: _ref("headers", name) for name in (*headers, "X-Request-ID")}
    return {"description": about, "headers": described} | ({"content": content} if content else {})


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _camel_case(text: str) -> str:
    first, *others = text.strip("_").split("_")
    return first + "".join(word.capitalize() for word in others)

"""A client of the application that holds every answer against the OpenAPI document."""

from functools import cache
from typing import Any

import orjson
from flask import Flask
from flask.testing import FlaskClient
from jsonschema_rs import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from app.openapi.document import openapi_document, openapi_path

# The files of the page are no part of the API.
UNDOCUMENTED = "/docs/"


@cache
def parsed(document: bytes) -> dict[str, Any]:
    """The document in Python's types; not to be changed."""
    found: dict[str, Any] = orjson.loads(document)
    return found


def load(app: Flask) -> dict[str, Any]:
    """The application's document; not to be changed."""
    return parsed(openapi_document(app))


def closed(schema: Any) -> Any:
    """The schema, with members that it does not name refused."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    if found.get("type") == "object" and "properties" in found:
        found["additionalProperties"] = False
    return found


@cache
def validator(document: bytes, pointer: str) -> Draft202012Validator:
    """A validator of the schema that the document has at a JSON pointer."""
    schemas = closed(parsed(document)["components"]["schemas"])
    return Draft202012Validator(
        {"$ref": pointer, "components": {"schemas": schemas}}, validate_formats=True, offline=True
    )


def resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """The node, or what it refers to."""
    while "$ref" in node:
        reference, node = node["$ref"], document
        for name in reference.removeprefix("#/").split("/"):
            node = node[name]
    return node


def check(app: Flask, response: TestResponse) -> None:
    """Fail where the document does not tell of this answer: its status, headers, type and body."""
    request = response.request
    if request.environ["PATH_INFO"].startswith("//"):  # which werkzeug would take for one slash
        return
    try:
        rule, _ = app.url_map.bind("localhost").match(
            request.environ["PATH_INFO"], request.method, return_rule=True
        )
    except HTTPException:
        return
    path, method = openapi_path(rule.rule), request.method.lower().replace("head", "get")
    if method == "options" or path.startswith(UNDOCUMENTED):
        return
    document = load(app)
    responses = document["paths"][path][method]["responses"]
    assert str(response.status_code) in responses, (method, path, response.status_code)
    described = resolve(document, responses[str(response.status_code)])
    for name, header in described["headers"].items():
        required = resolve(document, header)["required"]
        assert name in response.headers or not required, (method, path, response.status_code, name)
    content = described.get("content", {})
    if not content:
        assert response.data == b"", (method, path)
        return
    assert response.mimetype in content, (method, path, response.mimetype)
    if response.is_json and request.method != "HEAD":
        pointer = content[response.mimetype]["schema"]["$ref"]
        validator(openapi_document(app), pointer).validate(orjson.loads(response.data))


class CheckedClient(FlaskClient):
    """Flask's test client, which checks what it gets."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        check(self.application, response)
        return response

"""The OpenAPI document: complete, fresh, true in its examples; and the page that shows it."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import create_app
from app.config import ROOT
from app.openapi.document import openapi_document, openapi_path
from app.openapi.views import FILES
from tests.contract.expect import NOTHING, expect_problem
from tests.document import UNDOCUMENTED, load, resolve, validator

pytestmark = pytest.mark.one_database


@pytest.fixture
def document(app: Flask) -> dict[str, Any]:
    return load(app)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Each operation, with its path and method."""
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def nodes(value: Any) -> list[dict[str, Any]]:
    """Every object in the document."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [node for item in inner for node in nodes(item)]
    return [value, *found] if isinstance(value, dict) else found


def test_the_document_has_each_route_and_method_and_no_other(app: Flask, document: dict[str, Any]) -> None:
    served = {
        (openapi_path(rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.rule.startswith(UNDOCUMENTED)
    }
    assert served == {(path, method) for path, method, _ in operations(document)}
    assert len(served) >= 34


def test_the_committed_copy_is_what_the_service_serves(app: Flask) -> None:
    committed = (ROOT / "docs" / "openapi.json").read_bytes()
    assert committed == openapi_document(app), "stale: run make openapi"


def test_the_operations_have_the_names_of_a_client(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for name in (
        "listTasks",
        "createTask",
        "toggleTask",
        "apiListTasks",
        "userCompleteTask",
        "getMe",
        "getHealth",
    ):
        assert name in names
    assert all(re.fullmatch("[a-z][A-Za-z]+", name) for name in names)


def test_no_schema_ends_with_a_number_and_no_response_is_a_default(document: dict[str, Any]) -> None:
    assert not [name for name in document["components"]["schemas"] if name[-1].isdigit()]
    for path, method, operation in operations(document):
        assert "default" not in operation["responses"], (method, path)
        assert operation["summary"], (method, path)
        assert operation["tags"][0] in [tag["name"] for tag in document["tags"]]


def test_only_the_public_routes_are_without_the_bearer_scheme(document: dict[str, Any]) -> None:
    assert document["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, _, operation in operations(document):
        public = not path.startswith(("/v1", "/api"))
        assert operation.get("security") == ([] if public else None), path
        assert ("401" in operation["responses"]) != public, path


def test_every_body_has_an_example_that_is_valid(app: Flask, document: dict[str, Any]) -> None:
    checked = 0
    for node in nodes(document):
        if "schema" not in node or ("example" not in node and "examples" not in node):
            continue
        schema = node["schema"]
        if "$ref" not in schema:
            continue
        examples = (
            [node["example"]]
            if "example" in node
            else [shown["value"] for shown in node["examples"].values()]
        )
        for example in examples:
            validator(openapi_document(app), schema["$ref"]).validate(example)
            checked += 1
    bodies = [node for node in nodes(document) if "content" in node]
    assert checked >= len(bodies) >= 60


@pytest.mark.parametrize(
    ("path", "method", "status", "headers"),
    [
        ("/v1/tasks", "get", "200", {"ETag", "Link", "X-Request-ID"}),
        ("/v1/tasks", "post", "201", {"ETag", "Location", "X-Request-ID"}),
        ("/v1/tasks", "post", "200", {"ETag", "X-Request-ID"}),
        ("/api/tasks/{id}", "put", "412", {"ETag", "X-Request-ID"}),
        ("/api/tasks/{id}", "patch", "415", {"Accept-Patch", "X-Request-ID"}),
        ("/api/{user_id}/tasks", "get", "401", {"WWW-Authenticate", "X-Request-ID"}),
        ("/api/me", "get", "503", {"Retry-After", "X-Request-ID"}),
    ],
)
def test_the_headers_are_described(
    path: str, method: str, status: str, headers: set[str], document: dict[str, Any]
) -> None:
    response = resolve(document, document["paths"][path][method]["responses"][status])
    assert set(response["headers"]) == headers


@pytest.mark.parametrize(
    ("schema", "text_field", "limit", "nullable"),
    [
        ("V1NewTask", "details", 2000, True),
        ("ApiNewTask", "description", 1000, True),
        ("UserNewTask", "description", 999, True),
    ],
)
def test_limits_and_nulls_are_told(
    schema: str, text_field: str, limit: int, nullable: bool, document: dict[str, Any]
) -> None:
    found = document["components"]["schemas"][schema]
    assert found["required"] == ["title"]
    assert (found["properties"]["title"]["minLength"], found["properties"]["title"]["maxLength"]) == (1, 200)
    assert found["properties"][text_field]["maxLength"] == limit
    assert found["properties"][text_field]["type"] == ["string", "null"]
    assert resolve(document, found["properties"]["completed"]) == {"type": "boolean", "default": False}
    assert found["properties"]["id"]["format"] == "uuid"
    assert found["additionalProperties"] is False


def test_the_document_is_served_with_an_etag(app: Flask) -> None:
    client = app.test_client()
    response = client.get("/openapi.json")
    assert response.get_json()["openapi"] == "3.1.0"
    assert response.get_json()["servers"][0]["url"] == "."
    again = client.get("/openapi.json", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert openapi_document(app) is openapi_document(app)


def directives(response: TestResponse) -> dict[str, str]:
    policy = response.headers["Content-Security-Policy"]
    parts = (part.strip().partition(" ") for part in policy.split(";"))
    return {name: sources for name, _, sources in parts}


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere(app: Flask) -> None:
    client = app.test_client()
    response = client.get("/docs")
    assert response.mimetype == "text/html"
    policy = directives(response)
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    addresses = re.findall(r'(?:src|href|data-document)="([^"]*)"', response.text)
    assert {f"/docs/{name}" for name in FILES} - {"/docs/api.md"} <= set(addresses)
    for address in addresses:
        with client.get(address) as got:
            assert got.status_code == 200, address
    assert not re.search(r"<script(?![^>]*src=)|<style| on\w+=", response.text)


def test_under_a_prefix_the_page_points_to_its_own_files(app: Flask) -> None:
    page = app.test_client().get("/docs", environ_overrides={"SCRIPT_NAME": "/backend"})
    assert 'data-document="/backend/openapi.json"' in page.text
    assert 'src="/backend/docs/docs.js"' in page.text


def test_the_root_leads_to_the_page(app: Flask) -> None:
    response = app.test_client().get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/docs")


def test_the_page_can_be_switched_off_and_the_document_stays(tmp_path: Path, environ: dict[str, str]) -> None:
    url = f"sqlite:///{tmp_path / 'tasks.db'}"
    client = create_app(environ | {"DATABASE_URL": url, "DOCS": "off"}).test_client()
    for path in ("/docs", "/docs/docs.js", "/docs/swagger-ui-bundle.js"):
        expect_problem(client.get(path), 404, "not_found", NOTHING, v1=False)
    assert client.get("/openapi.json").status_code == 200
    assert client.get("/").headers["Location"] == "/openapi.json"


def test_the_command_writes_the_document(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "openapi.json"
    runner = app.test_cli_runner()
    assert runner.invoke(args=["openapi", "--output", str(path)]).exit_code == 0
    assert path.read_bytes() == openapi_document(app)
    assert orjson.loads(runner.invoke(args=["openapi"]).stdout_bytes)["info"]["title"] == "Tasks API"

"""docs/api.md: its sessions and its JavaScript, run against a live server; its tables beside the code."""

import re
import subprocess
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

from app.errors import ERRORS, FIELD_ERRORS
from tests.console import Request, replay, sessions
from tests.integration.test_sync_docs import BLOCK, node
from tests.people import token

FENCE = re.compile(r"^\s*(?:```|~~~)(.*)$", re.MULTILINE)
pytestmark = pytest.mark.one_database
# What a client meets, but no console example can bring about.
NOT_PROVOKED = {"too_many_requests", "internal_error", "service_unavailable"}
DRIVER = """
import assert from "node:assert/strict";
import { allTasks, check } from "./api.mjs";

const [address, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
const create = async (path, task) =>
  check(await fetch(address + path, { method: "POST", headers, body: JSON.stringify(task) }));

for (const title of ["a", "b", "c", "d", "e"]) await create("/api/tasks", { title, completed: title > "b" });
for (const path of ["/v1/tasks", "/api/tasks", "/api/carol/tasks"]) {
  const titles = async (query) => (await allTasks(address + path + query, token)).map(({ title }) => title);
  assert.deepEqual(await titles(""), ["e", "d", "c", "b", "a"]);
  assert.deepEqual(await titles("?limit=2"), ["e", "d", "c", "b", "a"]);
  assert.deepEqual(await titles("?limit=1&completed=true"), ["e", "d", "c"]);
  assert.deepEqual(await titles("?deleted=true"), []);
  await assert.rejects(create(path, { title: "", due: "today" }), {
    message: "title: must not be empty.",
    status: path === "/v1/tasks" ? 422 : 400,
    code: "validation_error",
    fields: { title: "must not be empty.", due: "is not a field that can be sent here." },
  });
  const limit = "must be a whole number from 1 to 500.";
  await assert.rejects(titles("?limit=0"), { message: `limit: ${limit}`, fields: { limit } });
}
const bobs = allTasks(`${address}/api/bob/tasks`, token);
await assert.rejects(bobs, { status: 403, code: "forbidden", fields: {} });
const foreign = new Response("<h1>Bad Gateway</h1>", { status: 502 });
await assert.rejects(check(foreign), { message: "The service cannot be reached.", status: 502, fields: {} });
assert.equal((await check(new Response(null, { status: 304 }))).status, 304);
"""


@pytest.fixture
def page(root: Path) -> Path:
    return root / "docs" / "api.md"


def section(page: Path, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    text = page.read_text(encoding="utf-8")
    return re.split(r"^#+ ", text.partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def endpoint(app: Flask, request: Request) -> str | None:
    """What the request reaches, or None where it is refused before."""
    try:
        found, _ = app.url_map.bind("localhost").match(request.path.partition("?")[0], request.method)
    except HTTPException:
        return None
    reached: str = found
    return reached


def test_the_examples_answer_as_printed_and_leave_no_operation_out(
    app: Flask, environ: dict[str, str], page: Path
) -> None:
    # An operation counts once, on whatever mount it is shown.
    called = {(endpoint(app, request) or "").partition(".")[2] for request in replay(page, environ)}
    every = {rule.endpoint for rule in app.url_map.iter_rules() if not rule.endpoint.startswith("openapi.")}
    assert {name.partition(".")[2] for name in every} - called == set()


def test_the_javascript_pages_and_tells_errors_on_every_mount(
    address: str, secret: str, page: Path, tmp_path: Path
) -> None:
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    (tmp_path / "api.mjs").write_text("\n".join(blocks), encoding="utf-8")
    (tmp_path / "driver.mjs").write_text(DRIVER, encoding="utf-8")
    command = [node(), "driver.mjs", address, token(secret, "carol")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_no_block_is_of_a_kind_that_is_not_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    fences = FENCE.findall(text)
    assert set(fences[::2]) == {"console", "js", "ts"}
    assert set(fences[1::2]) == {""}
    # The driver knows these; whoever adds one has to try it there too.
    assert re.findall(r"^export async function (\w+)", text, re.MULTILINE) == ["allTasks", "check"]
    assert fences.count("js") == 2
    commands = [line for line in text.splitlines() if line.lstrip().startswith("$ ")]
    assert len(commands) == len(sessions(page)) > 40


def test_the_tables_have_each_code_with_its_status_and_no_other(page: Path) -> None:
    rows = re.findall(r"^\| (\d[^|]*) \| `(\w+)` \|", section(page, "## Errors"), re.MULTILINE)
    told = {code: status for status, code in rows}
    expected = {code: str(kind.status) for code, kind in ERRORS.items()}
    expected["validation_error"] = "400, on v1 422"
    assert told == expected
    assert len(rows) == len(told)
    head, *field_codes = re.findall(r"^\| `(\w+)` \|", section(page, "### Validation errors"), re.MULTILINE)
    assert (head, sorted(field_codes)) == ("code", sorted({error.code for error in FIELD_ERRORS.values()}))


def test_each_code_that_a_client_can_bring_about_has_an_example(page: Path) -> None:
    answers = "".join(step.answer for step in sessions(page))
    shown = set(re.findall(r'"code":"(\w+)"', answers))
    assert shown == {*ERRORS, *(error.code for error in FIELD_ERRORS.values())} - NOT_PROVOKED


def test_the_service_serves_the_page_beside_the_document_that_links_to_it(app: Flask, page: Path) -> None:
    with app.test_client().get("/docs/api.md") as response:
        assert (response.status_code, response.mimetype) == (200, "text/markdown")
        assert response.data == page.read_bytes()

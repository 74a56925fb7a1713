"""A page of another origin calls the API, as a frontend on a port of its own does."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.live import gunicorn, migrate
from tests.people import token

# What a page's script gets to see of a response, or why it sees nothing.
CALL = """
async ([address, token, method, body, extra]) => {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...extra };
  try {
    const response = await fetch(address, { method, headers, body, credentials: "include" });
    const names = ["ETag", "Link", "Location", "Retry-After", "WWW-Authenticate", "X-Request-ID", "Allow"];
    const seen = Object.fromEntries(names.map((name) => [name, response.headers.get(name)]));
    return { status: response.status, headers: seen, body: await response.text() };
  } catch (error) {
    return { error: String(error) };
  }
}
"""


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of a frontend: a server with one empty page."""
    folder = tmp_path_factory.mktemp("frontend")
    Path(folder, "index.html").write_text('<!DOCTYPE html><link rel="icon" href="data:,">')
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    Thread(target=server.serve_forever).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: Any) -> None:
        """Keep the tests' output clean."""


@pytest.fixture(scope="module")
def api(frontend: str, secret: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service, for that frontend."""
    settings = {
        "DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('origins') / 'tasks.db'}",
        "BETTER_AUTH_SECRET": secret,
        "CORS_ORIGINS": frontend,
        "LOG_LEVEL": "WARNING",
    }
    migrate(settings)
    with gunicorn(settings) as (address, _):
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def call(page: Page, address: str, token: str, method: str = "GET", body: str = "", **headers: str) -> Any:
    """Call the API from the page with `credentials: "include"`."""
    return page.evaluate(CALL, [address, token, method, body or None, headers])


def test_a_page_of_a_listed_origin_lists_and_creates_and_reads_the_headers(
    page: Page, frontend: str, api: str, secret: str
) -> None:
    alice = token(secret, "alice")
    page.goto(frontend)
    created = call(page, f"{api}/api/tasks", alice, "POST", '{"title": "Buy milk"}')
    assert created["status"] == 201, created
    assert created["headers"]["ETag"] == '"1"'
    assert created["headers"]["Location"].startswith("/api/tasks/")
    assert created["headers"]["X-Request-ID"]
    assert call(page, f"{api}/api/tasks", alice, "POST", '{"title": "Buy tea"}')["status"] == 201

    listed = call(page, f"{api}/api/tasks?limit=1", alice)
    assert (listed["status"], "Buy tea" in listed["body"]) == (200, True)
    assert 'rel="next"' in listed["headers"]["Link"]

    path = api + created["headers"]["Location"]
    stale = call(page, path, alice, "PATCH", '{"completed": true}', **{"If-Match": '"77"'})
    assert (stale["status"], stale["headers"]["ETag"]) == (412, '"1"')
    refused = call(page, path, "nonsense", "DELETE")
    assert (refused["status"], refused["headers"]["WWW-Authenticate"]) == (
        401,
        'Bearer error="invalid_token"',
    )
    assert "The token is not a JWT" in refused["body"]


def test_a_page_of_another_origin_sees_nothing(page: Page, frontend: str, api: str, secret: str) -> None:
    page.goto(frontend.replace("localhost", "127.0.0.1"))
    assert call(page, f"{api}/api/tasks", token(secret, "alice")) == {"error": "TypeError: Failed to fetch"}

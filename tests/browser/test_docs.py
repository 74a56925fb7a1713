"""The page in chromium, as a frontend developer uses it: `make browser-test`, which names the browser."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.live import gunicorn
from tests.mounts import MOUNTS, Mount
from tests.people import token

REPORT_REFUSALS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`refused: ${event.effectiveDirective} ${event.blockedURI}`));
"""
pytestmark = pytest.mark.databases("sqlite")
every_mount = pytest.mark.parametrize("mount", MOUNTS, ids=[mount.name for mount in MOUNTS])


@pytest.fixture(scope="session")
def address(migrated_app: Flask, environ: dict[str, str]) -> Iterator[str]:
    with gunicorn(environ) as (address, _):
        yield address


@pytest.fixture(scope="session")
def alices_token(secret: str) -> str:
    return token(secret, "alice", minutes=30)


@pytest.fixture
def context(browser: Browser, address: str, complaints: list[str]) -> Iterator[BrowserContext]:
    def heed(url: str) -> None:
        if not url.startswith((f"{address}/", "data:")):
            complaints.append(f"request to {url}")

    context = browser.new_context(base_url=address)
    context.add_init_script(REPORT_REFUSALS)
    context.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("request", lambda request: heed(request.url))
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """The page in a tab, come to by way of `/`."""
    return open_page(context)


def open_page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/")
    expect(page).to_have_url("/docs")
    return page


def authorize(page: Page, value: str) -> None:
    page.locator(".auth-wrapper .authorize").click()
    dialog = page.locator(".dialog-ux")
    dialog.get_by_role("textbox").fill(value)
    dialog.get_by_text("Authorize", exact=True).click()
    dialog.get_by_role("button", name="Close").click()
    expect_authorized(page)


def logout(page: Page) -> None:
    page.locator(".auth-wrapper .authorize").click()
    page.locator(".dialog-ux").get_by_text("Logout", exact=True).click()
    expect(page.locator(".dialog-ux").get_by_role("textbox")).to_be_visible()


def expect_authorized(page: Page, authorized: bool = True) -> None:
    state = "locked" if authorized else "unlocked"
    expect(page.locator(f".auth-wrapper .authorize.{state}")).to_be_visible()


def opened(page: Page, method: str, path: str) -> Locator:
    """An operation, unfolded."""
    operation = page.locator(f".opblock-{method}", has=page.locator(f'[data-path="{path}"]'))
    operation.locator(".opblock-summary").click()
    return operation


def execute(operation: Locator) -> tuple[str, Any]:
    """Try an operation; the status and the body that the page shows."""
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response")
    status = answer.locator(".response-col_status").inner_text().split()[0]
    return status, json.loads(answer.locator(".highlight-code pre").first.inner_text())


def stored(page: Page) -> dict[str, str]:
    """What the page keeps, by where."""
    kept: dict[str, str] = page.evaluate(
        """() => ({
            tab: JSON.stringify({...sessionStorage}),
            browser: JSON.stringify({...localStorage}) + document.cookie,
        })"""
    )
    return kept


@every_mount
def test_the_filled_in_create_makes_a_task(mount: Mount, page: Page, address: str, alices_token: str) -> None:
    authorize(page, alices_token)
    status, body = execute(opened(page, "post", mount.template))
    task = body["task"] if mount.enveloped else body
    assert (status, task["title"]) == ("201", "Buy milk")
    assert task[mount.text_field]
    got = requests.get(
        f"{address}{mount.path(rest='/' + task['id'])}",
        headers={"Authorization": f"Bearer {alices_token}"},
        timeout=30,
    )
    assert (got.status_code, got.json()) == (200, body)


@every_mount
def test_an_invalid_create_shows_the_problem(
    mount: Mount, page: Page, alices_token: str, complaints: list[str]
) -> None:
    authorize(page, alices_token)
    operation = opened(page, "post", mount.template)
    operation.locator("textarea").fill('{"title": ""}')
    # Chromium itself tells of every answer that is an error.
    with page.expect_console_message(lambda message: f"status of {mount.invalid}" in message.text) as told:
        status, problem = execute(operation)
    assert (status, problem["code"]) == (str(mount.invalid), "validation_error")
    assert [error["pointer"] for error in problem["errors"]] == ["/title"]
    complaints.remove(told.value.text)


def test_a_header_that_nobody_filled_in_is_not_sent(page: Page, alices_token: str) -> None:
    authorize(page, alices_token)
    operation = opened(page, "get", "/v1/tasks")
    with page.expect_request("**/v1/tasks?*") as sent:
        status, _ = execute(operation)
    assert status == "200"
    assert sent.value.header_value("If-None-Match") is None
    assert sent.value.header_value("Authorization") == f"Bearer {alices_token}"


def test_the_token_is_kept_for_the_tab_alone_and_until_logout(
    page: Page, context: BrowserContext, alices_token: str
) -> None:
    authorize(page, alices_token)
    page.reload()
    expect_authorized(page)
    status, me = execute(opened(page, "get", "/api/me"))
    assert (status, me["id"]) == ("200", "alice")
    assert alices_token in stored(page)["tab"]
    assert stored(page)["browser"] == "{}"

    other = open_page(context)
    expect_authorized(other, False)
    assert stored(other) == {"tab": "{}", "browser": "{}"}
    other.close()

    logout(page)
    assert stored(page) == {"tab": "{}", "browser": "{}"}
    page.reload()
    expect_authorized(page, False)


def test_a_link_with_a_token_authorizes_and_the_token_leaves_the_address(
    context: BrowserContext, alices_token: str
) -> None:
    sent: list[str] = []
    context.on("request", lambda request: sent.append(request.url))
    page = context.new_page()
    page.goto(f"/docs#token={alices_token}")
    expect_authorized(page)
    expect(page).to_have_url("/docs")
    assert not [url for url in sent if alices_token in url]
    status, task = execute(opened(page, "post", "/api/tasks"))
    assert (status, task["user_id"]) == ("201", "alice")
    page.reload()
    expect_authorized(page)
    logout(page)
    page.reload()
    expect_authorized(page, False)


def test_a_link_with_a_token_works_in_a_tab_that_shows_the_page(page: Page, alices_token: str) -> None:
    expect_authorized(page, False)
    page.goto(f"/docs#token={alices_token}")
    expect_authorized(page)
    expect(page).to_have_url("/docs")


def test_a_fragment_that_is_no_token_authorizes_nobody(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/docs#token=<script>")
    expect_authorized(page, False)
    assert stored(page) == {"tab": "{}", "browser": "{}"}

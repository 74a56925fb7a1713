"""The demo app in Chromium, with a real Better Auth and a real service: `make browser-test`."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.live import ROOT, children, free_port, gunicorn, migrate, running
from tests.polling import wait_until

DEMO = ROOT / "examples" / "demo"
AXE = DEMO / "node_modules/axe-core/axe.min.js"
LISTS = ("today", "upcoming", "all", "done", "trash")
SIZES = {"wide": (1280, 800), "narrow": (360, 740)}
PASSWORD = "correct horse"
# Long enough for a service that starts and for the client's next attempt.
PATIENCE = 30_000
# The tasks of the still, and the list that shows them.
SCENE = [
    ("Send the invoice to Grace", "2026-12-02", "Urgent", "work"),
    ("Prepare the talk on offline-first apps", "2026-12-04", "High", "work, talks"),
    ("Buy oat milk and coffee", "2026-12-04", "Medium", "errands"),
    ("Water the plants", "2026-12-04", "Low", "home"),
    ("Call Grace back", "2026-12-04", "Medium", ""),
    ("Book the train to Hamburg", "2026-12-07", "High", "travel"),
    ("Read the paper on fractional indexing", "", "Low", "reading"),
]
TODAY = """
- main:
  - heading "Today" [level=1]
  - paragraph: Friday 4 December
  - searchbox "Search this list"
  - form "New task":
    - textbox "Title"
    - button "Add with details"
    - button "Add"
  - list "Today":
    - listitem:
      - checkbox "Complete “Send the invoice to Grace”"
      - button "Send the invoice to Grace"
      - paragraph:
        - time: "Overdue: 2 Dec"
        - text: urgent work
      - button "Delete “Send the invoice to Grace”"
    - listitem:
      - button "Prepare the talk on offline-first apps"
    - listitem:
      - button "Buy oat milk and coffee"
    - listitem:
      - button "Water the plants"
"""
# Everything that a page of this origin can read again.
STORED = """
async () => {
  const databases = {};
  for (const { name } of await indexedDB.databases()) {
    const database = await new Promise((resolve) => {
      indexedDB.open(name).onsuccess = ({ target }) => resolve(target.result);
    });
    for (const store of database.objectStoreNames) {
      const all = database.transaction(store).objectStore(store).getAll();
      await new Promise((resolve) => (all.onsuccess = resolve));
      databases[`${name} ${store}`] = all.result;
    }
    database.close();
  }
  const cached = [];
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      cached.push(request.url, await (await cache.match(request)).text());
    }
  }
  return JSON.stringify([databases, cached, { ...localStorage }, { ...sessionStorage }, document.cookie]);
}
"""


class Demo:
    """The demo on free ports; the service can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, web_port = free_port(), free_port()
        self.api, self.origin = f"http://127.0.0.1:{self.port}", f"http://localhost:{web_port}"
        self.web = ["node", str(DEMO / "server.mjs"), str(web_port), self.api, str(folder)]
        self.settings = {
            "BETTER_AUTH_URL": self.origin,
            "CORS_ORIGINS": self.origin,
            "DATABASE_URL": f"sqlite:///{folder / 'tasks.db'}",
            "LOG_LEVEL": "ERROR",
        }
        self.service = ExitStack()
        self.people = 0

    def start(self) -> None:
        self.service.enter_context(gunicorn(self.settings, port=self.port))

    def stop(self) -> None:
        self.service.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("demo"))
    migrate(demo.settings)
    with running(subprocess.Popen(demo.web), f"{demo.origin}/api/auth/ok"):
        demo.start()
        yield demo
        demo.stop()


@pytest.fixture
def context(browser: Browser, demo: Demo, complaints: list[str]) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=demo.origin, viewport={"width": 1280, "height": 800})
    watch(context, demo, complaints)
    yield context
    context.close()


def watch(context: BrowserContext, demo: Demo, complaints: list[str]) -> None:
    def heed(url: str) -> None:
        if not url.startswith((f"{demo.origin}/", f"{demo.api}/")):
            complaints.append(f"request to {url}")

    context.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("request", lambda request: heed(request.url))


@contextmanager
def failing_requests(complaints: list[str], pattern: str = "net::ERR_") -> Iterator[None]:
    """Chromium itself tells of every request that fails; here they are meant to."""
    yield
    complaints[:] = [complaint for complaint in complaints if pattern not in complaint]


@pytest.fixture
def page(context: BrowserContext, demo: Demo) -> Page:
    """A tab of somebody who has just signed up."""
    page = context.new_page()
    sign_up(page, demo)
    return page


def sign_up(page: Page, demo: Demo, name: str = "Ada Lovelace") -> str:
    """Create an account; returns its e-mail address."""
    demo.people += 1
    email = f"{name.split()[0].lower()}{demo.people}@example.com"
    page.goto("/")
    page.get_by_role("button", name="Create an account").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    return email


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def open_list(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=re.compile(f"^{name}", re.IGNORECASE)).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name.capitalize())


def add(page: Page, *titles: str) -> None:
    for title in titles:
        page.get_by_role("form", name="New task").get_by_label("Title").fill(title)
        page.get_by_role("button", name="Add", exact=True).click()
        expect(item(page, title)).to_be_visible()


def add_with_details(page: Page, title: str, due: str = "", priority: str = "Medium", tags: str = "") -> None:
    page.get_by_role("button", name="Add with details").click()
    editor = page.get_by_role("dialog")
    editor.get_by_label("Title").fill(title)
    editor.get_by_label("Due").fill(due)
    editor.get_by_label("Priority").select_option(priority)
    editor.get_by_label("Tags").fill(tags)
    editor.get_by_role("button", name="Save").click()
    expect(editor).to_be_hidden()


def item(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("button", name=title, exact=True))


def titles(page: Page) -> Locator:
    return page.locator("#tasks .text")


def delete(page: Page, title: str) -> None:
    item(page, title).hover()
    item(page, title).locator("[data-action=delete]").click()


def day(days: int) -> str:
    return (date.today() + timedelta(days=days)).isoformat()


class OtherClient:
    """The same user elsewhere: the API itself with their token."""

    def __init__(self, page: Page, demo: Demo) -> None:
        token = page.request.get("/api/auth/token").json()["token"]
        self.address = f"{demo.api}/api/tasks"
        self.headers = {"Authorization": f"Bearer {token}"}

    def tasks(self) -> dict[str, Any]:
        listed = requests.get(self.address, params={"limit": 500}, headers=self.headers, timeout=30).json()
        return {task["title"]: task for task in listed}

    def patch(self, title: str, /, **changes: Any) -> None:
        url = f"{self.address}/{self.tasks()[title]['id']}"
        assert requests.patch(url, json=changes, headers=self.headers, timeout=30).status_code == 200

    def delete(self, title: str) -> None:
        url = f"{self.address}/{self.tasks()[title]['id']}"
        assert requests.delete(url, headers=self.headers, timeout=30).status_code == 204

    def expect(self, *titles: str) -> None:
        assert wait_until(lambda: set(self.tasks()) == set(titles)), sorted(self.tasks())


def test_a_second_tab_sees_what_the_first_one_adds_and_so_does_the_server(page: Page, demo: Demo) -> None:
    other_tab = page.context.new_page()
    other_tab.goto("/")
    add(page, "Buy milk")
    expect(item(other_tab, "Buy milk")).to_be_visible()
    OtherClient(page, demo).expect("Buy milk")


def test_tasks_are_listed_by_their_due_date(page: Page) -> None:
    for title, due in {"Late": day(-1), "Now": day(0), "Soon": day(1), "Some day": ""}.items():
        add_with_details(page, title, due, "High", "home, errands")
    expect(titles(page)).to_have_text(["Late", "Now"])
    expect(item(page, "Late")).to_contain_text("Overdue: Yesterday")
    expect(item(page, "Late").locator(".tag")).to_have_text(["home", "errands"])
    open_list(page, "upcoming")
    expect(titles(page)).to_have_text(["Soon"])
    open_list(page, "all")
    expect(titles(page)).to_have_text(["Some day", "Soon", "Now", "Late"])
    page.get_by_label("Search").fill("SO")
    expect(titles(page)).to_have_text(["Some day", "Soon"])


def test_a_task_is_edited_completed_deleted_and_each_is_undone(page: Page, demo: Demo) -> None:
    add(page, "Buy milk")
    item(page, "Buy milk").get_by_role("button", name="Buy milk", exact=True).click()
    page.get_by_role("dialog").get_by_label("Notes").fill("Two litres")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(item(page, "Buy milk")).to_contain_text("Two litres")

    undo = page.get_by_role("button", name="Undo")
    item(page, "Buy milk").get_by_role("checkbox").click()
    expect(titles(page)).to_have_count(0)
    undo.click()
    expect(titles(page)).to_have_text(["Buy milk"])
    delete(page, "Buy milk")
    expect(titles(page)).to_have_count(0)
    undo.click()
    expect(titles(page)).to_have_text(["Buy milk"])

    delete(page, "Buy milk")
    open_list(page, "trash")
    item(page, "Buy milk").get_by_role("button", name="Restore").click()
    open_list(page, "today")
    expect(titles(page)).to_have_text(["Buy milk"])
    item(page, "Buy milk").get_by_role("checkbox").click()
    open_list(page, "done")
    expect(titles(page)).to_have_text(["Buy milk"])
    other = OtherClient(page, demo)
    assert wait_until(lambda: other.tasks()["Buy milk"]["completed"])
    assert other.tasks()["Buy milk"]["description"] == "Two litres"


def test_a_task_is_dragged_into_an_order_that_the_server_keeps(page: Page, demo: Demo) -> None:
    open_list(page, "all")
    add(page, "Three", "Two", "One")
    expect(titles(page)).to_have_text(["One", "Two", "Three"])
    first, last = item(page, "One"), item(page, "Three")
    first.hover()
    first.get_by_role("button", name="Move").hover()
    page.mouse.down()
    box = last.bounding_box()
    assert box
    page.mouse.move(box["x"] + 20, box["y"] + box["height"] - 4, steps=8)
    page.mouse.up()
    expect(page.get_by_text("Moved “One” to place 3 of 3.")).to_be_visible()
    expect(titles(page)).to_have_text(["Two", "Three", "One"])
    page.reload()
    expect(titles(page)).to_have_text(["Two", "Three", "One"])

    def order() -> list[str]:
        tasks = OtherClient(page, demo).tasks().values()
        return [task["title"] for task in sorted(tasks, key=lambda task: task["position"])]

    assert wait_until(lambda: order() == ["Two", "Three", "One"]), order()


def test_tasks_without_positions_can_be_ordered(page: Page, demo: Demo) -> None:
    other = OtherClient(page, demo)
    for title in ("B", "A"):
        requests.post(other.address, json={"title": title}, headers=other.headers, timeout=30)
    open_list(page, "all")
    expect(titles(page)).to_have_text(["B", "A"], timeout=PATIENCE)
    item(page, "A").get_by_role("checkbox").press("Alt+ArrowUp")
    expect(titles(page)).to_have_text(["A", "B"])


def test_the_keyboard_alone_adds_completes_deletes_undoes_and_orders(page: Page) -> None:
    keys = page.keyboard
    open_list(page, "all")
    title = page.get_by_role("form", name="New task").get_by_label("Title")
    for _ in range(20):
        if title.evaluate("input => input === document.activeElement"):
            break
        keys.press("Tab")
    for text in ("Two", "One"):
        keys.type(text)
        keys.press("Enter")
        expect(item(page, text)).to_be_visible()

    for _ in range(4):  # details, add, the handle, the checkbox
        keys.press("Tab")
    expect(item(page, "One").get_by_role("checkbox")).to_be_focused()
    keys.press("Alt+ArrowDown")
    expect(titles(page)).to_have_text(["Two", "One"])
    expect(item(page, "One").get_by_role("checkbox")).to_be_focused()
    keys.press("Space")
    expect(titles(page)).to_have_text(["Two"])
    expect(item(page, "Two").get_by_role("checkbox")).to_be_focused()
    keys.press("Control+z")
    expect(titles(page)).to_have_text(["Two", "One"])
    keys.press("Tab")
    keys.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(item(page, "Two").get_by_role("button", name="Two", exact=True)).to_be_focused()
    keys.press("Tab")
    keys.press("Enter")
    expect(titles(page)).to_have_text(["One"])
    keys.press("Control+z")
    expect(titles(page)).to_have_text(["Two", "One"])


def test_what_is_done_offline_reaches_the_server_later(page: Page, demo: Demo, complaints: list[str]) -> None:
    other = OtherClient(page, demo)
    add(page, "Bread", "Milk", "Tea")
    other.expect("Bread", "Milk", "Tea")
    with failing_requests(complaints):
        page.context.set_offline(True)
        expect(page.get_by_text("You are offline.")).to_be_visible()
        add(page, "Coffee")
        item(page, "Milk").get_by_role("button", name="Milk", exact=True).click()
        page.get_by_role("dialog").get_by_label("Title").fill("Oat milk")
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        delete(page, "Tea")
        expect(page.get_by_text("3 changes wait for the connection.")).to_be_visible()
        other.expect("Bread", "Milk", "Tea")

        page.reload()
        expect(titles(page)).to_have_count(3)
        expect(page.get_by_text("3 changes wait for the connection.")).to_be_visible()

        page.context.set_offline(False)
        other.expect("Bread", "Oat milk", "Coffee")
        expect(page.get_by_text("You are offline.")).to_be_hidden()


def test_a_task_added_while_the_service_is_down_is_in_both_tabs_once_it_is_back(
    page: Page, demo: Demo, complaints: list[str]
) -> None:
    other_tab = page.context.new_page()
    other_tab.goto("/")
    add(page, "One", "Two", "Three")
    OtherClient(page, demo).expect("One", "Two", "Three")
    with failing_requests(complaints):
        demo.stop()
        try:
            add(page, "Four")
            expect(page.get_by_text("1 change waits for the connection.")).to_be_visible(timeout=PATIENCE)
        finally:
            demo.start()
        expect(page.get_by_text("1 change waits")).to_be_hidden(timeout=PATIENCE)
    OtherClient(page, demo).expect("One", "Two", "Three", "Four")
    for tab in (page, other_tab):
        expect(titles(tab)).to_have_count(4)
        tab.reload()
        expect(titles(tab)).to_have_count(4)


@pytest.mark.parametrize("choice", ["mine", "theirs"])
def test_a_conflict_is_shown_and_resolved(choice: str, page: Page, demo: Demo, complaints: list[str]) -> None:
    other = OtherClient(page, demo)
    add(page, "Buy milk")
    other.expect("Buy milk")
    with failing_requests(complaints):
        page.context.set_offline(True)
        other.patch("Buy milk", title="Buy oat milk")
        item(page, "Buy milk").get_by_role("button", name="Buy milk", exact=True).click()
        page.get_by_role("dialog").get_by_label("Title").fill("Buy rum")
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        page.context.set_offline(False)
    expect(page.get_by_text("1 task needs your choice.")).to_be_visible(timeout=PATIENCE)
    item(page, "Buy rum").get_by_role("button", name="Choose version").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Your version")).to_contain_text("Buy rum")
    expect(dialog.get_by_label("The other version")).to_contain_text("Buy oat milk")
    assert violations(page) == []
    dialog.get_by_role("button", name=f"Keep {choice}").click()
    kept = {"mine": "Buy rum", "theirs": "Buy oat milk"}[choice]
    expect(titles(page)).to_have_text([kept])
    expect(page.get_by_text("needs your choice")).to_be_hidden()
    other.expect(kept)


def test_a_deletion_that_clashes_with_a_change_elsewhere_is_a_conflict(
    page: Page, demo: Demo, complaints: list[str]
) -> None:
    other = OtherClient(page, demo)
    add(page, "Buy milk")
    other.expect("Buy milk")
    with failing_requests(complaints):
        page.context.set_offline(True)
        other.patch("Buy milk", title="Buy oat milk")
        delete(page, "Buy milk")
        page.context.set_offline(False)
    page.get_by_role("button", name="Choose", exact=True).click(timeout=PATIENCE)
    expect(page.get_by_label("Your version")).to_contain_text("Deleted")
    page.get_by_role("button", name="Keep mine").click()
    other.expect()


def test_a_change_that_the_service_refuses_is_shown_and_undone(page: Page, demo: Demo) -> None:
    add(page, "Buy milk")
    OtherClient(page, demo).expect("Buy milk")
    # A form with other limits than the service's.
    page.evaluate("document.querySelector('#editor [name=tags]').pattern = '.*'")
    item(page, "Buy milk").get_by_role("button", name="Buy milk", exact=True).click()
    page.get_by_role("dialog").get_by_label("Tags").fill("t" * 51)
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Choose", exact=True).click(timeout=PATIENCE)
    expect(page.get_by_role("dialog")).to_contain_text("tags")
    page.get_by_role("button", name="Undo my change").click()
    expect(item(page, "Buy milk").locator(".tag")).to_have_count(0)


def test_signing_out_leaves_nothing_readable_and_another_user_sees_none_of_it(page: Page, demo: Demo) -> None:
    context = page.context
    email = page.locator("#user-email").inner_text()
    user = json.loads(page.evaluate("localStorage.user"))
    add(page, "A secret plan")
    OtherClient(page, demo).expect("A secret plan")
    other_tab = context.new_page()
    other_tab.goto("/")
    expect(titles(other_tab)).to_have_text(["A secret plan"])
    assert "A secret plan" in page.evaluate(STORED)

    page.get_by_role("button", name="Sign out").click()
    for tab in (page, other_tab):
        expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
        expect(tab.get_by_text("A secret plan")).to_have_count(0)
    stored = page.evaluate(STORED)
    for readable in ("A secret plan", email, user["id"], user["name"], "eyJ"):
        assert readable not in stored
    assert page.request.get("/api/auth/token").status == 401

    sign_up(page, demo, "Bob Bell")
    expect(other_tab.get_by_role("heading", name="Today")).to_be_visible()
    for tab in (page, other_tab):
        open_list(tab, "all")
        expect(titles(tab)).to_have_count(0)
        assert "A secret plan" not in tab.content()


def test_a_sign_out_without_a_connection_ends_the_session_later(
    page: Page, demo: Demo, complaints: list[str]
) -> None:
    with failing_requests(complaints):
        page.context.set_offline(True)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.context.set_offline(False)
        assert page.request.get("/api/auth/token").status == 200
        page.reload()
        assert wait_until(lambda: page.request.get("/api/auth/token").status == 401)


def test_an_ended_session_keeps_changes_for_the_same_user_alone(
    page: Page, demo: Demo, complaints: list[str]
) -> None:
    email = page.locator("#user-email").inner_text()
    with failing_requests(complaints, "status of 401"):
        page.context.clear_cookies()
        page.reload()
        expect(page.get_by_text("Your session has ended.")).to_be_visible()
        add(page, "Still here")
        page.get_by_role("button", name="Sign in again").click()
        expect(page.get_by_text("Sign in again to save 1 change.")).to_be_visible()
        assert violations(page) == []
        sign_in(page, email, "wrong password")
        expect(page.get_by_role("alert")).to_have_text("Invalid email or password")
        sign_in(page, email)
        expect(item(page, "Still here")).to_be_visible()
    OtherClient(page, demo).expect("Still here")


def test_titles_are_text_whatever_is_in_them(page: Page, demo: Demo) -> None:
    open_list(page, "all")
    hostile = ["<img src=x onerror=alert(1)>", "W" * 200, "שלום עולם", "&amp; {{7*7}}"]
    add(page, *hostile)
    expect(titles(page)).to_have_text(hostile[::-1])
    assert titles(page).nth(1).evaluate("text => getComputedStyle(text).direction") == "rtl"
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    OtherClient(page, demo).expect(*hostile)


def violations(page: Page) -> list[str]:
    """What axe-core finds."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_view_passes_axe(scheme: Any, size: str, page: Page, complaints: list[str]) -> None:
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    for name in LISTS:
        open_list(page, name)
        assert violations(page) == [], f"{name}, empty"
    open_list(page, "today")
    for due, priority in ((day(-3), "Urgent"), (day(0), "High"), (day(2), "Low")):
        add_with_details(page, f"{priority} errand", due, priority, "home")
    item(page, "High errand").get_by_role("checkbox").click()
    delete(page, "Urgent errand")
    page.get_by_role("button", name="Undo").click()
    add(page, "To be deleted")
    delete(page, "To be deleted")
    for name in LISTS:
        open_list(page, name)
        assert violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    open_list(page, "today")
    page.get_by_role("button", name="Add with details").click()
    assert violations(page) == [], "editor"
    page.get_by_role("button", name="Cancel").click()
    with failing_requests(complaints):
        page.context.set_offline(True)
        expect(page.get_by_text("You are offline.")).to_be_visible()
        assert violations(page) == [], "offline"
        page.context.set_offline(False)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert violations(page) == [], "sign in"
    page.get_by_role("button", name="Create an account").click()
    assert violations(page) == [], "sign up"


def test_the_stills_of_the_readme_show_the_app_and_the_docs(page: Page, demo: Demo) -> None:
    """`UPDATE_STILLS=1 make browser-test` takes them again."""
    page.clock.set_fixed_time("2026-12-04T10:00:00")
    page.evaluate(
        "localStorage.user = JSON.stringify({ ...JSON.parse(localStorage.user), email: 'ada@example.com' })"
    )
    page.reload()
    for title, due, priority, tags in SCENE:
        add_with_details(page, title, due, priority, tags)
    open_list(page, "all")
    item(page, "Water the plants").get_by_role("checkbox").press("Alt+ArrowUp")
    open_list(page, "today")
    item(page, "Call Grace back").get_by_role("checkbox").click()
    expect(page.get_by_text("Completed “Call Grace back”.")).to_be_visible()
    page.mouse.move(0, 0)
    expect(page.locator("main:visible")).to_match_aria_snapshot(TODAY)
    check_still(page, "demo.png")

    page.goto(f"{demo.api}/docs")
    expect(page.get_by_role("heading", name="Tasks API")).to_be_visible()
    expect(page.locator('[data-path="/api/tasks"]').first).to_be_visible()
    check_still(page, "docs-page.png")


def check_still(page: Page, name: str) -> None:
    path = ROOT / "docs" / name
    taken = page.screenshot(animations="disabled")
    if os.environ.get("UPDATE_STILLS"):
        path.write_bytes(taken)
    still = path.read_bytes()
    assert max(len(still), len(taken)) <= 150_000
    # The header of a PNG and its width and height.
    assert still[:24] == taken[:24]


def test_the_demo_is_short_enough_to_read() -> None:
    files = [DEMO / "server.mjs", *(DEMO / "public").iterdir()]
    code = [file for file in files if file.suffix in {".html", ".css", ".js", ".mjs"}]
    assert sum(len(file.read_text("utf-8").splitlines()) for file in code) <= 1000


@pytest.mark.parametrize("ends", ["Ctrl-C", "a closed terminal", "the service", "the web app"])
def test_whatever_ends_the_demo_ends_all_of_it(ends: str, tmp_path: Path) -> None:
    port, web_port = free_port(), free_port()
    command = [sys.executable, str(DEMO / "run.py"), "--folder", str(tmp_path / "data")]
    command += ["--port", str(port), "--web-port", str(web_port)]
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    with running(process, f"http://localhost:{web_port}/api/auth/ok"):
        assert wait_until(lambda: f"The demo runs on http://localhost:{web_port}" in output.read_text())
        service, web = children(process.pid)
        if ends == "Ctrl-C":
            process.send_signal(signal.SIGINT)
        elif ends == "a closed terminal":
            process.send_signal(signal.SIGHUP)
        else:
            os.kill(service if ends == "the service" else web, signal.SIGKILL)
        killed = ends.startswith("the ")
        assert process.wait(30) == (1 if killed else 0), output.read_text()
        assert (f"{ends.capitalize()} has ended" in output.read_text()) == killed
    assert not [pid for pid in (service, web) if Path(f"/proc/{pid}").exists()]

"""`flask tasks purge` removes what lay in the trash for long, and nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text, update

from app import create_app
from app.db.models import Task
from app.db.timeouts import clear_timeouts
from app.extensions import db
from app.maintenance.purge import purge
from tests.contract.expect import API, create, rev, statements, table
from tests.people import Person


def trashed(app: Flask, user: Person, days: float) -> str:
    """A task that was deleted so many days ago."""
    task_id: str = create(API, user)["id"]
    assert user.delete(API.path(rest=f"/{task_id}")).status_code == 204
    with app.app_context(), db.engine.begin() as connection:
        this = update(Task).where(Task.user_id == user.id, Task.id == task_id)
        connection.execute(this.values(deleted_at=datetime.now(UTC) - timedelta(days=days)))
    return task_id


def trash(user: Person) -> set[str]:
    return {task["id"] for task in user.get("/api/tasks?deleted=true").get_json()}


def run(app: Flask, *options: str) -> str:
    result = app.test_cli_runner().invoke(args=["tasks", "purge", *options])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("options", "removed", "days"),
    [
        ((), 2, 30),
        (("--older-than", "10"), 3, 10),
        (("--older-than", "0"), 4, 0),
        (("--older-than", "99"), 0, 99),
    ],
)
def test_what_is_older_goes_and_all_else_stays(
    options: tuple[str, ...], removed: int, days: int, app: Flask, alice: Person, bob: Person
) -> None:
    live = create(API, alice)
    by_age = {age: trashed(app, alice, age) for age in (31, 29, 1)}
    bobs = trashed(app, bob, 40)
    restored = trashed(app, alice, 50)
    assert alice.post(f"/api/tasks/{restored}/restore").status_code == 200
    before = rev(alice), rev(bob)
    said = run(app, *options, "--dry-run")
    assert said == f"Would remove {removed} tasks deleted over {days} days ago.\n"
    assert trash(alice) == set(by_age.values())
    assert run(app, *options) == f"Removed {removed} tasks deleted over {days} days ago.\n"
    assert trash(alice) == {task_id for age, task_id in by_age.items() if age < days}
    assert trash(bob) == ({bobs} if days > 40 else set())
    assert {task["id"] for task in alice.get("/api/tasks").get_json()} == {live["id"], restored}
    assert (rev(alice), rev(bob)) == before
    assert run(app, *options) == f"Removed 0 tasks deleted over {days} days ago.\n"


def test_trash_days_is_the_default(app: Flask, environ: dict[str, str], alice: Person) -> None:
    old, new = trashed(app, alice, 8), trashed(app, alice, 6)
    other = create_app({**environ, "TRASH_DAYS": "7"})
    try:
        assert run(other) == "Removed 1 tasks deleted over 7 days ago.\n"
    finally:
        with other.app_context():
            db.engine.dispose()
    assert trash(alice) == {new} != {old}


@pytest.mark.parametrize("days", ["-1", "x", "1.5", "36501"])
def test_an_age_that_makes_no_sense_is_refused(days: str, app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["tasks", "purge", "--older-than", days])
    assert result.exit_code == 2
    assert "--older-than" in result.output


def test_a_dry_run_leaves_old_sync_tokens_good(app: Flask, alice: Person) -> None:
    create(API, alice)
    trashed(app, alice, 40)
    run(app, "--dry-run")
    assert alice.get("/api/tasks/changes?since=1").status_code == 200
    run(app)
    assert alice.get("/api/tasks/changes?since=1").status_code == 410


@table
@pytest.mark.parametrize("batch", [1, 2, 3, 5, 6, 1000])
def test_a_purge_goes_in_batches_through_all_users(
    batch: int, app: Flask, person: Callable[..., Person]
) -> None:
    people = [person(user) for user in ("alice", "Bob", "ÿ", "0", "zoë")]
    for user in people[:3]:
        for _ in range(5):
            trashed(app, user, 40)
    kept = {user.id: trashed(app, user, 1) for user in people}
    create(API, people[3])
    before = datetime.now(UTC) - timedelta(days=30)
    with app.app_context():
        assert purge(before, batch=batch, dry_run=True).tasks == 15
        with statements() as seen:
            assert purge(before, batch=batch).tasks == 15
    assert sum("DELETE" in statement for statement in seen) == 3 * -(-5 // batch)
    for user in people:
        assert trash(user) == {kept[user.id]}


def test_the_horizon_is_the_last_purged_rev_and_not_more(app: Flask, alice: Person) -> None:
    trashed(app, alice, 40)
    trashed(app, alice, 1)
    run(app)
    assert alice.get("/api/tasks/changes?since=1").status_code == 410
    body = alice.get("/api/tasks/changes?since=2").get_json()
    assert [entry["rev"] for entry in body["deleted"]] == [4]


def test_the_trash_has_a_new_tag_even_where_an_earlier_deletion_is_purged_later(
    app: Flask, alice: Person
) -> None:
    # Clocks differ: the order of times need not be that of revs.
    trashed(app, alice, 35)
    trashed(app, alice, 45)
    run(app, "--older-than", "40")
    etag = alice.get("/api/tasks?deleted=true").headers["ETag"]
    run(app)
    response = alice.get("/api/tasks?deleted=true", headers={"If-None-Match": etag})
    assert (response.status_code, response.get_json()) == (200, [])


def test_a_user_whose_row_is_locked_is_left_out_and_reported(
    app: Flask, environ: dict[str, str], alice: Person, bob: Person
) -> None:
    for user in (alice, bob):
        trashed(app, user, 40)
    hasty = create_app(environ | {"LOCK_TIMEOUT": "1", "STATEMENT_TIMEOUT": "1"})
    with hasty.app_context(), db.engine.connect() as holder:
        clear_timeouts(holder)
        holder.detach()
        if db.engine.dialect.name == "sqlite":
            # Its one lock is everybody's.
            holder.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            holder.execute(text("SELECT * FROM users WHERE id = 'alice' FOR UPDATE"))
        result = hasty.test_cli_runner().invoke(args=["tasks", "purge"])
        holder.rollback()
        db.engine.dispose()
    removed, left_out = (0, 2) if db_is_sqlite(environ) else (1, 1)
    assert result.exit_code == 1
    assert result.output == (
        f"Removed {removed} tasks deleted over 30 days ago.\n"
        f"Error: Left out {left_out} users whose rows were locked; run it again.\n"
    )
    assert run(app) == f"Removed {2 - removed} tasks deleted over 30 days ago.\n"


def db_is_sqlite(environ: dict[str, str]) -> bool:
    return environ["DATABASE_URL"].startswith("sqlite")

"""The life of a task, on every mount and on both databases."""

import pytest

from tests.mounts import MOUNTS, Mount
from tests.people import Person

each_mount = pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount.name)


@each_mount
def test_a_created_task_is_answered_whole(mount: Mount, alice: Person) -> None:
    response = alice.post(mount.path(), {"title": "  Buy milk ", mount.text_field: "2 l"})
    task = mount.task(response)
    assert response.status_code == 201
    assert response.headers["Location"] == mount.path(rest=f"/{task['id']}")
    owner = {"user_id": "alice"} if mount.shows_owner else {}
    assert task == {
        "id": task["id"],
        **owner,
        "title": "Buy milk",
        mount.text_field: "2 l",
        "completed": False,
        "rev": 1,
        "created_at": task["created_at"],
        "updated_at": task["created_at"],
    }

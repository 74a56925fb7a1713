"""The JavaScript of docs/sync.md, run by node against a live server."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from tests.contract.expect import each_mount
from tests.mounts import Mount
from tests.people import token

BLOCK = re.compile(r"^```js\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DRIVER = """
import assert from "node:assert/strict";
import { TaskCopy } from "./sync.mjs";

const [base, token] = process.argv.slice(2);
const TAG = "The task was changed meanwhile; fetch it again.";
let online = true;
const cable = (...request) => (online ? fetch(...request) : Promise.reject(new TypeError("offline")));
const phone = new TaskCopy(base, token);
const laptop = new TaskCopy(base, token, cable);
const task = (title) => ({ id: crypto.randomUUID(), title });
const titled = (client, title) => [...client.tasks.values()].find((task) => task.title === title);
const sorted = (client) => [...client.tasks.values()].sort((a, b) => a.rev - b.rev);

await phone.pull();
assert.equal(phone.tasks.size, 0);
for (const title of ["milk", "tea", "rum", "salt"]) await phone.create(task(title));
await laptop.create(task("from the laptop"));
assert.equal(laptop.tasks.size, 5);
await phone.pull();
assert.deepEqual(sorted(phone), sorted(laptop));

online = false;
await assert.rejects(laptop.pull(), /offline/);
await assert.rejects(laptop.create(task("never sent")), /offline/);
await phone.update(titled(phone, "milk").id, { title: "oat milk" });
await phone.remove(titled(phone, "tea").id);
await phone.update(titled(phone, "rum").id, { completed: true });
// The response to a create is lost: its caller tries again, and the task is there once.
let lost = 1;
const unlucky = new TaskCopy(base, token, async (...request) => {
  const answer = await fetch(...request);
  if (request[1].method === "POST" && lost-- > 0) throw new TypeError("lost");
  return answer;
});
const kept = task("made meanwhile");
await assert.rejects(unlucky.create(kept), /lost/);
await unlucky.create(kept);
await phone.pull();
assert.equal([...phone.tasks.values()].filter(({ title }) => title === "made meanwhile").length, 1);
assert.ok(titled(laptop, "tea"));

online = true;
const stale = titled(laptop, "milk");
await assert.rejects(laptop.update(stale.id, { title: "cow's milk" }), { message: TAG });
assert.equal(laptop.tasks.get(stale.id).title, "oat milk");
await laptop.update(stale.id, { title: "cow's milk" });
const old = titled(phone, "oat milk");
await assert.rejects(phone.remove(old.id), { message: TAG });
assert.equal(phone.tasks.get(old.id).title, "cow's milk");
await laptop.remove(titled(laptop, "salt").id);
await phone.pull();
await laptop.pull();
assert.deepEqual(sorted(phone), sorted(laptop));

// A slow answer under way, and another pull meanwhile: the copy still ends as the server's.
let slow = (answer) => answer;
const tablet = new TaskCopy(base, token, async (...request) => slow(await fetch(...request)));
await phone.create(task("soon gone"));
let arrived, release;
const arrival = new Promise((resolve) => (arrived = resolve));
const held = new Promise((resolve) => (release = resolve));
slow = async (answer) => {
  slow = (next) => next;
  arrived();
  await held;
  return answer;
};
const first = tablet.pull();
await arrival;
await phone.remove(titled(phone, "soon gone").id);
const second = tablet.pull();
await Promise.race([second, new Promise((resolve) => setImmediate(resolve))]);
release();
await Promise.all([first, second]);
await phone.pull();
await laptop.pull();
assert.deepEqual(sorted(tablet), sorted(phone));

const late = new TaskCopy(base, token);
await late.pull();
assert.deepEqual(sorted(late), sorted(phone));
process.stdout.write(JSON.stringify(sorted(laptop)));
"""


def node() -> str:
    """Where node is; a machine of the CI has to have it."""
    found = shutil.which("node")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("node is not on this machine")
        pytest.skip("node is not on this machine")
    return found


@each_mount
def test_two_frontends_end_with_the_servers_tasks(
    mount: Mount, address: str, secret: str, root: Path, tmp_path: Path
) -> None:
    blocks = BLOCK.findall((root / "docs/sync.md").read_text(encoding="utf-8"))
    assert len(blocks) == 1
    (tmp_path / "sync.mjs").write_text(blocks[0], encoding="utf-8")
    (tmp_path / "driver.mjs").write_text(DRIVER, encoding="utf-8")
    alice = token(secret, "alice")
    command = [node(), "driver.mjs", address + mount.path(), alice]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    headers = {"Authorization": f"Bearer {alice}"}
    body = requests.get(address + mount.path(), headers=headers, timeout=30).json()
    tasks = body["tasks"] if mount.enveloped else body
    assert json.loads(done.stdout) == sorted(tasks, key=lambda task: int(task["rev"]))
    titles = sorted(task["title"] for task in tasks)
    assert titles == ["cow's milk", "from the laptop", "made meanwhile", "rum"]

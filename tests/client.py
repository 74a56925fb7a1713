"""`make client`: the packages in clients/ and the examples of their documentation, against a live server."""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import requests

from tests.live import ROOT, gunicorn, migrate
from tests.people import token
from tests.polling import wait_until

PACKAGE = ROOT / "clients/typescript"
PYTHON_CLIENT = ROOT / "clients/generated/tasks-api-client"
# How long the service is stopped while a program adds tasks.
OUTAGE = float(os.environ.get("OUTAGE", "3"))
# What the examples use and do not define.
AROUND_EXAMPLES = """
declare const session: { token(options: { forceRefresh: boolean }): Promise<string> };
declare const sync: import("tasks-api-client").TaskSync;
declare module "react" {
  export function useSyncExternalStore<T>(subscribe: (listener: () => void) => () => void, get: () => T): T;
}
"""


def main() -> None:
    """Run the tests and the examples; the first that fails ends it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Else the server would outlive this.
    with TemporaryDirectory() as folder:
        secret = secrets.token_hex(32)
        settings = {
            "DATABASE_URL": f"sqlite:///{folder}/tasks.db",
            "BETTER_AUTH_SECRET": secret,
            "LOG_LEVEL": "WARNING",
        }
        migrate(settings)
        alice = token(secret, "alice", email="alice@example.com")
        with gunicorn(settings) as (address, _):
            env = {**os.environ, "TASKS_API": address, "BETTER_AUTH_SECRET": secret}
            run("npm", "run", "--silent", "test", env=env)
            run("node", "generated/life-of-a-task.js", address, alice)
            python_examples(Path(folder), address, alice)
        project = install(Path(folder, "project"))
        compile_examples(project)
        offline(project, settings, token(secret, "bob"))


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    found: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return found


def python_examples(folder: Path, address: str, token: str) -> None:
    """The Python of docs/clients.md."""
    example = folder / "example.py"
    example.write_text("\n".join(blocks(ROOT / "docs/clients.md", "python")), "utf-8")
    uv = str(Path(sys.executable).with_name("uv"))
    python = [uv, "run", "--quiet", "--no-project", "--python", sys.executable, "--with", str(PYTHON_CLIENT)]
    printed = run(*python, "python", str(example), address, token)
    one, both = (
        "/title must not be empty.\n['Buy milk']\n",
        "[201, 201]\n[200, 200]\n['Buy milk', 'Buy rum', 'Buy tea']\n",
    )
    if not printed.endswith(one + both):
        sys.exit("The Python client did not print what it should.")


def install(folder: Path) -> Path:
    """A project with the file that `npm pack` made."""
    folder.mkdir()
    (package,) = PACKAGE.glob("*.tgz")
    (folder / "package.json").write_text('{"type": "module"}', "utf-8")
    run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefer-offline", str(package), cwd=folder)
    return folder


def compile_examples(folder: Path) -> None:
    """The TypeScript of the package's README, with the types that a project gets."""
    pages = blocks(PACKAGE / "README.md", "tsx?")
    (folder / "examples.ts").write_text("\n".join(pages), "utf-8")
    (folder / "around.d.ts").write_text(AROUND_EXAMPLES, "utf-8")
    options = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"]
    run(str(PACKAGE / "node_modules/.bin/tsc"), *options, "examples.ts", "around.d.ts", cwd=folder)


def offline(folder: Path, settings: dict[str, str], token: str) -> None:
    """Stop the service while the program of the package's README runs."""
    (program,) = blocks(PACKAGE / "README.md", "js")
    (folder / "tasks.js").write_text(program, "utf-8")
    log = folder / "log"
    with gunicorn(settings) as (address, _):
        with log.open("wb") as output:
            command = ["node", "tasks.js", address, "bob", token]
            node = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=output, stderr=output)
        type_line(node, "before")
        expect(log, "online 1 tasks, 0 to send")
    for number in range(1, 4):
        type_line(node, f"during {number}")
    expect(log, "offline 4 tasks, 3 to send")
    time.sleep(OUTAGE)
    type_line(node, "after")
    with gunicorn(settings, port=urlsplit(address).port or 0) as (address, _):
        assert node.stdin
        node.stdin.close()
        if node.wait(120):
            sys.exit(
                f"The program of the package's README ended with {node.returncode}:\n{log.read_text('utf-8')}"
            )
        headers = {"Authorization": f"Bearer {token}"}
        tasks = requests.get(f"{address}/api/tasks", headers=headers, timeout=30).json()
    titles = sorted(task["title"] for task in tasks)
    sys.stdout.write(f"after an outage: {titles}\n")
    if titles != ["after", "before", "during 1", "during 2", "during 3"]:
        sys.exit("A task was lost or created twice.")


def type_line(node: "subprocess.Popen[bytes]", line: str) -> None:
    assert node.stdin
    node.stdin.write(f"{line}\n".encode())
    node.stdin.flush()


def expect(log: Path, line: str) -> None:
    """Wait until a program has printed a line."""
    if not wait_until(lambda: line in log.read_text("utf-8"), 60):
        sys.exit(f"Did not print {line!r}:\n{log.read_text('utf-8')}")


def run(*command: str, cwd: Path = PACKAGE, env: dict[str, str] | None = None) -> str:
    """Show what a command prints, and return it; end with its status where it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, text=True, timeout=600)
    sys.stdout.write(done.stdout)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


if __name__ == "__main__":
    main()

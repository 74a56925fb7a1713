"""`make client`: what docs/clients.md tells, done with the clients it made, against a live server."""

import re
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.live import ROOT, environment, gunicorn

CLIENTS = ROOT / "clients"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def main() -> None:
    """Run both examples; the first that fails ends it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Else the server would outlive this.
    with TemporaryDirectory() as folder:
        settings = {
            "DATABASE_URL": f"sqlite:///{folder}/tasks.db",
            "BETTER_AUTH_SECRET": secrets.token_hex(32),
            "LOG_LEVEL": "WARNING",
        }
        flask(settings, "db", "upgrade")
        token = flask(settings, "token", "--user", "alice", "--email", "alice@example.com").strip()
        (block,) = BLOCK.findall((ROOT / "docs/clients.md").read_text("utf-8"))
        example = Path(folder, "example.py")
        example.write_text(block, "utf-8")
        uv = str(Path(sys.executable).with_name("uv"))
        python = [uv, "run", "--quiet", "--no-project", "--python", sys.executable]
        python += ["--with", "generated/tasks-api-client", "python", str(example)]
        with gunicorn(settings) as (address, _):
            run("node", "typescript/generated/life-of-a-task.js", address, token)
            printed = run(*python, address, token)
        if not printed.endswith("/title must not be empty.\n['Buy milk']\n"):
            sys.exit("The Python client did not print what it should.")


def flask(settings: dict[str, str], *command: str) -> str:
    """What a command of flask prints."""
    flask = [sys.executable, "-m", "flask", *command]
    done = subprocess.run(
        flask, cwd=ROOT, env=environment(settings), check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def run(*command: str) -> str:
    """Show what an example prints, and tell it; end with its status where it fails."""
    done = subprocess.run(command, cwd=CLIENTS, stdout=subprocess.PIPE, text=True, timeout=120)
    sys.stdout.write(done.stdout)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


if __name__ == "__main__":
    main()

"""The README's session, run line by line against a live server: its answers are what the reader will see."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.live import environment, free_port, gunicorn

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CHANGING = re.compile(r'"(created_at|updated_at|request_id)":"[^"]+"')


def sessions(path: Path) -> list[tuple[str, str]]:
    """Each command of a page's console blocks, with the answer printed below it."""
    blocks = re.findall(r"^```console\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    steps = re.split(r"^\$ ", "".join(blocks), flags=re.MULTILINE)[1:]
    return [(command, answer) for command, _, answer in (step.partition("\n") for step in steps)]


def transcript(commands: list[str], env: dict[str, str], cwd: Path) -> list[str]:
    """What each command prints, all run in one shell."""
    script = "shopt -s expand_aliases\n" + "".join(f"{command}\nprintf '\\n\\036'\n" for command in commands)
    done = subprocess.run(["bash", "-c", script], env=env, cwd=cwd, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split("\n\036")[:-1]

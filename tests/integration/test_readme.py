"""The README's session, run line by line against a live server: its answers are what the reader will see."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.live import environment, gunicorn

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
END = "--- end of answer ---"
CHANGING = re.compile(r'"(created_at|updated_at|request_id)":"[^"]+"')


def sessions(path: Path) -> list[tuple[str, str]]:
    """Each command of a page's console blocks, with the answer printed below it."""
    blocks = re.findall(r"^```console\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    steps = re.split(r"^\$ ", "".join(blocks), flags=re.MULTILINE)[1:]
    return [(command, answer) for command, _, answer in (step.partition("\n") for step in steps)]


class Shell:
    """One shell, so that a variable that a command sets is there for the next."""

    def __init__(self, env: dict[str, str], cwd: Path) -> None:
        pipe = subprocess.PIPE
        self._bash = subprocess.Popen(
            ["bash"], stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, env=env, cwd=cwd, text=True
        )
        self.run("shopt -s expand_aliases")

    def run(self, command: str) -> str:
        """What `command` prints."""
        assert self._bash.stdin
        assert self._bash.stdout
        self._bash.stdin.write(f"{command}\necho; echo {END}\n")
        self._bash.stdin.flush()
        lines = list(iter(self._bash.stdout.readline, f"{END}\n"))
        return "".join(lines).removesuffix("\n").removesuffix("\n")

    def close(self) -> None:
        """End the shell."""
        self._bash.communicate(timeout=10)


@pytest.fixture
def shell(root: Path, environ: dict[str, str], app: Flask) -> Iterator[Shell]:
    """A shell in the project's folder."""
    shell = Shell(environment(environ), root)
    yield shell
    shell.close()


def test_the_readmes_session_answers_as_printed(shell: Shell, environ: dict[str, str], root: Path) -> None:
    steps = sessions(root / "README.md")
    assert len(steps) > 10
    ids: dict[str, str] = {}
    with gunicorn(environ) as (address, _):
        for command, printed in steps:
            for theirs, ours in ids.items():
                command = command.replace(theirs, ours)
            command = command.replace("http://127.0.0.1:8000", address)
            answer = shell.run(command.replace(".venv/bin", str(Path(sys.executable).parent)))
            ids |= dict(zip(UUID.findall(printed), UUID.findall(answer), strict=False))
            assert comparable(answer) == comparable(printed), command


def comparable(answer: str) -> str:
    """An answer without what differs from run to run."""
    return CHANGING.sub(r'"\1":"…"', UUID.sub("…", answer)).strip()

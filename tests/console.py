"""A page's console sessions, run against a live server: their answers are what the reader will see."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from tests.live import ROOT, environment, free_port, gunicorn

# The address that the pages name, and that of a server which a page starts itself.
ADDRESS = "http://127.0.0.1:8000"
SECOND = "127.0.0.1:8001"
END = "--- end of answer ---"
# What differs from run to run: ids, times, request ids, tags of lists, and cursors.
VARYING = re.compile(
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
    r'|(?<=")(?:[0-9a-f]{32}|[0-9a-f]{24})(?=")'
    r'|(?<=cursor=)[\w-]+|(?<="next_cursor":")[\w-]+'
)


class Step(NamedTuple):
    """A command of a page, and the answer printed below it."""

    command: str
    answer: str


class Request(NamedTuple):
    """What a command sent."""

    method: str
    path: str


def sessions(page: Path) -> list[Step]:
    """Each command of a page's console blocks, in their order."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    steps = re.split(r"^\$ ", "".join(blocks), flags=re.MULTILINE)[1:]
    return [Step(command, answer.strip()) for command, _, answer in (step.partition("\n") for step in steps)]


def replay(page: Path, settings: Mapping[str, str]) -> list[Request]:
    """Run a page's sessions against a server over `settings`, and return what they asked of it.

    Fails at an answer that is not the printed one. What varies may be another, but the same wherever the page
    has the same, and a command may send what an answer held.
    """
    requests: list[Request] = []
    ours: dict[str, str] = {}
    second = f"127.0.0.1:{free_port()}"
    with gunicorn(settings) as (address, _), Shell(environment(settings)) as shell:
        for command, printed in sessions(page):
            sent = translated(command, ours).replace(ADDRESS, address).replace(SECOND, second)
            answer = shell.run(sent.replace(".venv/bin", str(Path(sys.executable).parent))).strip()
            for theirs, our in zip(VARYING.findall(printed), VARYING.findall(answer), strict=False):
                ours.setdefault(theirs, our)
            assert answer == translated(printed, ours), command
            assert len(set(ours.values())) == len(ours), f"two for one: {command}"
            requests += shell.requests()
    return requests


def translated(text: str, ours: Mapping[str, str]) -> str:
    """The page's text, with this run's ids, times, tags and cursors."""
    return VARYING.sub(lambda match: ours.get(match[0], match[0]), text)


class Shell:
    """One shell in the project's folder, so that a variable that a command sets is there for the next."""

    def __init__(self, env: dict[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._trace = Path(self._folder.name) / "trace"
        (Path(self._folder.name) / ".curlrc").write_text(f'verbose\nstderr = "{self._trace}"\n')
        pipe = subprocess.PIPE
        self._bash = subprocess.Popen(
            ["bash"],
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            env=env | {"CURL_HOME": self._folder.name},
            cwd=ROOT,
            text=True,
        )
        self.run("shopt -s expand_aliases")

    def run(self, command: str) -> str:
        """What `command` prints."""
        assert self._bash.stdin
        assert self._bash.stdout
        self._bash.stdin.write(f"{command}\necho; echo {END}\n")
        self._bash.stdin.flush()
        return "".join(iter(self._bash.stdout.readline, f"{END}\n"))

    def requests(self) -> list[Request]:
        """What curl sent since the last call: one command's requests."""
        trace = self._trace.read_text(encoding="latin-1") if self._trace.exists() else ""
        self._trace.unlink(missing_ok=True)
        return [Request(*found) for found in re.findall(r"^> (\w+) (/\S*) HTTP/", trace, re.MULTILINE)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.run("kill $(jobs -p) 2>/dev/null; wait")
        self._bash.communicate(timeout=10)
        self._folder.cleanup()

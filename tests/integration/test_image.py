"""The image's entry point, in a folder of its own and as a user who is not root."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
import pytest
import requests
from dotenv import dotenv_values

from tests.image import build, instructions
from tests.live import free_port
from tests.people import token
from tests.polling import wait_until
from tests.postgres import scratch_database

NOBODY = 65534
# subprocess's arguments for an unprivileged user.
UNPRIVILEGED: dict[str, Any] = (
    {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
)
PACKAGES = {"PYTHONPATH": sysconfig.get_path("purelib"), "PYTHONDONTWRITEBYTECODE": "1"}
LINK = re.compile(r"^http://127\.0\.0\.1:\d+/docs#token=([\w.-]+)$", re.MULTILINE)


class Image(NamedTuple):
    """The image's files, its volume, and the folder of its programs."""

    files: Path
    data: Path
    programs: Path


class Container(NamedTuple):
    """A started entry point."""

    address: str
    output: Path
    process: "subprocess.Popen[bytes]"

    @property
    def printed(self) -> str:
        return self.output.read_text()

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.address}/health", timeout=5).ok
        except requests.RequestException:
            return False

    def tasks(self, bearer: str) -> int:
        """The status of a list of tasks."""
        headers = {"Authorization": f"Bearer {bearer}"}
        return requests.get(f"{self.address}/api/tasks", headers=headers, timeout=30).status_code


def interpreter() -> str:
    """A Python that the unprivileged user may run: that of the tests may lie in root's home."""
    for python in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin")):
        check = [str(python), "-c", "import flask, orjson, psycopg2"]
        try:
            if python and not subprocess.run(check, env=PACKAGES, stderr=-3, **UNPRIVILEGED).returncode:
                return python
        except PermissionError:
            continue
    pytest.skip("no Python here that another user may run")


@pytest.fixture
def image(root: Path) -> Iterator[Image]:
    if shutil.which("flock") is None:
        pytest.skip("flock is not on this machine")
    # Not in tmp_path, whose parents are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="tasks-image-"))
    image = Image(folder / "srv", folder / "data", folder / "bin")
    image.data.mkdir(0o700)
    build(root, image.files, image.data)
    image.programs.mkdir()
    python = interpreter()
    for name, arguments in (("python", ""), ("flask", "-m flask"), ("gunicorn", "-m gunicorn")):
        program = image.programs / name
        program.write_text(f'#!/bin/sh\nexec {python} {arguments} "$@"\n')
        program.chmod(0o755)
    folder.chmod(0o755)
    if UNPRIVILEGED:
        os.chown(image.data, NOBODY, NOBODY)
    yield image
    shutil.rmtree(folder)


@contextmanager
def run(image: Image, settings: dict[str, str], *command: str) -> Iterator[Container]:
    """Start the image; it has ended at the end."""
    (entrypoint,) = instructions(Path(__file__).parents[2], "ENTRYPOINT")
    (usual,) = instructions(Path(__file__).parents[2], "CMD")
    port = free_port()
    env = {"PATH": f"{image.programs}:/usr/bin:/bin", "FLASK_APP": "wsgi.py", **PACKAGES, **settings}
    env |= {"HOST": "127.0.0.1", "PORT": str(port), "WEB_CONCURRENCY": "1"}
    with tempfile.NamedTemporaryFile() as output:
        process = subprocess.Popen(
            [*json.loads(entrypoint), *(command or json.loads(usual))],
            cwd=image.files,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            **UNPRIVILEGED,
        )
        container = Container(f"http://127.0.0.1:{port}", Path(output.name), process)
        try:
            if not command:
                assert wait_until(lambda: process.poll() is not None or container.answers(), 60)
                assert process.poll() is None, container.printed
            yield container
        finally:
            process.terminate()
            process.wait(60)


def test_containers_without_settings_share_a_secret_migrate_once_and_print_a_request_that_works(
    image: Image,
) -> None:
    file = image.data / ".env"
    with run(image, {}, "gunicorn", "wsgi:app") as first, run(image, {}) as second:
        assert wait_until(first.answers, 60), first.printed
        settings = dotenv_values(file)
        for container in (first, second):
            (bearer,) = LINK.findall(container.printed)
            assert f"curl -i {container.address}/api/tasks" in container.printed
            assert [first.tasks(bearer), second.tasks(bearer)] == [200, 200]
            assert str(settings["BETTER_AUTH_SECRET"]) not in container.printed
        assert (first.printed + second.printed).count("Running upgrade  -> 0001") == 1
        assert requests.get(f"{second.address}/ready", timeout=30).json() == {"status": "ready"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert "http://localhost:5173" in str(settings["CORS_ORIGINS"])
    with run(image, {}, "true") as again:
        assert again.process.wait(60) == 0
        assert dotenv_values(file) == settings
        assert "Running upgrade" not in again.printed
    with run(image, {}, "flask", "token", "--user", "bob") as command:
        assert command.process.wait(60) == 0
        assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", command.printed)
    assert (image.data / "tasks.db").is_file()


def test_a_start_with_a_secret_prints_no_token_and_stores_nothing(image: Image, secret: str) -> None:
    with run(image, {"BETTER_AUTH_SECRET": secret}) as container:
        assert container.tasks(token(secret, "alice")) == 200
        assert "eyJ" not in container.printed
    assert not (image.data / ".env").exists()


def test_a_secret_of_an_earlier_start_does_not_stand_beside_a_key_set(image: Image, secret: str) -> None:
    bearer = token(secret, "alice")
    (image.data / ".env").write_text(f"BETTER_AUTH_SECRET={secret}\n")
    with run(image, {"BETTER_AUTH_URL": "http://127.0.0.1:9"}) as container:
        assert container.tasks(bearer) == 401


def test_postgresql_is_migrated_when_it_is_asked_for(image: Image, secret: str, postgres_url: str) -> None:
    with scratch_database(postgres_url) as url:
        settings = {"BETTER_AUTH_SECRET": secret, "DATABASE_URL": url}
        with run(image, settings, "true") as container:
            assert container.process.wait(60) == 0
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('tasks')")
            assert cursor.fetchone() == (None,)
        with run(image, settings | {"MIGRATE": "1"}) as container:
            assert container.tasks(token(secret, "alice")) == 200
    assert list(image.data.iterdir()) == []

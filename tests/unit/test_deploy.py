"""Dockerfile, compose.yaml and deploy/: what can be told of them without an engine."""

import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from app.config import Settings
from app.limits import MAX_BATCH_BODY, MAX_BODY
from tests.image import build, instructions
from tests.live import environment

NEEDED = (
    *("requirements-granian.txt", "pyproject.toml", "wsgi.py", "gunicorn.conf.py", "gunicorn_worker.py"),
    *("deploy/serve.py", "deploy/granian_server.py", "deploy/entrypoint.sh", "deploy/new_env.py"),
    *("docs/api.md", "app", "migrations"),
)
KEPT_OUT = [
    *(".env", ".env.example", ".git/config", ".venv/bin/python", "instance/tasks.db"),
    *("app/.env", "app/.env.local", "app/tasks.db", "app/__pycache__/config.cpython-313.pyc"),
    *("tests/conftest.py", "docs/clients.md", "clients/typescript/package.json", "id_rsa", "new.pem"),
]
# What the image is asked, in a folder that holds what the image holds.
PROBE = """
from flask_migrate import upgrade
from app import create_app

app = create_app()
with app.app_context():
    upgrade()
client = app.test_client()
for path in ("/ready", "/openapi.json", "/docs", "/docs/docs.css", "/docs/docs.js", "/docs/api.md"):
    assert client.get(path).status_code == 200, path
"""


def docker_pattern(pattern: str) -> re.Pattern[str]:
    """A line of .dockerignore, for a path or a folder above it."""
    parts = re.split(r"(\*\*/|\*)", pattern)
    wild = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return re.compile("".join(wild.get(part, re.escape(part)) for part in parts))


def is_let_in(path: str, root: Path) -> bool:
    """Whether .dockerignore lets a file into the image's context; the last line that fits decides."""
    candidates = [path, *map(str, PurePosixPath(path).parents)]
    let_in = True
    for line in (root / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = docker_pattern(line.removeprefix("!"))
            if any(pattern.fullmatch(candidate) for candidate in candidates):
                let_in = line.startswith("!")
    return let_in


def needed_files(root: Path) -> list[str]:
    """What the application reads, by path."""
    found = [file for name in NEEDED for file in [root / name, *(root / name).rglob("*")] if file.is_file()]
    return [str(file.relative_to(root)) for file in found if "__pycache__" not in file.parts]


def number(root: Path, file: str, pattern: str) -> int:
    found = re.search(pattern, (root / file).read_text(), re.MULTILINE)
    assert found, f"{file}: {pattern}"
    return int(found[1].replace("_", ""))


def test_the_context_of_the_image_holds_all_that_is_needed(root: Path) -> None:
    needed = needed_files(root)
    assert len(needed) > 30
    assert [path for path in needed if not is_let_in(path, root)] == []


@pytest.mark.parametrize("path", KEPT_OUT)
def test_the_context_of_the_image_holds_nothing_else(root: Path, path: str) -> None:
    assert not is_let_in(path, root)


def test_what_the_dockerfile_copies_is_enough_to_serve(root: Path, secret: str, tmp_path: Path) -> None:
    image, data = tmp_path / "image", tmp_path / "data"
    data.mkdir()
    build(root, image, data)
    settings = {"BETTER_AUTH_SECRET": secret, "DATABASE_URL": f"sqlite:///{tmp_path}/tasks.db"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=image,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_image_runs_as_a_user_who_is_not_root(root: Path) -> None:
    users = instructions(root, "USER")
    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def test_the_image_holds_no_secret(root: Path) -> None:
    assert instructions(root, "ARG") == []
    values = " ".join(instructions(root, "ENV"))
    assert re.findall(r"\w*(?:SECRET|PASSWORD|TOKEN|KEY|DATABASE_URL)\w*", values) == []
    assert [line for line in instructions(root, "COPY") if ".env" in line or " . " in f" {line} "] == []


def test_no_password_stands_in_the_deploy_files(root: Path) -> None:
    for file in ("compose.yaml", "deploy/tasks.service", "deploy/nginx.conf"):
        text = (root / file).read_text()
        given = re.findall(r"^ *\w*(?:SECRET|PASSWORD)\w*[:=] *(.*)$", text, re.MULTILINE)
        assert [value for value in given if not value.startswith("${")] == []
        assert not re.search(r"://\w+:\w+@", text)


def test_the_time_limits_of_proxy_and_server_fit_together(root: Path) -> None:
    nginx, gunicorn = "deploy/nginx.conf", "gunicorn.conf.py"
    # The proxy closes an idle connection first.
    upstream = number(root, nginx, r"keepalive 32;[^}]*keepalive_timeout (\d+)s")
    assert upstream < number(root, gunicorn, r"^keepalive = (\d+)")
    graceful = number(root, gunicorn, r"^graceful_timeout = (\d+)")
    assert graceful < number(root, "compose.yaml", r"server answers.*\n +stop_grace_period: (\d+)s")
    assert graceful < number(root, "deploy/tasks.service", r"^TimeoutStopSec=(\d+)")


def test_the_sizes_of_proxy_and_server_fit_together(root: Path) -> None:
    nginx, gunicorn = "deploy/nginx.conf", "gunicorn.conf.py"
    assert number(root, nginx, r"client_max_body_size (\d+)k") * 1024 > MAX_BODY
    batch = number(root, nginx, r"tasks/batch[^}]*client_max_body_size (\d+)k") * 1024
    assert batch > MAX_BATCH_BODY
    response = number(root, nginx, r"proxy_max_temp_file_size (\d+)m") + batch / MAX_BATCH_BODY
    spooled = number(root, nginx, r"limit_conn large_responses (\d+)") * response
    assert spooled < number(root, "compose.yaml", r"/var/cache/nginx:size=(\d+)m")
    headers = number(root, nginx, r"large_client_header_buffers \d+ (\d+)k") * 1024
    assert headers == number(root, gunicorn, r"^limit_request_field_size = ([\d_]+)")


def services(root: Path, file: str) -> Any:
    return yaml.safe_load((root / file).read_text())["services"]


def test_compose_passes_every_setting_through(root: Path) -> None:
    names = re.findall(r"^#? ?([A-Z_]+)=", (root / ".env.example").read_text(), re.MULTILINE)
    assert len(names) > 25
    fixed = {"DATABASE_URL", "HOST", "PORT", "FORWARDED_ALLOW_IPS"}
    for service in ("app", "migrate"):
        given = services(root, "compose.yaml")[service]["environment"]
        assert sorted(given) == sorted([*names, "PGPASSWORD"])
        passed = {name for name in names if str(given[name]).startswith(f"${{{name}:-")}
        assert passed == set(names) - fixed


def test_compose_dev_mounts_the_code_of_the_image_and_publishes_on_loopback_alone(root: Path) -> None:
    dev = services(root, "deploy/compose.dev.yaml")
    copied = " ".join(instructions(root, "COPY")).split()
    for mount in dev["app"]["volumes"]:
        source, target, mode = mount.removeprefix("./").split(":")
        assert source in copied
        assert (target, mode) == (f"/srv/tasks/{source}", "ro")
    assert "--reload" in dev["app"]["command"]
    assert all(port.startswith("127.0.0.1:") for port in dev["db"]["ports"])


@pytest.mark.parametrize("key_set", ["", "http://localhost:3000"], ids=["shared secret", "key set"])
def test_make_run_creates_an_env_file_for_frontends_of_this_machine(
    root: Path, tmp_path: Path, key_set: str
) -> None:
    env = environment({"BETTER_AUTH_URL": key_set})
    (tmp_path / "deploy").mkdir()
    for file in ("Makefile", "deploy/new_env.py"):
        shutil.copy(root / file, tmp_path / file)
    command = ["make", ".env"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30)
    assert "CORS_ORIGINS" in done.stdout, done.stderr
    env_file = tmp_path / ".env"
    assert env_file.stat().st_mode & 0o777 == 0o600
    settings = Settings.load({**dotenv_values(env_file), "BETTER_AUTH_URL": key_set})  # type: ignore[dict-item]
    assert settings.cors_origins == tuple(
        f"http://{host}:{port}" for host in ("localhost", "127.0.0.1") for port in (3000, 5173, 8080)
    )
    assert bool(settings.secret) != bool(key_set)
    assert settings.secret not in done.stdout or not settings.secret

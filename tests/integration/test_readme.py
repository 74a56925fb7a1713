"""The README's sessions, run against a live server."""

from pathlib import Path

import pytest
from flask import Flask

from tests.console import replay


@pytest.mark.one_database
def test_the_readmes_sessions_answer_as_printed(app: Flask, environ: dict[str, str], root: Path) -> None:
    paths = [request.path for request in replay(root / "README.md", environ)]
    assert paths[0] == "/api/tasks"
    mounts = ("/api/tasks", "/api/alice/tasks", "/v1/tasks")
    assert [mount for mount in mounts if not any(path.startswith(mount) for path in paths)] == []


def test_the_readme_is_short(root: Path) -> None:
    assert len((root / "README.md").read_text(encoding="utf-8").splitlines()) <= 180

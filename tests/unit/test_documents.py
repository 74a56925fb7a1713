"""What the documents name is there."""

import re
from pathlib import Path

import pytest

from app.config import LOG_LEVELS

# Those of Python, Flask, libpq, PostgreSQL's image and gunicorn.
OTHERS = {
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "PATH",
    "FLASK_APP",
    "PGPASSWORD",
    "POSTGRES_PASSWORD",
}


def test_every_test_that_security_md_names_exists(root: Path) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (root / "SECURITY.md").read_text())
    assert len(named) > 40
    missing = [
        f"{file}::{function}"
        for file, function in named
        if not re.search(rf"^ *def {function}\(", (root / "tests" / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


@pytest.fixture
def settings(root: Path) -> set[str]:
    """The names of all settings."""
    code = (root / "app" / "config.py").read_text()
    names = set(re.findall(r'"([A-Z][A-Z_]+)"', code)) - set(LOG_LEVELS)
    assert len(names) > 20
    return names


def test_env_example_has_every_setting_and_no_other(root: Path, settings: set[str]) -> None:
    text = (root / ".env.example").read_text()
    assert set(re.findall(r"^#? ?([A-Z_]+)=", text, re.MULTILINE)) == settings


def test_the_readmes_table_has_every_setting_and_no_other(root: Path, settings: set[str]) -> None:
    rows = re.findall(r"^\| (`[A-Z].*?) \|", (root / "README.md").read_text(), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)} == settings


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("compose.yaml", r"^ {4}([A-Z_]+): "),
        ("deploy/tasks.service", r"\b([A-Z_]+)="),
        ("Dockerfile", r"\b([A-Z_]+)="),
        ("docs/operations.md", r"`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`|\b([A-Z]+(?:_[A-Z]+)+)="),
    ],
)
def test_what_is_set_elsewhere_is_a_setting(root: Path, settings: set[str], file: str, pattern: str) -> None:
    found = re.findall(pattern, (root / file).read_text(), re.MULTILINE)
    names = {name for match in found for name in ([match] if isinstance(match, str) else match) if name}
    assert names - OTHERS <= settings
    assert names

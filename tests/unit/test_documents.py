"""What the documents name is there."""

import re
from pathlib import Path


def test_every_test_that_security_md_names_exists(root: Path) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (root / "SECURITY.md").read_text())
    assert len(named) > 40
    missing = [
        f"{file}::{function}"
        for file, function in named
        if not re.search(rf"^ *def {function}\(", (root / "tests" / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_every_setting_of_env_example_is_read(root: Path) -> None:
    names = re.findall(r"^#? ?([A-Z_]+)=", (root / ".env.example").read_text(), re.MULTILINE)
    code = (root / "app" / "config.py").read_text()
    assert len(names) > 10
    assert [name for name in names if f'"{name}"' not in code] == []

"""The README's session: its answers are what the reader will see."""

from pathlib import Path

from flask import Flask

from tests.console import replay


def test_the_readmes_session_answers_as_printed(app: Flask, environ: dict[str, str], root: Path) -> None:
    assert len(replay(root / "README.md", environ)) >= 10

"""SQLite on a disk that fills up: reads go on, writes are refused, nothing is harmed."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.drills.conftest import Service
from tests.drills.drill import drill
from tests.live import migrate


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a disk that can be filled")
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", f"{path}"]
    if (done := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 512):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def test_the_disk_under_sqlite_is_full(disk: Path, service: Service, port: int, secret: str) -> None:
    url = f"sqlite:///{disk}/tasks.db"
    migrate({"DATABASE_URL": url, "BETTER_AUTH_SECRET": secret})
    with (
        service(url),
        drill("a full disk under SQLite", port, secret, url, unavailable=lambda answer: answer.wrote) as load,
    ):
        fill(disk / "filler")
        load.until(lambda: load.unserved(5), 10)
        load.until(load.served(100), 10)
        (disk / "filler").unlink()
        load.fault_over()
    with closing(sqlite3.connect(disk / "tasks.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

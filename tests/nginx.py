"""nginx with deploy/nginx.conf, for the tests that need one."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.live import ROOT
from tests.polling import wait_until

# Debian has it where only root looks.
BINARY = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
needs_nginx = pytest.mark.skipif(BINARY is None, reason="needs nginx: apt-get install nginx")
START_TIMEOUT_S = 10


def command(folder: Path, port: int, app_port: int) -> list[str]:
    """Write the file anew for a folder and ports of the test's own, and return what starts nginx with it."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    for theirs, ours in {
        r"^pid \S+;": f"pid {folder}/pid;",
        r"/var/log/nginx/": f"{folder}/",
        r"\bapp:8000\b": f"127.0.0.1:{app_port}",
        r"^( +)listen 8080 ": rf"\1listen 127.0.0.1:{port} ",
        r"^http \{\n": f"http {{\n{folders}",
    }.items():
        text, count = re.subn(theirs, ours, text, flags=re.MULTILINE)
        assert count, theirs
    # Another user's processes could not enter the folder.
    (folder / "nginx.conf").write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    assert BINARY
    return [BINARY, "-e", f"{folder}/error.log", "-p", f"{folder}", "-c", f"{folder}/nginx.conf"]


@contextmanager
def nginx(port: int, app_port: int) -> Iterator[str]:
    """Run nginx before a server; yields its address. Stops it at the end."""
    with TemporaryDirectory(prefix="tests-nginx-") as folder:
        start = [*command(Path(folder), port, app_port), "-g", "daemon off;"]
        process = subprocess.Popen(start, stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: process.poll() is not None or _listens(port), START_TIMEOUT_S)
            if process.poll() is not None or not _listens(port):
                raise RuntimeError("nginx does not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

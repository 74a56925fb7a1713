"""The code of docs/better-auth.md: its server, and both of its clients against it and the service."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.frontends.conftest import FOLDER, Serve, node
from tests.live import free_port, running

BLOCK = re.compile(r"^```js\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FETCH_TOKEN = re.compile(r"^async function fetchToken\(\) \{\n.*?^\}\n", re.DOTALL | re.MULTILINE)
# The first lines of the blocks that make the server and the clients.
SERVER = 'import { createServer } from "node:http";'
BROWSER = 'const API = "http://127.0.0.1:8000";'
CLIENT = 'import { createAuthClient } from "better-auth/client";'
GENERATED = FOLDER / "node_modules"


@pytest.fixture
def blocks(root: Path) -> dict[str, str]:
    """The page's code by its first line, up to a comment."""
    found = BLOCK.findall((root / "docs/better-auth.md").read_text("utf-8"))
    return {block.splitlines()[0].partition(" //")[0]: block for block in found}


@contextmanager
def auth_server(code: str, secret: str) -> Iterator[str]:
    """Run the page's server on a port of its own."""
    port = free_port()
    (GENERATED / "auth-server.mjs").write_text(code.replace("3000", str(port)), "utf-8")
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "BETTER_AUTH_SECRET": secret, "BETTER_AUTH_TELEMETRY": "0"}
    process = subprocess.Popen(["node", "node_modules/auth-server.mjs"], cwd=FOLDER, env=env)
    address = f"http://localhost:{port}"
    with running(process, f"{address}/api/auth/ok"):
        yield address


@pytest.mark.parametrize("client", ["fetch", "jwtClient"])
def test_a_client_signs_up_creates_and_renews_its_token(
    client: str, serve: Serve, secret: str, blocks: dict[str, str]
) -> None:
    browser = blocks[BROWSER]
    if client == "jwtClient":
        browser, replaced = FETCH_TOKEN.subn("", browser)
        assert replaced == 1
        browser = blocks[CLIENT] + browser
    with auth_server(blocks[SERVER], secret) as auth, serve(BETTER_AUTH_URL=auth) as api:
        code = browser.replace("http://127.0.0.1:8000", api).replace("http://localhost:3000", auth)
        (GENERATED / "better-auth-client.mjs").write_text(code, "utf-8")
        node("drive-better-auth.mjs", client, auth)

"""Frontends as they are written elsewhere, and the code of docs/other-backends.md, against a live server."""

import re
from pathlib import Path

import pytest

from tests.frontends.conftest import FOLDER, Serve, node
from tests.people import token

BLOCK = re.compile(r"^```js\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("module", ["./api-fetch.mjs", "./api-axios.mjs"])
def test_a_frontend_for_another_backend_works_with_its_address_changed(
    module: str, serve: Serve, secret: str
) -> None:
    with serve(BETTER_AUTH_SECRET=secret) as address:
        node("drive.mjs", module, address, token(secret, "alice"), token(secret, "alice", minutes=-5))


def test_the_changes_for_other_frontends_work(serve: Serve, secret: str, root: Path) -> None:
    blocks = BLOCK.findall((root / "docs/other-backends.md").read_text("utf-8"))
    generated = FOLDER / "node_modules/other-backends.mjs"
    generated.write_text("\n".join(blocks), "utf-8")
    with serve(BETTER_AUTH_SECRET=secret, JWT_USER_ID_CLAIMS="sub,user_id,userId,id") as address:
        tokens = token(secret, None, userId="alice"), token(secret, None, id="alice")
        node("drive-other-backends.mjs", address, *tokens)

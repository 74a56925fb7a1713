"""The TypeScript of docs/clients.md and docs/api.md is in the file that `make client` compiles and runs."""

import re
from pathlib import Path


def test_the_example_is_part_of_the_life_of_a_task(root: Path) -> None:
    text = "".join((root / "docs" / page).read_text("utf-8") for page in ("clients.md", "api.md"))
    blocks = re.findall(r"^```ts\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    source = (root / "clients/typescript/test/life-of-a-task.ts").read_text("utf-8")
    parts = [part.strip() for block in blocks for part in block.split("\n\n")]
    assert len(parts) == 5
    for part in parts:
        assert f"\n{part}\n" in source, part

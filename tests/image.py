"""The container image without an engine: its files in a folder, by the Dockerfile."""

import os
import re
import shutil
from pathlib import Path


def instructions(root: Path, name: str) -> list[str]:
    """The Dockerfile's lines that begin with a word, without it."""
    text = (root / "Dockerfile").read_text().replace("\\\n", " ")
    return [" ".join(rest.split()) for rest in re.findall(rf"^{name} (.*)$", text, re.MULTILINE)]


def build(root: Path, image: Path, data: Path) -> None:
    """Put what the Dockerfile copies and links into the folder `image`, with `data` for the volume."""
    for line in instructions(root, "COPY"):
        if line.startswith("--from=") or line.endswith("/tmp/requirements.txt"):
            continue
        *sources, target = line.split()
        for source in sources:
            if (root / source).is_dir():
                shutil.copytree(root / source, image / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (image / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(root / source, image / target)
    for target, name in re.findall(r"ln -s (\S+) (\S+)", " ".join(instructions(root, "RUN"))):
        os.symlink(data if target == "/data" else target, image / name)

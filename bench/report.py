"""Formats figures as Markdown, writes the generated parts of docs/performance.md and has its charts drawn."""

import json
import re
import subprocess
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from bench.servers import PEER_PYTHON
from tests.live import ROOT

PAGE = ROOT / "docs/performance.md"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first are right-aligned."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The median, then minimum and maximum in parentheses."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def write_part(name: str, text: str) -> None:
    """Replace the part of the page between the markers `name`, or append it with new markers."""
    begin, end = (f"<!-- {name}: {word}, written by bench/ -->" for word in ("begin", "end"))
    part = f"{begin}\n\n{text.strip()}\n\n{end}"
    page = PAGE.read_text() if PAGE.exists() else "# Performance\n"
    old = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    page = old.sub(lambda _: part, page) if old.search(page) else f"{page.rstrip()}\n\n{part}\n"
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page)


def draw(chart: str, figures: Any) -> None:
    """Draw docs/{chart}.svg with bench/charts.py, in the environment that has matplotlib."""
    command = [str(PEER_PYTHON), "-m", "bench.charts", chart]
    subprocess.run(command, cwd=ROOT, input=json.dumps(figures), text=True, check=True)

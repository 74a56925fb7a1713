"""Draws docs/{name}.svg from figures on standard input: `python -m bench.charts NAME`.

Text and lines take the colour of the page, light or dark.
"""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

DOCS = Path(__file__).parent.parent / "docs"
# Replaced by currentColor in the SVG.
INK = "#123456"
STYLE = """<style>
svg { color: #1f2328 }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3 } }
</style>"""
# Okabe and Ito's colours, which colour-blind people tell apart.
COLOURS = ("#0072b2", "#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00")
Figures = list[dict[str, Any]]


def performance(stacks: Figures) -> plt.Figure:
    """Bars of requests per second and of CPU per request for each cell and stack."""
    cells = list(stacks[0]["cells"])
    figure, (rates, costs) = plt.subplots(1, 2, figsize=(10, 8), sharey=True, layout="constrained")
    height = 0.84 / len(stacks)
    for number, stack in enumerate(stacks):
        for row, turns in enumerate(stack["cells"].values()):
            y = row + (number - (len(stacks) - 1) / 2) * height
            rate = [turn["rate"] for turn in turns]
            app, data = ([turn[name] for turn in turns] for name in ("app_us", "database_us"))
            look: dict[str, Any] = {"height": height * 0.86, "color": COLOURS[number]}
            _bar(rates, y, rate, look | ({} if row else {"label": stack["label"]}))
            # The database's part, paler, in front of the whole.
            _bar(costs, y, [sum(both) for both in zip(app, data, strict=True)], look | {"alpha": 0.5})
            costs.barh(y, median(app), **look)
    rates.set_yticks(range(len(cells)), cells)
    rates.invert_yaxis()
    rates.set_title("Requests per second: longer is better")
    costs.set_title("CPU per request in µs: shorter is better\napplication (full colour) + database (pale)")
    for axes in (rates, costs):
        axes.tick_params(left=False)
        axes.grid(axis="x", alpha=0.25, color=INK)
    figure.legend(loc="outside lower center", ncols=len(stacks))
    return figure


def _bar(axes: Axes, y: float, values: Sequence[float], look: dict[str, Any]) -> None:
    """A bar of the median, a line from minimum to maximum, and the median as text."""
    middle, low, high = median(values), min(values), max(values)
    axes.barh(y, middle, **look)
    axes.plot([low, high], [y, y], color=INK, linewidth=1)
    axes.annotate(f"{middle:,.0f}", (high, y), (4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_xlim(0, max(axes.get_xlim()[1], high * 1.15))


def growth(places: Figures) -> plt.Figure:
    """Milliseconds of each request, from few tasks to many."""
    figure, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    requests = list(places[0]["ms"])
    for number, request in enumerate(requests):
        x = [place + (number - (len(requests) - 1) / 2) * 0.12 for place in range(len(places))]
        times = [place["ms"][request] for place in places]
        middle = [median(values) for values in times]
        below, above = (
            [abs(at - edge(values)) for at, values in zip(middle, times, strict=True)] for edge in (min, max)
        )
        axes.errorbar(
            x, middle, yerr=[below, above], fmt="o", color=COLOURS[number], label=request, capsize=2
        )
    axes.set_xticks(range(len(places)), [fill(place["place"], 16) for place in places])
    axes.set_ylim(bottom=0)
    axes.set_title("Milliseconds per request, by the user's tasks and the table's: flat is good")
    axes.grid(axis="y", alpha=0.25, color=INK)
    figure.legend(loc="outside lower center", ncols=len(requests))
    return figure


def main() -> None:
    """Draw the chart that the command line names."""
    name = sys.argv[1]
    frame = {
        "axes.edgecolor",
        "axes.labelcolor",
        "axes.titlecolor",
        "text.color",
        "xtick.color",
        "ytick.color",
    }
    mpl.rcParams |= dict.fromkeys(frame, INK) | {
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.w_pad": 0.12,
        "font.family": "sans-serif",
        "font.size": 11,
        "axes.titlesize": 12,
        "legend.frameon": False,
        # Text stays text; the same figures give the same file.
        "svg.fonttype": "none",
        "svg.hashsalt": name,
    }
    output = io.StringIO()
    draw = {"performance": performance, "growth": growth}[name]
    draw(json.load(sys.stdin)).savefig(output, format="svg", transparent=True, metadata={"Date": None})
    svg = output.getvalue().replace(INK, "currentColor")
    head, end, rest = svg.partition("<defs>")
    (DOCS / f"{name}.svg").write_text(head + STYLE + end + rest)


if __name__ == "__main__":
    main()

"""deploy/prometheus-alerts.yml and deploy/grafana-dashboard.json name metrics and labels that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import app.metrics

# A metric with its labels in braces, as both files write each of theirs.
SELECTOR = re.compile(r'(\w+)\{job="(?:tasks|\$job)"([^}]*)\}')
FUNCTIONS = {"sum", "rate", "increase", "histogram_quantile"}


def expressions(root: Path) -> dict[str, list[str]]:
    alerts = yaml.safe_load((root / "deploy/prometheus-alerts.yml").read_text())
    dashboard = json.loads((root / "deploy/grafana-dashboard.json").read_text())
    return {
        "alerts": [rule["expr"] for group in alerts["groups"] for rule in group["rules"]],
        "dashboard": [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]],
    }


def series() -> dict[str, set[str]]:
    """The labels of every series that the service exposes, and of Prometheus's own `up`."""
    found: dict[str, set[str]] = {"up": set()}
    for collector in set(REGISTRY._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for name in REGISTRY._collector_to_names[collector]:
            found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    return found


@pytest.mark.parametrize("file", ["alerts", "dashboard"])
def test_every_metric_and_label_that_is_named_exists(root: Path, file: str) -> None:
    exposed = series()
    assert "requests_unavailable_total" in exposed
    for expression in expressions(root)[file]:
        named = SELECTOR.findall(expression)
        assert named, expression
        grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression))))
        for metric, matchers in named:
            assert metric in exposed, expression
            labels = set(re.findall(r"(\w+)(?:=|!=)", matchers)) | grouped
            assert labels <= exposed[metric] | {"instance"}, expression
        rest = re.sub(r'\{[^}]*\}|by \([^)]*\)|\[[^\]]*\]|"[^"]*"', " ", expression)
        words = set(re.findall(r"[a-z_]{2,}", rest)) - FUNCTIONS - {"and", "offset"}
        assert words == {metric for metric, _ in named}, expression


def test_the_dashboard_shows_every_metric_of_the_application(root: Path) -> None:
    ours = [value for value in vars(app.metrics).values() if isinstance(value, MetricWrapperBase)]
    assert len(ours) == 8
    shown = " ".join(expressions(root)["dashboard"])
    assert [metric._name for metric in ours if metric._name not in shown] == []


def test_every_alert_says_what_is_wrong_and_how_bad_it_is(root: Path) -> None:
    rules: list[dict[str, Any]] = yaml.safe_load((root / "deploy/prometheus-alerts.yml").read_text())[
        "groups"
    ][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules) == 9
    assert {rule["labels"]["severity"] for rule in rules} == {"page", "ticket"}
    assert all(rule["annotations"]["summary"].endswith(".") for rule in rules)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool: apt-get install prometheus")
def test_prometheus_takes_the_rules(root: Path) -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", "deploy/prometheus-alerts.yml"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "SUCCESS: 9 rules found" in done.stdout

"""What the documents name exists: files, headings, code, settings, metrics, routes and tests."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from flask import Flask

from app.auth.hook import PUBLIC_BLUEPRINTS
from app.config import KEY_SETS, LOG_LEVELS, Settings
from app.metrics import exposition
from tests.live import ROOT

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("clients/*/README.md")]
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*\.(?:py|md|ts|json|toml|ya?ml|conf|service|example|txt)")
# An identifier with an underscore or a capital inside, such as TokenCache or DB_POOL_SIZE.
IDENTIFIER = re.compile(r"(?<![\w-])(?:[A-Za-z]\w*_\w+|[A-Z]?[a-z]+[A-Z]\w*|_\w+)(?!\w)")
PLACED = re.compile(r"`(?:\w+\.)?(\w+)` in\s+`([\w./]+\.py)`")
TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
SETTING = re.compile(r"[A-Z]+(?:_[A-Z]+)+")
FOLDERS = ("app", "bench", "clients", "deploy", "docs", "migrations", "tests")
# Files that a reader writes, and names of other programs that no file of the project has.
ELSEWHERE = {"auth-server.mjs", "schema.d.ts"}
# Pages about the names of other programs.
ABOUT_OTHERS = ("better-auth.md", "other-backends.md")
FOREIGN = {
    "encodeURIComponent",
    "toISOString",
    "json_agg",
    "log_min_error_statement",
    "pool_pre_ping",
    "pg_blocking_pids",
    "histogram_quantile",
    "rule_files",
    "http_request_duration_seconds_bucket",
    # Citus
    "block_writes",
    "citus_add_node",
    "propagate_set_commands",
    "rebalance_table_shards",
    "shard_transfer_mode",
    "truncate_local_data_after_distributing_table",
}
# Variables of Python, Flask, libpq, PostgreSQL's image and the tests.
VARIABLES = {
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "PATH",
    "FLASK_APP",
    "PGPASSWORD",
    "POSTGRES_PASSWORD",
    "TEST_DATABASE_URL",
    "MIGRATE",
    "UPDATE_STILLS",
}


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def files() -> list[Path]:
    """The project's files, but none that were generated or installed."""
    inside = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    left_out = {"node_modules", "generated", "dist", "__pycache__"}
    return [
        p for p in [*ROOT.glob("*"), *ROOT.glob(".*"), *inside] if p.is_file() and not left_out & {*p.parts}
    ]


def prose(document: Path) -> str:
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def known_words() -> set[str]:
    """Every word of the project's code, of its settings and of the documents' examples."""
    suffixes = {".py", ".conf", ".yaml", ".toml", ".json", ".service", ".example", ".mako", ".ts"}
    sources = [path for path in files() if path.suffix in suffixes and path != Path(__file__)]
    code = [path.read_text(encoding="utf-8") for path in sources]
    examples = [block for path in DOCUMENTS for block in FENCE.findall(path.read_text(encoding="utf-8"))]
    return {*re.findall(r"\w+", "\n".join([*code, *examples, exposition().decode()]))}


@pytest.fixture(scope="module")
def settings() -> set[str]:
    """The names of all settings."""
    code = (ROOT / "app" / "config.py").read_text()
    names = set(re.findall(r'"([A-Z][A-Z_]+)"', code)) - set(LOG_LEVELS)
    assert len(names) > 20
    return names


def env_example() -> Mapping[str, str]:
    """The settings of .env.example with their defaults."""
    text = (ROOT / ".env.example").read_text()
    return dict(re.findall(r"^#? ?([A-Z_]+)=(.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_file_and_heading_that_a_document_names_exists(document: Path) -> None:
    existing = {str(path.relative_to(ROOT)) for path in files()}
    existing |= {path.name for path in files()} | {name(document) for document in DOCUMENTS}
    paths = {path for span in SPAN.findall(prose(document)) for path in [span] if PATH.fullmatch(path)}
    assert paths - existing - ELSEWHERE == set()
    for link in LINK.findall(prose(document)):
        if not link.startswith("http"):
            target, _, anchor = link.partition("#")
            page = (document.parent / target).resolve() if target else document
            assert page.exists(), link
            assert not anchor or anchor in anchors(page), link


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d.name not in ABOUT_OTHERS], ids=name)
def test_every_name_of_code_that_a_document_uses_exists(document: Path, known_words: set[str]) -> None:
    spans = [span for span in SPAN.findall(prose(document)) if "::" not in span and not PATH.fullmatch(span)]
    named = {identifier for span in spans for identifier in IDENTIFIER.findall(span)}
    assert named - known_words - FOREIGN == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_a_name_is_in_the_file_that_a_document_says(document: Path) -> None:
    for word, file in PLACED.findall(prose(document)):
        (path,) = [path for path in files() if f"/{path.relative_to(ROOT)}".endswith(f"/{file}")]
        assert re.search(rf"\b{word}\b", path.read_text(encoding="utf-8")), f"{word} in {file}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_setting_that_a_document_names_is_a_setting(document: Path, settings: set[str]) -> None:
    named = {setting for span in SPAN.findall(prose(document)) for setting in SETTING.findall(span)}
    assert named - settings - VARIABLES == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    functions = {
        (path.name, function)
        for path in files()
        if path.name.startswith("test_")
        for function in re.findall(r"^ *def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(TEST.findall(document.read_text(encoding="utf-8")))
    assert named - functions == set()
    assert document.name != "SECURITY.md" or len(named) > 40


def test_the_typescript_package_has_the_services_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for file in ("package.json", "package-lock.json"):
        assert json.loads((ROOT / "clients/typescript" / file).read_text())["version"] == version
    text = "".join(document.read_text("utf-8") for document in DOCUMENTS)
    assert set(re.findall(r"tasks-api-client-([\d.]+)\.tgz", text)) == {version}


def test_the_page_on_operations_lists_the_metrics() -> None:
    page = prose(ROOT / "docs/operations.md").partition("## Metrics")[2].partition("No label")[0]
    types = re.findall(r"^# TYPE (\w+) ", exposition().decode(), re.MULTILINE)
    ours = {metric for metric in types if not re.match(r"python_|process_|.*_created$", metric)}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == ours


def test_security_md_lists_the_public_routes(app: Flask) -> None:
    rows = re.findall(r"^\| (`/.*?) \| `(\w+)` \|", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    listed = {(route, blueprint) for routes, blueprint in rows for route in SPAN.findall(routes)}
    rules = [(rule.rule, rule.endpoint.partition(".")[0]) for rule in app.url_map.iter_rules()]
    public = {
        (re.sub(r"^/docs/.*", "/docs/{file}", rule), part)
        for rule, part in rules
        if part in PUBLIC_BLUEPRINTS
    }
    assert listed == public


def test_env_example_and_the_page_on_configuration_have_every_setting(settings: set[str]) -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (.*?) \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE
    )
    assert set(env_example()) == {setting for setting, _ in rows} == settings
    assert len(rows) == len(settings)
    told = {setting: default.strip("`") for setting, default in rows if default.startswith("`")}
    assert told == {
        setting: value for setting, value in env_example().items() if value and setting not in KEY_SETS
    }


def test_env_example_has_the_defaults(secret: str) -> None:
    defaults = {setting: value for setting, value in env_example().items() if setting not in KEY_SETS}
    assert Settings.load({**defaults, "BETTER_AUTH_SECRET": secret}) == Settings.load(
        {"BETTER_AUTH_SECRET": secret}
    )


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("compose.yaml", r"^ {4}([A-Z_]+): "),
        ("deploy/tasks.service", r"\b([A-Z_]+)="),
        ("Dockerfile", r"\b([A-Z_]+)="),
    ],
)
def test_what_a_deployment_sets_is_a_setting(settings: set[str], file: str, pattern: str) -> None:
    names = set(re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE))
    assert names - VARIABLES <= settings
    assert names

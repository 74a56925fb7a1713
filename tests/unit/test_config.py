"""A setting that cannot be used stops the start with one line that names it and repeats no secret."""

from pathlib import Path

import pytest
from dotenv import dotenv_values

from app.config import ConfigError, Settings

SECRET = "a-secret-of-more-than-32-bytes-for-tests"
PASSWORD = "hunter2pass"
GOOD = {"BETTER_AUTH_SECRET": SECRET, "DATABASE_URL": "sqlite:///tasks.db"}
NEON = (
    f"postgres://owner:{PASSWORD}@ep-cool-1.eu-central-1.aws.neon.tech/neondb"
    "?sslmode=require&channel_binding=require"
)

# name → (settings laid over the good ones, the variable that the message begins with)
BAD: dict[str, tuple[dict[str, str], str]] = {
    "no secret": ({"BETTER_AUTH_SECRET": ""}, "BETTER_AUTH_SECRET"),
    "a blank secret": ({"BETTER_AUTH_SECRET": " " * 40}, "BETTER_AUTH_SECRET"),
    "a secret of 31 bytes": ({"BETTER_AUTH_SECRET": "0123456789abcdefghijklmnopqrstu"}, "BETTER_AUTH_SECRET"),
    "a secret of 32 bytes with a space": (
        {"BETTER_AUTH_SECRET": " 0123456789abcdefghijklmnopqrst "},
        "BETTER_AUTH_SECRET",
    ),
    "a repeated character": ({"BETTER_AUTH_SECRET": "x" * 64}, "BETTER_AUTH_SECRET"),
    "a repeated character of two bytes": ({"BETTER_AUTH_SECRET": "ü" * 32}, "BETTER_AUTH_SECRET"),
    "a secret that is no UTF-8": ({"BETTER_AUTH_SECRET": SECRET + "\udcff"}, "BETTER_AUTH_SECRET"),
    "a short secret under its other name": (
        {"BETTER_AUTH_SECRET": "", "JWT_SECRET_KEY": "short-secret"},
        "JWT_SECRET_KEY",
    ),
    "two secrets": ({"JWT_SECRET_KEY": SECRET + "x"}, "BETTER_AUTH_SECRET"),
    "no URL": ({"DATABASE_URL": f"{PASSWORD} is no URL"}, "DATABASE_URL"),
    "a URL without a scheme": ({"DATABASE_URL": f"u:{PASSWORD}@host/db"}, "DATABASE_URL"),
    "a port that is no number": ({"DATABASE_URL": f"postgresql://u:{PASSWORD}@host:port/db"}, "DATABASE_URL"),
    "PostgreSQL without a database": ({"DATABASE_URL": f"postgresql://u:{PASSWORD}@host"}, "DATABASE_URL"),
    "PostgreSQL with an empty database": ({"DATABASE_URL": f"postgres://u:{PASSWORD}@host/"}, "DATABASE_URL"),
    "MySQL": ({"DATABASE_URL": f"mysql://u:{PASSWORD}@host/db"}, "DATABASE_URL"),
    "another driver": ({"DATABASE_URL": f"postgresql+asyncpg://u:{PASSWORD}@host/db"}, "DATABASE_URL"),
    "SQLite over asyncio": ({"DATABASE_URL": "sqlite+aiosqlite:///tasks.db"}, "DATABASE_URL"),
    "SQLite in memory": ({"DATABASE_URL": "sqlite:///:memory:"}, "DATABASE_URL"),
    "SQLite of no file": ({"DATABASE_URL": "sqlite://"}, "DATABASE_URL"),
    "SQLite of an empty path": ({"DATABASE_URL": "sqlite:///"}, "DATABASE_URL"),
    "SQLite in shared memory": (
        {"DATABASE_URL": "sqlite:///file::memory:?cache=shared&uri=true"},
        "DATABASE_URL",
    ),
    "SQLite in memory by its mode": (
        {"DATABASE_URL": "sqlite:///file:x?mode=memory&uri=true"},
        "DATABASE_URL",
    ),
    "SQLite with two slashes": ({"DATABASE_URL": "sqlite://tasks.db"}, "DATABASE_URL"),
    "a log level that is none": ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
    "another algorithm": ({"ALGORITHM": "RS256"}, "ALGORITHM"),
    "no algorithm at all": ({"ALGORITHM": "none"}, "ALGORITHM"),
    "a server that is none": ({"SERVER": "uwsgi"}, "SERVER"),
    **{f"HOST of {value!r}": ({"HOST": value}, "HOST") for value in ("nginx", "[::]", "1.2.3", "a b")},
    **{
        f"FORWARDED_ALLOW_IPS of {value!r}": ({"FORWARDED_ALLOW_IPS": value}, "FORWARDED_ALLOW_IPS")
        for value in ("nginx", "10.0.0.1,nginx", "10.0.0.1/8", "10.0.0.1 10.0.0.2", "*,", "10.0.0.*")
    },
    "any origin": ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS"),
    "an origin with a path": ({"CORS_ORIGINS": "https://app.example.com/"}, "CORS_ORIGINS"),
    "an origin without a scheme": ({"CORS_ORIGINS": "app.example.com"}, "CORS_ORIGINS"),
    "an origin with a password": ({"CORS_ORIGINS": f"https://u:{PASSWORD}@app.example.com"}, "CORS_ORIGINS"),
    "a second origin that is none": ({"CORS_ORIGINS": "http://localhost:3000, null"}, "CORS_ORIGINS"),
    **{
        f"{name} of {value!r}": ({name: value}, name)
        for name in (
            "PORT",
            "DB_POOL_SIZE",
            "DB_POOL_TIMEOUT",
            "ACCESS_TOKEN_EXPIRE_MINUTES",
            "WEB_CONCURRENCY",
            "THREADS",
        )
        for value in ("0", "-1", "+5", "1.5", "1e3", "five", "0x10", "٣", "²", "5 5", "9" * 30)
    },
    "PORT beyond the last": ({"PORT": "65536"}, "PORT"),
    "THREADS beyond 64": ({"THREADS": "65"}, "THREADS"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_setting_is_refused_by_its_name_and_not_repeated(name: str) -> None:
    settings, variable = BAD[name]
    with pytest.raises(ConfigError) as refusal:
        Settings.load(GOOD | settings)
    message = refusal.value.message
    assert message.startswith(f"{variable}: ")
    assert message.endswith((".", ")"))
    assert "\n" not in message
    secrets = [value for key, value in (GOOD | settings).items() if "SECRET" in key and value.strip()]
    assert not [text for text in (*secrets, PASSWORD) if text.strip() in message]


@pytest.mark.parametrize(
    ("settings", "threads", "pool_size"),
    [
        ({}, 6, 6),
        ({"THREADS": "12"}, 12, 12),
        ({"DB_POOL_SIZE": "3"}, 6, 3),
        ({"THREADS": "64", "DB_POOL_SIZE": "10"}, 64, 10),
    ],
)
def test_the_pool_has_a_connection_for_each_thread_unless_it_is_set(
    settings: dict[str, str], threads: int, pool_size: int
) -> None:
    loaded = Settings.load(GOOD | settings)
    assert (loaded.threads, loaded.pool_size) == (threads, pool_size)


def test_a_missing_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^BETTER_AUTH_SECRET: is not set"):
        Settings.load({})


@pytest.mark.parametrize("name", ["BETTER_AUTH_SECRET", "JWT_SECRET_KEY"])
def test_the_secret_is_read_under_both_names(name: str) -> None:
    assert Settings.load({name: SECRET}).secret == SECRET


def test_the_same_secret_under_both_names_is_fine() -> None:
    assert Settings.load(GOOD | {"JWT_SECRET_KEY": SECRET}).secret == SECRET


@pytest.mark.parametrize("secret", ["0123456789abcdef0123456789abcdef", "ü€" * 7, "xy" * 16])
def test_a_secret_is_measured_in_bytes(secret: str) -> None:
    assert Settings.load(GOOD | {"BETTER_AUTH_SECRET": secret}).secret == secret


def test_the_url_of_neon_is_kept_with_its_options() -> None:
    url = Settings.load(GOOD | {"DATABASE_URL": NEON}).database_url
    assert url.drivername == "postgresql+psycopg2"
    assert (url.host, url.database) == ("ep-cool-1.eu-central-1.aws.neon.tech", "neondb")
    assert (url.username, url.password) == ("owner", PASSWORD)
    assert dict(url.query) == {"sslmode": "require", "channel_binding": "require"}


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_spelling_of_postgresql_means_one_driver(scheme: str) -> None:
    url = Settings.load(GOOD | {"DATABASE_URL": f"{scheme}://u:p%40ss@h:5433/db"}).database_url
    assert (url.drivername, url.password, url.port) == ("postgresql+psycopg2", "p@ss", 5433)


@pytest.mark.parametrize(
    "url",
    [
        NEON,
        f"postgresql:///db?host=h&user=u&password={PASSWORD}",
        f"postgresql://u@h/db?password={PASSWORD}",
        f"postgresql://u@h/db?sslmode=require&sslpassword={PASSWORD}",
    ],
)
def test_settings_that_are_printed_show_no_secret_and_no_password(url: str) -> None:
    settings = Settings.load(GOOD | {"DATABASE_URL": url})
    for text in (repr(settings), str(settings)):
        assert SECRET not in text
        assert PASSWORD not in text


def test_values_are_stripped_and_empty_ones_are_the_defaults() -> None:
    settings = Settings.load(
        GOOD | {"PORT": " 8080 ", "JWT_ISSUER": " ", "JWT_AUDIENCE": "", "LOG_LEVEL": "debug"}
    )
    assert (settings.port, settings.issuers, settings.audiences) == (8080, (), ())
    assert settings.log_level == "DEBUG"
    assert settings.user_id_claims == ("sub", "user_id")


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f"BETTER_AUTH_SECRET={SECRET}\nPORT=1111\nLOG_LEVEL=ERROR\n")
    monkeypatch.setattr("app.config.ROOT", tmp_path)
    monkeypatch.setenv("PORT", "2222")
    for name in ("BETTER_AUTH_SECRET", "JWT_SECRET_KEY", "DATABASE_URL", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings.load()
    assert (settings.port, settings.secret, settings.log_level) == (2222, SECRET, "ERROR")


@pytest.mark.parametrize("loaded_by_flask", [False, True])
def test_values_of_the_env_file_are_taken_literally(
    loaded_by_flask: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = SECRET + "${NOPE}$HOME"
    (tmp_path / ".env").write_text(f"BETTER_AUTH_SECRET={written}\n")
    monkeypatch.setattr("app.config.ROOT", tmp_path)
    monkeypatch.delenv("JWT_SECRET_KEY", raising=False)
    monkeypatch.delenv("BETTER_AUTH_SECRET", raising=False)
    if loaded_by_flask:
        interpolated = dotenv_values(tmp_path / ".env")["BETTER_AUTH_SECRET"]
        assert interpolated == SECRET + "$HOME"
        monkeypatch.setenv("BETTER_AUTH_SECRET", interpolated)
    assert Settings.load().secret == written


@pytest.mark.parametrize(
    ("given", "host"), [("", "127.0.0.1"), ("localhost", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("::", "::")]
)
def test_the_host_is_an_address_of_either_kind(given: str, host: str) -> None:
    assert Settings.load(GOOD | {"HOST": given}).host == host


@pytest.mark.parametrize(
    ("given", "proxies"),
    [
        ("", ("127.0.0.1", "::1")),
        ("*", ("*",)),
        ("10.0.0.7, 192.168.0.0/16,fd00::/8", ("10.0.0.7", "192.168.0.0/16", "fd00::/8")),
    ],
)
def test_proxies_are_addresses_networks_or_any(given: str, proxies: tuple[str, ...]) -> None:
    assert Settings.load(GOOD | {"FORWARDED_ALLOW_IPS": given}).forwarded_allow_ips == proxies


URL = "https://auth.example.com"
KEY_SET = {
    "JWT_JWKS_URL": f"{URL}/keys",
    "JWT_ISSUER": "https://i.example",
    "JWT_AUDIENCE": "https://a.example",
}


def refusal(settings: dict[str, str]) -> str:
    """The one line that stops the start."""
    with pytest.raises(ConfigError) as refused:
        Settings.load(settings)
    assert "\n" not in refused.value.message
    assert refused.value.message.endswith(".")
    return refused.value.message


@pytest.mark.parametrize(
    "settings", [{}, {"BETTER_AUTH_SECRET": "", "BETTER_AUTH_URL": " ", "JWT_JWKS_URL": ""}]
)
def test_no_mode_at_all_is_refused_with_the_names_of_both(settings: dict[str, str]) -> None:
    message = refusal(settings)
    assert message.startswith("BETTER_AUTH_SECRET: ")
    assert "BETTER_AUTH_URL" in message


def test_an_issuer_and_an_audience_alone_choose_no_mode() -> None:
    assert refusal({"JWT_ISSUER": URL, "JWT_AUDIENCE": URL}).startswith("BETTER_AUTH_SECRET: is not set")


@pytest.mark.parametrize("secret", ["BETTER_AUTH_SECRET", "JWT_SECRET_KEY"])
@pytest.mark.parametrize("settings", [{"BETTER_AUTH_URL": URL}, KEY_SET, KEY_SET | {"BETTER_AUTH_URL": URL}])
def test_both_modes_at_once_are_refused_with_what_to_remove(secret: str, settings: dict[str, str]) -> None:
    message = refusal(settings | {secret: SECRET})
    assert message.startswith(f"{secret}: ")
    assert f"remove {secret}" in message
    assert SECRET not in message


@pytest.mark.parametrize("name", ["JWT_ISSUER", "JWT_AUDIENCE"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_key_set_s_address_without_an_issuer_or_audience_is_refused(name: str, value: str | None) -> None:
    settings = {key: text for key, text in KEY_SET.items() if key != name}
    if value is not None:
        settings[name] = value
    message = refusal(settings)
    assert message.startswith(f"{name}: ")
    assert "JWT_JWKS_URL" in message


@pytest.mark.parametrize("path", ["", "/", "//", "/api/auth", "/api/auth/"])
def test_a_sign_in_service_s_address_gives_keys_issuer_and_audience(path: str) -> None:
    settings = Settings.load({"BETTER_AUTH_URL": f" {URL}{path} "})
    assert (settings.jwks_url, settings.secret) == (f"{URL}/api/auth/jwks", "")
    assert settings.issuers == settings.audiences == (URL, f"{URL}/")


def test_an_issuer_an_audience_and_keys_of_one_s_own_win_over_the_sign_in_service_s() -> None:
    settings = Settings.load(KEY_SET | {"BETTER_AUTH_URL": URL})
    assert settings.jwks_url == f"{URL}/keys"
    assert (settings.issuers, settings.audiences) == (("https://i.example",), ("https://a.example",))


def test_a_key_set_s_address_is_used_as_it_stands() -> None:
    url = "https://auth.example.com:8443/realms/x/certs?v=2"
    assert Settings.load(KEY_SET | {"JWT_JWKS_URL": url}).jwks_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://auth.example.com",
        "http://10.0.0.1/keys",
        "http://192.168.0.1:3000",
        "http://0.0.0.0:3000",
        "http://[::]:3000",
        "http://[fe80::1]:3000",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://example.com/127.0.0.1",
        "http://localhost@example.com",
        "http://example.com#localhost",
        "http://2130706433",
        "http://0x7f000001",
        "http://localhost:80@example.com",
        f"https://user:{PASSWORD}@auth.example.com",
        "https://user@auth.example.com",
        "https://@auth.example.com",
        "ftp://auth.example.com/keys",
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "data:application/json,{}",
        "javascript:alert(1)",
        "unix:///run/keys",
        "//auth.example.com",
        "auth.example.com",
        "localhost:3000",
        "/api/auth",
        "https://",
        "https:///keys",
        "https:auth.example.com",
        "https://:443/keys",
        "https://auth.example.com:port",
        "https://auth.example.com:0",
        "https://auth.example.com:65536",
        "https://auth.example.com:-1",
        "https://auth example.com",
        "https://auth.example.com/a b",
        "https://auth.example.com/a\tb",
        "https://auth.example.com/\r\nHost: evil",
        "https://auth.example.com#keys",
        "https://[::1",
        "https://[auth]",
    ],
)
def test_an_address_that_is_not_safe_or_none_is_refused(url: str) -> None:
    for name in ("BETTER_AUTH_URL", "JWT_JWKS_URL"):
        message = refusal(KEY_SET | {name: url})
        assert message.startswith(f"{name}: ")
        assert PASSWORD not in message


@pytest.mark.parametrize(
    "url",
    [
        "https://auth.example.com",
        "HTTPS://auth.example.com",
        "https://auth.example.com:8443",
        "https://10.0.0.1",
        "https://localhost:3000",
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        "http://127.1.2.3:3000",
        "http://[::1]:3000",
    ],
)
def test_https_everywhere_and_http_on_this_machine_are_fine(url: str) -> None:
    assert Settings.load({"BETTER_AUTH_URL": url}).jwks_url == f"{url}/api/auth/jwks"


@pytest.mark.parametrize("rest", ["?a=b", "?", "/api/auth?x"])
def test_a_sign_in_service_s_address_with_a_query_is_refused(rest: str) -> None:
    """What is appended to it would become part of the query."""
    assert refusal({"BETTER_AUTH_URL": URL + rest}).startswith("BETTER_AUTH_URL: ")

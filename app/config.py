"""The settings, read from the environment and `.env` and checked once, when the application starts."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import click
from dotenv import dotenv_values
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

ROOT = Path(__file__).parent.parent
# Read from the file: the application is not installed as a package.
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
# An exact origin (RFC 6454, section 6.2), not a pattern, which flask-cors would accept.
ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
SECRETS = ("BETTER_AUTH_SECRET", "JWT_SECRET_KEY")
KEY_SETS = ("BETTER_AUTH_URL", "JWT_JWKS_URL")
ANY_AUDIENCE = ("*",)
ON_OFF = ("on", "off")
METRICS = ("local", "on", "off")
LOG_USER = ("hash", "plain", "off")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class ConfigError(click.ClickException):
    """A missing or invalid setting; the message begins with its name.

    As an exception of click, it is one line in the output of every `flask` command.
    """


@dataclass(frozen=True)
class Settings:
    """The settings. Sizes are counts; times are in seconds unless the name has another unit."""

    # Its query may hold a password too, which SQLAlchemy does not hide.
    database_url: URL = field(repr=False)
    # Either the shared secret or the address of the key set; the other one is empty.
    secret: str = field(repr=False)
    jwks_url: str
    user_id_claims: tuple[str, ...]
    # All accepted spellings; empty if the claim is not checked.
    issuers: tuple[str, ...]
    audiences: tuple[str, ...]
    access_token_expire_minutes: int
    cors_origins: tuple[str, ...]
    pool_size: int
    max_overflow: int
    pool_timeout: int
    pool_recycle: int
    connect_timeout: int
    statement_timeout: int
    lock_timeout: int
    log_level: str
    log_user: str
    docs: bool
    metrics: str
    trash_days: int
    host: str
    port: int
    workers: int
    threads: int
    forwarded_allow_ips: str

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from `environ`, by default the process's environment and then `.env`.

        Raises ConfigError, which names the variable, if one is missing or invalid.
        """
        if environ is None:
            dotenv = dotenv_values(ROOT / ".env")
            environ = {name: value for name, value in dotenv.items() if value is not None} | dict(os.environ)
        env = {name: value.strip() for name, value in environ.items()}
        secret, auth_url = _secret(env), _auth_url(env)
        jwks_url = _url(env, "JWT_JWKS_URL") or (auth_url and f"{auth_url}/api/auth/jwks")
        _check_mode(env, secret, jwks_url)
        # Sign-in services write their address with and without a trailing slash.
        default = (auth_url, f"{auth_url}/") if auth_url else ()
        threads = _integer(env, "THREADS", 6, 1, 64)
        return cls(
            database_url=_database_url(env.get("DATABASE_URL") or "sqlite:///tasks.db"),
            secret=secret,
            jwks_url=jwks_url,
            user_id_claims=_claims(env),
            issuers=(env["JWT_ISSUER"],) if env.get("JWT_ISSUER") else default,
            audiences=(env["JWT_AUDIENCE"],) if env.get("JWT_AUDIENCE") else default,
            access_token_expire_minutes=_integer(env, "ACCESS_TOKEN_EXPIRE_MINUTES", 30, 1, 5_256_000),
            cors_origins=_origins(env),
            pool_size=_integer(env, "DB_POOL_SIZE", threads, 1, 1000),
            max_overflow=_integer(env, "DB_MAX_OVERFLOW", 4, 0, 1000),
            pool_timeout=_integer(env, "DB_POOL_TIMEOUT", 5, 1, 60),
            pool_recycle=_integer(env, "DB_POOL_RECYCLE", 300, 1, 86_400),
            connect_timeout=_integer(env, "DB_CONNECT_TIMEOUT", 10, 1, 60),
            statement_timeout=_integer(env, "STATEMENT_TIMEOUT", 5, 1, 60),
            lock_timeout=_integer(env, "LOCK_TIMEOUT", 3, 1, 60),
            log_level=_choice(env, "LOG_LEVEL", "INFO", LOG_LEVELS),
            log_user=_choice(env, "LOG_USER", "hash", LOG_USER),
            docs=_choice(env, "DOCS", "on", ON_OFF) == "on",
            metrics=_choice(env, "METRICS", "local", METRICS),
            trash_days=_integer(env, "TRASH_DAYS", 30, 0, 36_500),
            host=env.get("HOST") or "127.0.0.1",
            port=_integer(env, "PORT", 8000, 1, 65535),
            workers=_integer(env, "WEB_CONCURRENCY", os.cpu_count() or 1, 1, 1000),
            threads=threads,
            forwarded_allow_ips=env.get("FORWARDED_ALLOW_IPS") or "127.0.0.1,::1",
        )


def _database_url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        # Do not repeat the text: it may hold a password.
        raise ConfigError("DATABASE_URL: is not a database URL.") from None
    except ValueError:
        raise ConfigError("DATABASE_URL: the port is not a number.") from None
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg2"):
        if not url.database and "service" not in url.query:
            raise ConfigError("DATABASE_URL: names no database.")
        return url.set(drivername="postgresql+psycopg2")
    if url.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise ConfigError("DATABASE_URL: must begin with postgresql:// or sqlite:///.")
    if url.host:
        raise ConfigError("DATABASE_URL: a SQLite file takes three slashes, or four before an absolute path.")
    if not url.database or ":memory:" in url.database or url.query:
        # Each worker would have its own database, which ends with the worker.
        raise ConfigError("DATABASE_URL: must name a file for SQLite, and no options.")
    return url


def _secret(env: Mapping[str, str]) -> str:
    given = {name: env[name] for name in SECRETS if env.get(name)}
    if not given:
        return ""
    if len(set(given.values())) > 1:
        raise ConfigError("BETTER_AUTH_SECRET: differs from JWT_SECRET_KEY; remove one of them.")
    name, secret = next(iter(given.items()))
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        raise ConfigError(f"{name}: looks like a public key; set a secret.") from None
    except UnicodeEncodeError:
        raise ConfigError(f"{name}: is not UTF-8.") from None
    if len(secret.encode()) < 32:
        raise ConfigError(f"{name}: must have at least 32 bytes (RFC 7518, section 3.2).")
    if len(set(secret)) == 1:
        raise ConfigError(f"{name}: must not be one character repeated.")
    return secret


def _auth_url(env: Mapping[str, str]) -> str:
    # Accept Better Auth's `baseURL` with its default path too.
    url = _url(env, "BETTER_AUTH_URL")
    if "?" in url:
        raise ConfigError("BETTER_AUTH_URL: takes no query.")
    return url.rstrip("/").removesuffix("/api/auth")


def _url(env: Mapping[str, str], name: str) -> str:
    text = env.get(name) or ""
    if text and not _is_safe_url(text):
        raise ConfigError(f"{name}: must be an address with https, or with http on this machine.")
    return text


def _is_safe_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        # Reading an invalid port raises ValueError.
        whole = bool(host) and parts.port != 0 and not re.search(r"[\s@#]", text)
        loopback = host == "localhost" or (parts.scheme == "http" and ip_address(host).is_loopback)
    except ValueError:
        return False
    return whole and (parts.scheme == "https" or (parts.scheme == "http" and loopback))


def _check_mode(env: Mapping[str, str], secret: str, jwks_url: str) -> None:
    key_set = next((name for name in KEY_SETS if env.get(name)), None)
    if not secret and not key_set:
        raise ConfigError(
            "BETTER_AUTH_SECRET: is not set, nor is BETTER_AUTH_URL; set one of them to verify tokens."
        )
    if secret and key_set:
        name = next(name for name in SECRETS if env.get(name))
        raise ConfigError(f"{name}: is set beside {key_set}; remove {name} to verify with the key set.")
    if key_set and not env.get("BETTER_AUTH_URL"):
        for name in ("JWT_ISSUER", "JWT_AUDIENCE"):
            if not env.get(name):
                raise ConfigError(f"{name}: must be set with JWT_JWKS_URL.")


def _integer(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise ConfigError(f"{name}: must be a whole number from {low} to {high}.")
    return int(text)


def _choice(env: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    given = (env.get(name) or default).lower()
    value = next((choice for choice in choices if choice.lower() == given), None)
    if value is None:
        raise ConfigError(f"{name}: must be one of {', '.join(choices)}.")
    return value


def _words(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(word for word in env.get(name, "").replace(",", " ").split() if word)


def _claims(env: Mapping[str, str]) -> tuple[str, ...]:
    claims = _words(env, "JWT_USER_ID_CLAIMS") or ("sub", "user_id")
    if not all(re.fullmatch(r"[\w:/-]+(\.[\w:/-]+)*", claim) for claim in claims):
        raise ConfigError("JWT_USER_ID_CLAIMS: must list claims such as sub or user.id.")
    return claims


def _origins(env: Mapping[str, str]) -> tuple[str, ...]:
    origins = _words(env, "CORS_ORIGINS")
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ConfigError("CORS_ORIGINS: must list origins such as https://app.example.com.")
    return origins

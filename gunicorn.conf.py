"""How gunicorn runs the service; what stands on its command line wins."""

import contextlib
import os
import runpy
import shutil
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

# Not imported: workers load the application themselves, so that a reload (SIGHUP) takes new code.
app_config = runpy.run_path(str(Path(__file__).parent / "app" / "config.py"))
try:
    # Here, before any worker starts: one that cannot start would be started again and again.
    settings = app_config["Settings"].load()
except app_config["ConfigError"] as error:
    sys.exit(error.message)

READ_SECONDS = 5
# Where all threads are taken, and others wait for one.
HURRIED_READ_SECONDS = 1


class BoundedWorker(ThreadWorker):
    """gunicorn's threaded worker, whose threads no client keeps for long by sending a byte now and then."""

    def init_process(self) -> None:
        self.began: dict[TConn, float] = {}
        self.requests: dict[TConn, Any] = {}
        super().init_process()

    def handle(self, conn: TConn) -> Any:
        """Read and answer one request, in a thread."""
        self.began[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            self.began.pop(conn, None)
            self.requests.pop(conn, None)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request whose headers have come."""
        self.requests[conn] = req
        return super().handle_request(req, conn)

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Take connections, or none; one that leaves takes those that wait, then has the next ones refused.

        gunicorn keeps the socket open until the last request is answered, and connections that it never takes
        wait for as long.
        """
        leaves = not enabled and not self.alive
        if leaves:
            for listener in self.sockets:
                taken = -1
                while self.nr_conns > taken:
                    taken = self.nr_conns
                    self.accept(listener)
        super().set_accept_enabled(enabled)
        if leaves:
            for listener in self.sockets:
                listener.close()

    def murder_pending(self) -> None:
        """Look for late connections; the main loop does it each second."""
        super().murder_pending()
        seconds = READ_SECONDS if len(self.began) < self.cfg.threads else HURRIED_READ_SECONDS
        late = time.monotonic() - seconds
        for conn, began in list(self.began.items()):
            if began < late and not self._is_whole(conn):
                # Of reading alone: a request that came whole is answered, however long that takes.
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        """Wait for something to do, and look for late connections more often while all threads are taken."""
        hurried = len(self.began) >= self.cfg.threads
        super().wait_for_and_dispatch_events(min(timeout or 1, 0.25) if hurried else timeout)

    def _is_whole(self, conn: TConn) -> bool:
        """Whether the request is known to have come whole: its connection may serve the next one too."""
        request = self.requests.get(conn)
        return request is not None and getattr(request.body.reader, "length", None) == 0


def post_worker_init(worker: Any) -> None:
    """Have the first worker log whether migrations are missing, while it takes requests."""
    if worker.age == 1:
        readiness = worker.wsgi.extensions["readiness"]
        threading.Thread(target=readiness.log_missing_migrations, daemon=True).start()


def child_exit(_server: Any, worker: Any) -> None:
    """Take what a worker that ended had in hand out of the metrics."""
    # Not before the folder below is named: the package looks for it when it is imported.
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Remove the workers' metrics."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


# The tested parser; the default uses gunicorn_h1c where it is installed, which accepts other requests.
http_parser = "python"
bind = f"{settings.host}:{settings.port}"
workers = settings.workers
# Threads, so that a client that is slow to read, and a database that is slow to answer, hold up nobody else.
# DB_POOL_SIZE follows: connections beyond it would be opened and closed again and again.
worker_class = BoundedWorker
threads = settings.threads
timeout = 30
graceful_timeout = 25
# More than the proxy's (deploy/nginx.conf), so that it is never the one to find its connection closed.
keepalive = 5
# Against what leaks over weeks; with jitter, so that not all workers start anew at once.
max_requests = 200_000
max_requests_jitter = 20_000
# Its socket has one path for each user of the machine, so a second server would take it from the first.
control_socket_disable = True
# The application writes the access log.
accesslog = None
errorlog = "-"
# Its warnings quote requests that it could not read, and with them tokens.
loglevel = "error"
# A long token or a large cookie reaches the application, which answers it as problem details.
limit_request_field_size = 32_768
# The proxies whose X-Forwarded-Proto counts, and no header of theirs sets the path's prefix.
forwarded_allow_ips = settings.forwarded_allow_ips
forwarder_headers = ""

# The folder in which the workers put their metrics, one for each master. A reload (SIGHUP) comes here again.
if os.environ.get("METRICS_MASTER") != str(os.getpid()):
    os.environ["METRICS_MASTER"] = str(os.getpid())
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="tasks-metrics-")

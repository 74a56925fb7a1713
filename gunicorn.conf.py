"""gunicorn's settings for this service; its command line overrides them."""

import contextlib
import os
import runpy
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

# Do not import the application: each worker loads it, so that a reload (SIGHUP) runs new code.
app_config = runpy.run_path(str(Path(__file__).parent / "app" / "config.py"))
try:
    # Validate settings in the master; otherwise gunicorn would restart a failing worker forever.
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


def child_exit(_server: Any, worker: Any) -> None:
    """Remove an exited worker's gauges from the metrics."""
    # Import after the folder below is set: the package reads it on import.
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Remove the folder of the workers' metrics."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


# The tested parser; the default uses gunicorn_h1c where it is installed, which accepts other requests.
http_parser = "python"
bind = f"{settings.host}:{settings.port}"
workers = settings.workers
# With threads, a slow client or a slow statement does not block other requests.
# DB_POOL_SIZE follows: connections beyond it would be opened and closed again and again.
worker_class = BoundedWorker
threads = settings.threads
timeout = 30
graceful_timeout = 25
# Longer than the proxy's (deploy/nginx.conf), so that the proxy closes idle connections first.
keepalive = 5
# Restart workers against slow memory leaks; the jitter spreads the restarts.
max_requests = 200_000
max_requests_jitter = 20_000
# Its socket has one path for each user of the machine, so two servers would share it.
control_socket_disable = True
# The application writes the access log.
accesslog = None
errorlog = "-"
# Its warnings quote requests that it cannot parse, tokens included.
loglevel = "error"
# Pass long tokens and large cookies on to the application, which responds with problem details.
limit_request_field_size = 32_768
# Trust X-Forwarded-Proto from these proxies; no header sets the path's prefix.
forwarded_allow_ips = settings.forwarded_allow_ips
forwarder_headers = ""

# The folder of the workers' metrics, one for each master. A reload (SIGHUP) executes this file again.
if os.environ.get("METRICS_MASTER") != str(os.getpid()):
    os.environ["METRICS_MASTER"] = str(os.getpid())
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="tasks-metrics-")

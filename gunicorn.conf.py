"""How gunicorn runs the service; what stands on its command line wins."""

import os
import runpy
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

# Not imported: workers load the application themselves, so that a reload (SIGHUP) takes new code.
app_config = runpy.run_path(str(Path(__file__).parent / "app" / "config.py"))
try:
    # Here, before any worker starts: one that cannot start would be started again and again.
    settings = app_config["Settings"].load()
except app_config["ConfigError"] as error:
    sys.exit(error.message)


def child_exit(_server: Any, worker: Any) -> None:
    """Take what a worker that ended had in hand out of the metrics."""
    # Not before the folder below is named: the package looks for it when it is imported.
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Remove the workers' metrics."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


bind = f"{settings.host}:{settings.port}"
workers = settings.workers
# Threads, so that a client that is slow to read, and a database that is slow to answer, hold up nobody else.
# No more than DB_POOL_SIZE, or connections beyond it would be made and closed again and again.
worker_class = "gunicorn_worker.Worker"
threads = 6
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

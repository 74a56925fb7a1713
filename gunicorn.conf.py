"""gunicorn's settings for this service; its command line overrides them."""

import os
import runpy
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any


def load_settings() -> Any:
    """The settings of this moment; exits with a message that names an invalid one."""
    # Do not import the application: each worker loads it, so that a reload (SIGHUP) runs new code.
    config = runpy.run_path(str(Path(__file__).parent / "app" / "config.py"))
    try:
        return config["Settings"].load()
    except config["ConfigError"] as error:
        sys.exit(error.message)


# Validate settings in the master; otherwise gunicorn would restart a failing worker forever.
settings = load_settings()


def settings_are_usable(log: Any) -> bool:
    """Whether a reload can use the settings of this moment; the log names an invalid one."""
    try:
        load_settings()
    except SystemExit as error:
        log.error("%s The old workers continue.", error)
        return False
    return True


def on_starting(server: Any) -> None:
    """Ignore a reload (SIGHUP) with invalid settings, which would end the service."""
    reload = server.handle_hup
    server.handle_hup = lambda: reload() if settings_are_usable(server.log) else None


def on_exit(_server: Any) -> None:
    """Remove the folder of the workers' metrics."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


# The tested parser; the default uses gunicorn_h1c where it is installed, which accepts other requests.
http_parser = "python"
bind = settings.address
workers = settings.workers
# With threads, a slow statement does not block other requests. DB_POOL_SIZE follows: connections beyond it
# would be opened and closed again and again.
worker_class = "gunicorn_worker.Worker"
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
# app/proxies.py applies the headers of trusted proxies; no header sets the path's prefix.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

# The folder of the workers' metrics, one for each master. A reload (SIGHUP) executes this file again.
if os.environ.get("METRICS_MASTER") != str(os.getpid()):
    os.environ["METRICS_MASTER"] = str(os.getpid())
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="tasks-metrics-")

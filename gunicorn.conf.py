"""How gunicorn runs the service; what stands on its command line wins."""

import runpy
import sys
from pathlib import Path

# Not imported: workers load the application themselves, so that a reload (SIGHUP) takes new code.
app_config = runpy.run_path(str(Path(__file__).parent / "app" / "config.py"))
try:
    # Here, before any worker starts: one that cannot start would be started again and again.
    settings = app_config["Settings"].load()
except app_config["ConfigError"] as error:
    sys.exit(error.message)

bind = f"{settings.host}:{settings.port}"
workers = settings.workers
# Threads, so that a slow client does not stop a worker.
worker_class = "gthread"
threads = 8
timeout = 30
graceful_timeout = 25
keepalive = 5
# Its socket has one path for each user of the machine, so a second server would take it from the first.
control_socket_disable = True
# The application writes the access log.
accesslog = None
errorlog = "-"
# Its warnings quote requests that it could not read, and with them tokens.
loglevel = "error"
# No proxy before it sets the path's prefix by a header, so no client does either.
forwarder_headers = ""

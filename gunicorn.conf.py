"""How gunicorn runs the service; what stands on its command line wins."""

import os
import sys

from app.config import ConfigError, Settings

try:
    # Here, before any worker starts: a worker that cannot start would be started again and again.
    Settings.load()
except ConfigError as error:
    sys.exit(error.message)

bind = f"{os.environ.get('HOST') or '127.0.0.1'}:{os.environ.get('PORT') or 8000}"
workers = int(os.environ.get("WEB_CONCURRENCY") or os.cpu_count() or 2)
# Threads keep a slow client from stopping a worker.
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
loglevel = "warning"

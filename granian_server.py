"""Run the service on granian, with the settings and the limits that gunicorn.conf.py gives gunicorn."""

import logging
import runpy
import socket
import sys
from pathlib import Path
from typing import Any

from gunicorn.systemd import sd_notify

try:
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server.mp import MPServer
except ModuleNotFoundError:
    sys.exit("SERVER: granian is not installed; pip install -r requirements-granian.txt installs it.")

ROOT = Path(__file__).parent
# For each worker; idle ones count, and each is an open file.
CONNECTIONS = 512
# How long a new worker may take to load the application before the one that it replaces stops.
START_SECONDS = 3.5
# Standard output is the application's log.
STDERR = {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stderr"}
log = logging.getLogger("_granian")


class Server(MPServer):
    """granian, which goes on with the old workers where a reload finds settings that cannot be used."""

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        """Start new workers, which load the application and `.env` anew."""
        config = runpy.run_path(str(ROOT / "app" / "config.py"))
        try:
            config["Settings"].load()
        except config["ConfigError"] as error:
            log.error("%s The old workers go on.", error.message)
        else:
            super().signal_handler_reload(*args, **kwargs)  # type: ignore[no-untyped-call]


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    conf = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    settings = conf["settings"]
    try:
        # granian shares a port with a server that has it already.
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        sys.exit(f"PORT: {settings.host}:{settings.port} cannot be used ({error.strerror}).")
    server = Server(
        "wsgi:app",
        interface=Interfaces.WSGI,
        working_dir=ROOT,
        address=settings.host,
        port=settings.port,
        http=HTTPModes.http1,
        workers=conf["workers"],
        blocking_threads=conf["threads"],
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(
            # For the headers of a request, and for the wait for the next one.
            header_read_timeout=conf["keepalive"] * 1000,
            # For all headers together, as nginx has it.
            max_buffer_size=4 * conf["limit_request_field_size"],
        ),
        workers_kill_timeout=conf["graceful_timeout"],
        respawn_failed_workers=True,
        respawn_interval=START_SECONDS,
        log_level=LogLevels.error,
        log_dictconfig={"handlers": {"console": STDERR, "access": STDERR}},
    )
    server.on_startup(lambda: sd_notify("READY=1", log))  # type: ignore[arg-type]  # it only logs
    server.on_shutdown(lambda: conf["on_exit"](None))
    server.serve()


if __name__ == "__main__":
    main()

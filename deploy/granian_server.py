"""Run the service on granian, with the settings and limits of gunicorn.conf.py."""

import importlib
import logging
import runpy
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from gunicorn.systemd import sd_notify

try:
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.net import SocketHolder  # type: ignore[attr-defined]
    from granian.server.mp import MPServer
except ModuleNotFoundError:
    sys.exit("SERVER: granian is not installed; run pip install -r requirements-granian.txt.")

# Per worker, idle ones included; each needs a file descriptor.
CONNECTIONS = 512
# Time for a new worker to load the application before the one that it replaces stops.
START_SECONDS = 3.5
# Standard output is the application's log.
STDERR = {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stderr"}
log = logging.getLogger("_granian")


class Server(MPServer):
    """granian, but no request is lost when a worker is replaced."""

    settings_are_usable: Callable[[logging.Logger], bool]

    def _init_shared_socket(self) -> None:
        # One for all workers, as on systems without SO_REUSEPORT: connections that wait in the queue of a
        # worker's own socket would be lost with it.
        family = socket.AF_INET6 if ":" in self.bind_addr else socket.AF_INET
        address = self.bind_addr, self.bind_port
        self._sso = socket.create_server(address, family=family, backlog=self.backlog)
        # Inherited by each connection: otherwise a response in two pieces waits 40 ms for the client's ACK.
        self._sso.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sso.set_inheritable(True)
        self._shd = SocketHolder(self._sso.fileno(), False, self.backlog)  # type: ignore[assignment, call-arg]

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        """Start new workers, which load the application and `.env` again."""
        if self.settings_are_usable(log):
            super().signal_handler_reload(*args, **kwargs)  # type: ignore[no-untyped-call]


def load(_target: str) -> Any:
    """The application, in a worker."""
    # The inherited handlers would ignore a SIGTERM that arrives while the application loads.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    return importlib.import_module("wsgi").app


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    conf = runpy.run_path("gunicorn.conf.py")
    settings = conf["settings"]
    server = Server(
        "wsgi:app",
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        http=HTTPModes.http1,
        workers=conf["workers"],
        blocking_threads=conf["threads"],
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(
            # Also limits the wait for the next request.
            header_read_timeout=conf["keepalive"] * 1000,
            # For all headers together, as in deploy/nginx.conf.
            max_buffer_size=4 * conf["limit_request_field_size"],
        ),
        workers_kill_timeout=conf["graceful_timeout"],
        respawn_failed_workers=True,
        respawn_interval=START_SECONDS,
        log_level=LogLevels.error,
        log_dictconfig={"handlers": {"console": STDERR, "access": STDERR}},
    )
    server.settings_are_usable = conf["settings_are_usable"]
    server.on_startup(lambda: sd_notify("READY=1", log))  # type: ignore[arg-type]  # it only logs to it
    try:
        server.serve(target_loader=load)
    finally:
        conf["on_exit"](None)


if __name__ == "__main__":
    main()

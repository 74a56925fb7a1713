"""gunicorn's threaded worker, in which slow, silent or departed clients hold up nobody else.

The main loop does whatever depends on a client: it reads requests, sends what the kernel does not take of a
response at once, and waits for clients to close. A thread gets a request that has arrived whole and never
waits for a socket.
"""

import errno
import os
import re
import resource
import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn import util
from gunicorn.http import get_parser
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import TConn, ThreadWorker

# For a request to arrive whole, for a response to make progress, for a client to close.
READ_SECONDS = 10
WRITE_SECONDS = 10
LINGER_SECONDS = 2
# For a request on an idle connection of a worker that stops.
STOP_SECONDS = 2
# Of a body: what the application takes, and what gunicorn's parser reads ahead; a batch has a larger one.
BODY_BYTES = 64 * 1024 + 1024
BATCH_BODY_BYTES = 1024 * 1024 + 1024
# Of a request as it is sent beyond its body; and of a worker's half requests and unsent responses together.
HEAD_BYTES = 64 * 1024
HELD_BYTES = 64 * 1024 * 1024
# File descriptors for everything but clients: database, metrics, logs.
RESERVED_FILES = 128
NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

BATCH = re.compile(rb"POST [^ ?]*/batch/?[ ?]")
FRAMING = re.compile(rb"\r\n(content-length|transfer-encoding|expect):[ \t]*([^\r\n]*)", re.IGNORECASE)
CHUNK = re.compile(rb"([0-9a-f]+)[ \t]*(?:;[^\r\n]*)?\r\n", re.IGNORECASE)
Step = Callable[["Connection"], None]

write_error = util.write_error
# The page of a request that gunicorn refuses, without its message, which quotes the request.
util.write_error = lambda sock, status_int, reason, mesg: write_error(sock, status_int, reason, "")


class ClientSocket(socket.socket):
    """A socket that never waits: gunicorn's calls read what has arrived, and keep what is to be sent."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        super().setblocking(False)
        self.arrived = bytearray()
        self.unsent = bytearray()

    def _do_nothing(self, *_: Any) -> None:
        pass

    setblocking = settimeout = shutdown = close = _do_nothing

    def recv(self, size: int, _flags: int = 0) -> bytes:
        """Read from what has arrived. Raises NoMoreData at its end: the rest of a body is no request."""
        if not self.arrived:
            raise NoMoreData
        data = bytes(self.arrived[:size])
        del self.arrived[:size]
        return data

    def sendall(self, data: Any, _flags: int = 0) -> None:
        """Keep data for `flush`, so that a response goes in one piece."""
        self.unsent += data

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Keep a part of a file for `flush`."""
        data = os.pread(file.fileno(), count or 0, offset)
        self.unsent += data
        return len(data)

    def flush(self) -> None:
        """Send what the kernel takes now. Raises OSError when the client is gone."""
        with suppress(BlockingIOError):
            if self.unsent:
                del self.unsent[: self.send(self.unsent)]

    def finish(self) -> None:
        """Tell the client that nothing more comes."""
        super().shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        """Close; what is not sent is given up, or the kernel would keep it for minutes."""
        if self.unsent:
            with suppress(OSError):
                self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        super().close()


class Incoming:
    """What has arrived of a request: enough to decide when a thread gets it.

    gunicorn's parser reads it again and decides what it means; it refuses what is malformed here.
    """

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self._searched = self._head = self._end = 0
        self._body_bytes = BODY_BYTES
        # A body in chunks: where the next one begins, and the size of those before it.
        self._next_chunk = self._decoded = 0
        self._expects = False

    def is_whole(self) -> bool:
        """Whether a thread can answer it without more, be it with an error."""
        if not self._head and not self._find_head():
            # A line that ends with LF alone is malformed.
            too_long = len(self.data) > HEAD_BYTES + BODY_BYTES
            return too_long or self.data.count(b"\n") > self.data.count(b"\r\n")
        if len(self.data) > HEAD_BYTES + self._body_bytes:
            return True
        return len(self.data) >= self._end if self._end else self._chunks_arrived()

    def wants_continue(self) -> bool:
        """Whether the client waits for a 100 to send the body (RFC 9110, section 10.1.1); true once."""
        expects, self._expects = self._expects, False
        return expects

    def _find_head(self) -> bool:
        found = self.data.find(b"\r\n\r\n", max(self._searched - 3, 0))
        self._searched = len(self.data)
        if found < 0:
            return False
        if BATCH.match(self.data):
            self._body_bytes = BATCH_BODY_BYTES
        self._head = self._next_chunk = self._end = found + 4
        fields = {
            name.lower(): value.strip().lower() for name, value in FRAMING.findall(self.data, 0, self._head)
        }
        if not fields:
            return True
        self._expects = b"expect" in fields and self.data.find(b" HTTP/1.1\r\n", 0, self._head) > 0
        length = fields.get(b"content-length", b"0")
        if b"chunked" in fields.get(b"transfer-encoding", b""):
            self._end = 0
        elif length.isdigit() and len(length) < 10 and int(length) <= self._body_bytes:
            self._end += int(length)
        return True

    def _chunks_arrived(self) -> bool:
        while chunk := CHUNK.match(self.data, self._next_chunk):
            size = int(chunk[1], 16)
            if not size:
                return self.data.find(b"\r\n\r\n", chunk.end() - 2) > 0
            self._decoded += size
            self._next_chunk = chunk.end() + size + 2
        missing = max(self._next_chunk - 2 - len(self.data), 0)
        # A whole line that begins no chunk is malformed.
        return self._decoded - missing > self._body_bytes or b"\n" in self.data[self._next_chunk :]


class Connection(TConn):
    """A client's connection."""

    sock: ClientSocket
    parser: Any
    timeout: float
    # What the main loop does at the next event of those that the poller looks for.
    step: Step
    events = 0
    # Whether another request may follow.
    stays = True

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, ClientSocket(sock), client, server)
        # No thread sets it up: there is no TLS.
        self.initialized = True
        self.parser = get_parser(cfg, self.sock, client)
        self.incoming = Incoming()


class Worker(ThreadWorker):
    """A worker whose threads get whole requests, and whose main loop waits for the clients."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files > 0:
            self.worker_connections = min(self.worker_connections, max(files - RESERVED_FILES, files // 2))
        # The connections that no thread has, the longest without progress first.
        self.waiting: OrderedDict[Connection, None] = OrderedDict()
        self.buffer = memoryview(bytearray(64 * 1024))
        self.next_look = self.next_notice = self.next_accept = 0.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Raise RuntimeError for TLS."""
        if cfg.is_ssl:
            raise RuntimeError("certfile, keyfile: remove them; TLS belongs to the proxy.")
        super().check_config(cfg, log)

    def accept(self, listener: socket.socket) -> bool:  # type: ignore[override]
        """Take a connection, if there is one; where it leaves no room for the next, drop the longest idle."""
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in NO_FILES:
                self._make_room()
                # Not at once: the main loop would do nothing but try.
                self.next_accept = time.monotonic() + 0.1
                super().set_accept_enabled(False)
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return False
        self.nr_conns += 1
        conn = Connection(self.cfg, sock, client, listener.getsockname())
        self._take(conn, lambda conn: self._wait(conn, self._read, READ_SECONDS))
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        return True

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Take connections, or none; a worker that stops takes those that wait, then has the next refused.

        gunicorn keeps the socket open until the last request is answered, and connections that it never takes
        wait for as long.
        """
        if enabled and time.monotonic() < self.next_accept:
            return
        stops = not enabled and not self.alive
        for listener in self.sockets if stops else ():
            while self.nr_conns < self.worker_connections and self.accept(listener):
                pass
        super().set_accept_enabled(enabled)
        if stops:
            for listener in self.sockets:
                listener.close()
            for conn in self.waiting:
                if conn.step == self._read and not conn.incoming.data:
                    conn.timeout = min(conn.timeout, time.monotonic() + STOP_SECONDS)

    def handle(self, conn: Connection) -> bool:  # type: ignore[override]
        """Answer a request, in a thread; what the kernel does not take now is left to the main loop."""
        stays = super().handle(conn)
        with suppress(OSError):
            conn.sock.flush()
        return stays

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a request whose head is read."""
        # The main loop has sent it where a client waits for it.
        req._expected_100_continue = False
        return super().handle_request(req, conn)

    def finish_request(self, conn: Connection, fs: Future[bool]) -> None:  # type: ignore[override]
        """Go on with a connection behind its request; in the main loop."""
        conn.stays = not fs.cancelled() and not fs.exception() and fs.result()
        self._take(conn, self._go_on)

    def murder_pending(self) -> None:
        """End what has waited too long; gunicorn's main loop asks after all events."""
        now = time.monotonic()
        if now >= self.next_look:
            self.next_look = now + 0.5
            self._bound_memory()
            for conn in [conn for conn in self.waiting if conn.timeout < now]:
                # Half a request is refused.
                (self._answer if conn.incoming.data else self._drop)(conn)

    def _wait(self, conn: Connection, step: Step, seconds: float, events: int = EVENT_READ) -> None:
        conn.step, conn.timeout = step, time.monotonic() + seconds
        self.waiting[conn] = None
        self._poll(conn, events)

    def _poll(self, conn: Connection, events: int) -> None:
        if conn.events and conn.events != events:
            self.poller.unregister(conn.sock)
            conn.events = 0
        if conn.events != events:
            self.poller.register(conn.sock, events, partial(self._on_event, conn))
            conn.events = events

    def _on_event(self, conn: Connection, _sock: Any) -> None:
        if conn in self.waiting:
            self._take(conn, conn.step)
        else:
            # A thread has it; or an earlier event had it dropped.
            self._poll(conn, 0)

    def _take(self, conn: Connection, step: Step) -> None:
        try:
            step(conn)
        except BlockingIOError:
            pass
        except OSError:
            # The client is gone.
            self._drop(conn)

    def _read(self, conn: Connection) -> None:
        count = conn.sock.recv_into(self.buffer)
        if not conn.incoming.data:
            conn.timeout = time.monotonic() + READ_SECONDS
        conn.incoming.data += self.buffer[:count]
        if not conn.incoming.data:
            self._drop(conn)
        elif count:
            self._look(conn)
        else:
            self._answer(conn)

    def _look(self, conn: Connection) -> None:
        if conn.incoming.is_whole():
            self._answer(conn)
        elif conn.incoming.wants_continue():
            conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _answer(self, conn: Connection) -> None:
        del self.waiting[conn]
        conn.sock.arrived = conn.incoming.data
        conn.incoming = Incoming()
        self.enqueue_req(conn)

    def _go_on(self, conn: Connection) -> None:
        if conn.sock.unsent:
            self._wait(conn, self._write, WRITE_SECONDS, EVENT_WRITE)
            self._bound_memory()
        elif not conn.stays:
            # Closing at once would reset the connection where it has more to read (RFC 9112, section 9.6).
            conn.sock.finish()
            self._wait(conn, self._drain, LINGER_SECONDS)
        elif rest := conn.parser.unreader.take_buffered() + conn.sock.arrived:
            conn.incoming = Incoming(rest)
            self._wait(conn, self._read, READ_SECONDS)
            self._look(conn)
        else:
            self._wait(conn, self._read, self.cfg.keepalive if self.alive else STOP_SECONDS)

    def _write(self, conn: Connection) -> None:
        conn.sock.flush()
        if conn.sock.unsent:
            conn.timeout = time.monotonic() + WRITE_SECONDS
            self.waiting.move_to_end(conn)
        else:
            del self.waiting[conn]
            self._go_on(conn)

    def _drain(self, conn: Connection) -> None:
        if not conn.sock.recv_into(self.buffer):
            self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        self.waiting.pop(conn, None)
        self._poll(conn, 0)
        conn.sock.hang_up()
        self.nr_conns -= 1

    def _bound_memory(self) -> None:
        held = {conn: len(conn.incoming.data) + len(conn.sock.unsent) for conn in self.waiting}
        excess = sum(held.values()) - HELD_BYTES
        for conn, size in held.items():
            if excess <= 0:
                break
            if size:
                self._drop(conn)
                excess -= size

    def _make_room(self) -> None:
        now = time.monotonic()
        if now >= self.next_notice:
            self.next_notice = now + 60
            self.log.error("No room beyond %d connections: the longest idle are dropped.", self.nr_conns)
        if self.waiting:
            self._drop(next(iter(self.waiting)))

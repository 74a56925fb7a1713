"""A port before PostgreSQL, for tests that count messages or break connections."""

import socket
import struct
import threading
from contextlib import suppress


class Wire:
    """A port before PostgreSQL that notes each query message (its manual, "Message Formats").

    While it is `mute` no query goes on; the next `hang_up_on_next` connections are closed once they are made.
    """

    def __init__(self, host: str, port: int) -> None:
        self.queries: list[str] = []
        self.mute = False
        self.hang_up_on_next = 0
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                threading.Thread(target=self._listen, args=(client, server), daemon=True).start()
                threading.Thread(target=self._copy, args=(server, client), daemon=True).start()

    def _listen(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError), client.makefile("rb") as stream:
            (length,) = struct.unpack("!i", head := stream.read(4))
            server.sendall(head + stream.read(length - 4))
            while kind := stream.read(1):
                (length,) = struct.unpack("!i", head := stream.read(4))
                body = stream.read(length - 4)
                if kind == b"Q":
                    self.queries.append(body.rstrip(b"\0").decode())
                    if self.mute:
                        continue
                server.sendall(kind + head + body)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                # ReadyForQuery, for the first time.
                if self.hang_up_on_next and data.endswith(b"Z\0\0\0\5I"):
                    self.hang_up_on_next -= 1
                    target.shutdown(socket.SHUT_RDWR)
                    return

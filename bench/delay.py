"""A TCP proxy that adds a delay to each round trip, as a database in another place does."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


@contextmanager
def delayed(url: str, delay_ms: float) -> Iterator[str]:
    """Run the proxy in front of a database and yield the database's URL through it."""
    parts = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "bench.delay", str(listener.fileno())]
        command += [f"{parts.hostname}", f"{parts.port}", f"{delay_ms}"]
        process = subprocess.Popen(command, pass_fds=[listener.fileno()])
        try:
            yield url.replace(f":{parts.port}/", f":{listener.getsockname()[1]}/")
        finally:
            process.terminate()
            process.wait()


async def main(descriptor: int, host: str, port: int, delay_ms: float) -> None:
    """Serve until terminated."""

    async def connect(from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(host, port)
        await asyncio.gather(_copy(from_client, to_server, delay_ms), _copy(from_server, to_client, 0))

    server = await asyncio.start_server(connect, sock=socket.socket(fileno=descriptor))
    await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_ms: float) -> None:
    while data := await reader.read(65_536):
        await asyncio.sleep(delay_ms / 1000)
        writer.write(data)
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))

"""The way of one node to Valkey: a proxy, which can be cut, and can swallow what is sent.

It is a process of its own, so that no work of the clients makes it slow. Its orders come by its
standard input, a line each; it ends with that.

    python -m tests.chaos.link PATH TARGET
"""

import asyncio
import sys

__all__ = ["Link"]


class Link:
    """The process, as it is told what to do."""

    def __init__(self, path: str, target: str) -> None:
        self.url = f"unix://{path}"
        self._path, self._target = path, target

    async def start(self) -> None:
        """Return once connections are taken."""
        command = [sys.executable, "-m", "tests.chaos.link", self._path, self._target]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        await self._process.stdout.readline()

    def cut(self) -> None:
        """Close every connection, and each new one at once."""
        self._order("cut")

    def hold(self) -> None:
        """Let nothing through, either way."""
        self._order("hold")

    def heal(self) -> None:
        """Be a way again; what was held goes through now."""
        self._order("heal")

    async def close(self) -> None:
        """End the process."""
        self._process.kill()
        await self._process.communicate()

    def _order(self, order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n".encode())


class _Proxy:
    """What happens in the process."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()

    def obey(self, order: str) -> None:
        """Carry out an order."""
        if order == "cut":
            self._is_cut = True
            for writer in self._open:
                writer.close()
        elif order == "hold":
            self._flows.clear()
        else:
            self._is_cut = False
            self._flows.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what a connection brings, both ways."""
        try:
            if not self._is_cut:
                there, back = await asyncio.open_unix_connection(self._target)
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        except OSError:
            pass
        finally:
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        finally:
            self._open.discard(writer)
            writer.close()


async def _run(path: str, target: str) -> None:
    proxy = _Proxy(target)
    await asyncio.start_unix_server(proxy.serve, path)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while order := await orders.readline():
        proxy.obey(order.decode().strip())


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))

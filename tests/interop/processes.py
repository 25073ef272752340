"""Real servers: `lamplighter serve` in a process of its own, on a port of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from lamplighter.app import Storage
from lamplighter.clock import SystemClock
from lamplighter.database.migrate import migrate
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import Login, NewRoom
from lamplighter.ids import ServerName

__all__ = ["SERVER", "Ended", "ServerProcess", "prepare", "reserved_port"]

_ROOT: Final = Path(__file__).parents[2]

SERVER: Final = ServerName("lamp.test")
#: How long a process may take to start or to stop on the busiest machine.
_PATIENCE_SECONDS: Final = 300
_CONFIG: Final = """\
server_name: {server}
listen: 127.0.0.1:{port}
data_dir: ./data
registration: open
rate_limits: off
{more}
"""


@dataclass(frozen=True)
class Ended:
    """How a process ended, and everything it has written to its standard error."""

    code: int
    log: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of the log that are JSON."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]


class ServerProcess:
    """A server that is started, stopped and killed from outside; it keeps port and data."""

    def __init__(
        self, folder: Path, port: int, config: str = "", server_name: str = SERVER
    ) -> None:
        """Serve at *port*, with *config* below the usual one, and with data below *folder*."""
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._config = folder / "lamplighter.yaml"
        self.configure(config, server_name)
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The number of the process that runs."""
        return self._running.pid

    @property
    def is_started(self) -> bool:
        """Whether the process was launched, and nobody has learned yet that it has ended."""
        return self._process is not None

    @property
    def log(self) -> str:
        """The lines that the process has written so far."""
        return "".join(self._lines)

    @property
    def memory(self) -> int:
        """How much memory the process has used at most, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def start(self) -> None:
        """Start the server; return once it serves, and ends in good order when it is told to."""
        self.launch()
        self.serves()

    def serves(self) -> None:
        """Return once the process that was launched serves."""
        for _ in range(_PATIENCE_SECONDS * 20):
            self.lives_for(0.05)
            # Between that line and the next request it answers, it has begun to heed signals.
            if '"serving"' in self.log and self._is_healthy():
                return
        raise AssertionError(f"the server does not answer\n{self.log}")

    def logged(self, text: str, times: int = 1) -> None:
        """Return once *text* stands in the log so many times."""
        for _ in range(_PATIENCE_SECONDS * 20):
            if self.log.count(text) >= times:
                return
            self.lives_for(0.05)
        raise AssertionError(f"the log does not say {text!r}\n{self.log}")

    def lives_for(self, seconds: float) -> None:
        """Return after so many seconds; fail if the process ends meanwhile."""
        with suppress(subprocess.TimeoutExpired):
            code = self._running.wait(seconds)
            raise AssertionError(f"the server has ended with code {code}\n{self.log}")

    def launch(self) -> None:
        """Start the process, and wait for nothing."""
        command = [sys.executable, "-m", "lamplighter", "serve", "-c", str(self._config)]
        environment = {**os.environ, "PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}"}
        self._lines = []
        self._process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(
            target=self._read, args=(self._process, self._lines), daemon=True
        )
        self._reader.start()

    def configure(self, config: str, server_name: str = SERVER) -> None:
        """Put *config* below the usual one; it counts with the next start, or reload."""
        usual = _CONFIG.format(server=server_name, port=self.port, more=config)
        # A node that reads its configuration just now reads the whole of one or the other.
        written = self._config.with_suffix(".new")
        written.write_text(usual)
        written.replace(self._config)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._running.send_signal(number)

    def ended(self) -> Ended:
        """Return how the process has ended, once it has."""
        process, reader = self._running, self._reader
        assert reader is not None
        code = process.wait(_PATIENCE_SECONDS)
        reader.join()
        self._process = None
        return Ended(code, self.log)

    def stop(self) -> Ended:
        """Tell the server to stop."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        """End the process in the middle of whatever it does, as a power cut would."""
        self.signal(signal.SIGKILL)
        self.ended()

    def kill_if_running(self) -> None:
        """Leave nothing behind."""
        if self._process is not None:
            self.kill()

    @property
    def _running(self) -> "subprocess.Popen[str]":
        assert self._process is not None, "the server does not run"
        return self._process

    def _is_healthy(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    @staticmethod
    def _read(process: "subprocess.Popen[str]", lines: list[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            lines.extend(process.stderr)


@contextmanager
def reserved_port() -> Iterator[int]:
    """Give a port on which a server can listen, and which nobody else is given meanwhile."""
    with socket.socket() as holder:
        # Whoever sets the same two options may bind there too, as the server does.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


async def prepare(folder: Path, names: Sequence[str], *, room: bool = False) -> list[Login]:
    """Create accounts without passwords, in one *room* if wanted, for a server that is not running.

    It is much faster than over HTTP, where each password costs its time.
    """
    database = Storage.in_directory(folder / "data").database
    try:
        await migrate(database)
        directory = SqlDirectory(database, SERVER, SystemClock())
        await directory.start()
        logins = [await directory.register(name, None) for name in names]
        if room:
            creator, *others = (login.user_id for login in logins)
            room_id = await directory.create_room(creator, NewRoom(preset="public_chat"))
            for user_id in others:
                await directory.join(user_id, room_id)
    finally:
        await database.close()
    return logins

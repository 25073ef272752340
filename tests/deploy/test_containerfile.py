"""The Containerfile. The tests follow its instructions without a container."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.docs.commands import ROOT, typed

CONTAINERFILE: Final = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
KNOWN: Final = frozenset(
    {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN"}
    | {"STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)

CONFIG: Final = """
server_name: example.org
modules:
  - module: lamplighter_examples.custom_presence_router.CustomPresenceRouter
    config: {shows: {}}
"""


def _instructions() -> list[tuple[str, str]]:
    lines = [it for it in CONTAINERFILE.splitlines() if it and not it.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def _stages() -> list[list[tuple[str, str]]]:
    stages: list[list[tuple[str, str]]] = []
    for word, rest in _instructions():
        if word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append((word, rest))
    return stages


def _copied() -> list[str]:
    """Return the files that are copied from the checkout."""
    copies = [shlex.split(rest) for word, rest in _instructions() if word == "COPY"]
    return [source for copy in copies if not copy[0].startswith("--") for source in copy[:-1]]


def test_every_line_is_an_instruction() -> None:
    """All instructions are known, and there are two stages."""
    assert {word for word, _ in _instructions()} <= KNOWN
    assert len(_stages()) == 2


def test_what_is_copied_is_there() -> None:
    """Every copied file is in the repository, and not hidden by .containerignore."""
    ignored = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    admitted = {line.removeprefix("!") for line in ignored if line.startswith("!")}

    assert [source for source in _copied() if not (ROOT / source).exists()] == []
    assert {source.partition("/")[0] for source in _copied()} == admitted


def test_it_does_not_run_as_root() -> None:
    """The last user is given by a number, and is not root."""
    [user] = [rest for word, rest in _stages()[-1] if word == "USER"]

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_it_serves_what_the_unit_serves() -> None:
    """Configuration and data are at the same places as for systemd."""
    last = dict(_stages()[-1])
    unit = (ROOT / "deploy" / "lamplighter.service").read_text(encoding="utf-8")

    command = " ".join(re.findall(r'"([^"]+)"', last["ENTRYPOINT"] + last["CMD"]))
    assert f"/bin/{command}\n" in unit
    assert f"WorkingDirectory={last['VOLUME']}\n" in unit


@pytest.mark.interop
@pytest.mark.timeout(600)  # it installs all dependencies of the server
def test_the_first_stage_makes_a_server(tmp_path: Path) -> None:
    """Its copies and commands, in an empty folder, make an environment with the server."""
    source, venv = tmp_path / "src", tmp_path / "venv"
    source.mkdir()
    for word, rest in _stages()[0]:
        if word == "RUN":
            typed(rest.replace("/venv", str(venv)), source)
        if word == "COPY":
            *files, target = shlex.split(rest)
            (source / target).parent.mkdir(parents=True, exist_ok=True)
            copied = [ROOT / file for file in files]
            subprocess.run(["cp", "-R", *copied, source / target], check=True)

    (tmp_path / "lamplighter.yaml").write_text(CONFIG)
    checked = typed("venv/bin/lamplighter check-config", tmp_path).stdout
    assert checked.endswith("custom_presence_router.CustomPresenceRouter can be loaded\n")

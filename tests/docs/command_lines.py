"""Whether a command line in a document can be typed."""

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

import typer.main
from typer.core import TyperCommand, TyperGroup

from lamplighter.cli.main import app
from tests.docs.commands import ROOT

__all__ = ["check_command"]

_VARIABLE: Final = re.compile(r"[A-Z_]+=.*")
_OPERATORS: Final = {"|", "||", "&&", ";"}
_TARGET: Final = re.compile(r"^([a-z-]+):", re.MULTILINE)

#: Programs that come with the machine, and what documents use them for.
_OTHERS: Final = {
    "apt-get": "installs what a server needs",
    "cp": "puts files where they belong",
    "curl": "asks a server",
    "echo": "gives a password to the next command",
    "export": "keeps a value for the commands that follow",
    "install": "puts files where they belong",
    "openssl": "makes certificates",
    "podman": "builds and runs the container",
    "sed": "makes a file from another one",
    "sqlite3": "copies a database that is in use",
    "systemctl": "starts and stops services",
    "systemd-sysusers": "makes the user that the service runs as",
    "systemd-analyze": "checks units",
    "journalctl": "shows the log",
    "tar": "packs and unpacks a backup",
    "umask": "lets nobody else read a new file",
}


def check_command(line: str) -> None:
    """Raise for a command line with a program, subcommand, option or target that is not there."""
    for words in _commands(line):
        program, *arguments = words
        if program == "lamplighter":
            _parse(typer.main.get_command(app), program, arguments)
        elif program == "make":
            _check_make(arguments)
        elif program.startswith("python"):
            _check_python(arguments)
        else:
            assert program in _OTHERS, f"{program}: a program that no page has used so far"


def _commands(line: str) -> Iterator[list[str]]:
    """Return the simple commands of a line, without variables, `sudo`, and redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _OPERATORS:
            words.append(word)
            continue
        yield _bare(words)
        words = []


def _bare(words: list[str]) -> list[str]:
    while words and (words[0] in ("sudo", "exec") or _VARIABLE.fullmatch(words[0])):
        words = words[1:]
        if words[:1] == ["-u"]:
            words = words[2:]
    assert words, "no command"
    program = words[0].rpartition("/")[2]
    redirection = next((n for n, word in enumerate(words) if word in ("<", ">", ">>")), None)
    return [program, *words[1:redirection]]


def _parse(command: object, name: str, arguments: list[str]) -> None:
    """Let the command line's own parser read it; nothing is run."""
    if isinstance(command, TyperGroup) and arguments and not arguments[0].startswith("-"):
        assert arguments[0] in command.commands, f"{name} has no command {arguments[0]}"
        _parse(command.commands[arguments[0]], f"{name} {arguments[0]}", arguments[1:])
    else:
        assert isinstance(command, TyperCommand | TyperGroup)
        command.make_context(name, arguments, resilient_parsing="--help" in arguments)


def _check_make(arguments: list[str]) -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    named = {word for word in arguments if not _VARIABLE.fullmatch(word)}
    assert named - targets == set(), "no such target"


def _check_python(arguments: list[str]) -> None:
    assert arguments[0] == "-m", "give a module to run"
    assert find_spec(arguments[1]) is not None, f"there is no module {arguments[1]}"

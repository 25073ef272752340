"""Every code block of the documents, and what is checked of each by its language."""

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamplighter.config import parse_config_text
from tests.docs.command_lines import check_command
from tests.docs.commands import ROOT

__all__ = ["HANDLERS", "Fence", "all_fences"]

_OPENS: Final = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+) *(?P<info>[^`]*)$")
_NAMED: Final = re.compile(r"^`([\w./-]+)`:$")


@dataclass(frozen=True, slots=True)
class Fence:
    """One code block."""

    page: str
    line: int
    language: str
    #: What stands above it as a file's name, if something does.
    file: str
    body: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def all_fences() -> Iterator[Fence]:
    """Return the blocks of README and of every page in docs/, those without a language too."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        yield from _fences(path)


def _fences(path: Path) -> Iterator[Fence]:
    lines = iter(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    above = ""
    for number, line in lines:
        opens = _OPENS.match(line)
        if opens is None:
            above = line or above
            continue
        body: list[str] = []
        for _, inside in lines:
            if inside.strip() == opens["fence"]:
                break
            body.append(inside.removeprefix(opens["indent"]))
        else:
            raise AssertionError(f"{path}:{number}: the block does not end")
        name = _NAMED.match(above)
        page = str(path.relative_to(ROOT))
        text = "\n".join(body) + "\n"
        yield Fence(page, number, opens["info"].strip(), name[1] if name else "", text)


def _python(fence: Fence) -> None:
    """Run it, unless it is a file that the page has the reader write: that has its own test."""
    if fence.file or fence.page == "README.md":
        assert _test_of(fence.page).is_file(), "no test writes this file and runs it"
    else:
        exec(compile(fence.body, str(fence), "exec"), {"__name__": "a_block"})


def _test_of(page: str) -> Path:
    """Return the test that does what a reader of *page* would."""
    path = Path(page)
    subject = "guides" if path.parent.name == "guides" else path.stem.lower().replace("-", "_")
    return ROOT / "tests" / "docs" / f"test_{subject}.py"


def _stub(fence: Fence) -> None:
    ast.parse(fence.body)


def _yaml(fence: Fence) -> None:
    """Take it as a configuration, or a part of one, or else find it in a file of deploy/."""
    if not _is_excerpt(fence):
        named = "" if "server_name:" in fence.body else "server_name: example.org\n"
        parse_config_text(named + fence.body, Path(str(fence)))


def _json(fence: Fence) -> None:
    json.loads(fence.body)


def _console(fence: Fence) -> None:
    typed = [line for line in fence.body.splitlines() if line.startswith("$ ")]
    assert typed, "no line of this block begins with `$ `"
    for line in typed:
        check_command(line.removeprefix("$ "))


def _excerpt(fence: Fence) -> None:
    assert _is_excerpt(fence), "no file in deploy/ has these lines"


def _is_excerpt(fence: Fence) -> bool:
    files = (path for path in (ROOT / "deploy").rglob("*") if path.is_file())
    return any(_flush(fence.body) in _flush(path.read_text(encoding="utf-8")) for path in files)


def _flush(text: str) -> str:
    """Return *text* in whole lines at the margin: an excerpt may be less deep."""
    return "\n".join(["", *(line.strip() for line in text.splitlines()), ""])


def _text(fence: Fence) -> None:
    """Nothing is checked: it is a drawing, or what a program has printed once."""


HANDLERS: Final[Mapping[str, Callable[[Fence], None]]] = {
    "caddyfile": _excerpt,
    "console": _console,
    "dockerfile": _excerpt,
    "ini": _excerpt,
    "json": _json,
    "nginx": _excerpt,
    "pyi": _stub,
    "python": _python,
    "sql": _excerpt,
    "text": _text,
    "yaml": _yaml,
}

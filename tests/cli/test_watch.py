"""Reloading when files change."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from lamplighter.cli.watch import FileWatch, watch
from lamplighter.devtools.clock import FakeClock
from lamplighter.service.reload import ReloadResult
from tests.scenarios.worlds import turns


def names(paths: Sequence[Path]) -> list[str]:
    """Return what the files are called."""
    return [path.name for path in paths]


def test_what_has_changed(tmp_path: Path) -> None:
    """Changed, new and removed files are reported once; other files are not."""
    one, other, third = (tmp_path / f"{name}.py" for name in ("one", "other", "third"))
    for path in (one, other):
        path.write_text("1")
    files = FileWatch(lambda: [one, other, third])
    assert names(files.changed()) == []
    one.write_text("22")
    assert names(files.changed()) == ["one.py"]
    third.write_text("3")
    other.unlink()
    assert names(files.changed()) == ["other.py", "third.py"]
    assert names(files.changed()) == []


async def test_watching(tmp_path: Path) -> None:
    """The files are compared once a second; after a change the result of the reload is printed."""
    path = tmp_path / "rule.py"
    path.write_text("1")
    clock, said = FakeClock(), list[str]()
    results = [ReloadResult(("Rule",)), ReloadResult(("Rule",), "it is no Python")]

    async def reload() -> ReloadResult:
        return results.pop(0)

    files = FileWatch(lambda: [path])
    task = asyncio.ensure_future(watch(clock, files, reload, said.append))
    for text in ("1", "22", "22", "333"):
        path.write_text(text) if text != path.read_text() else None
        await turns(3)
        clock.advance(seconds=1)
        await turns(3)
    task.cancel()
    assert said == [
        "rule.py changed; modules reloaded: Rule",
        "rule.py changed; the modules stay as they are: it is no Python",
    ]

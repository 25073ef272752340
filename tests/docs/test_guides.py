"""docs/guides/: each module works as its page says, by the page's own test."""

import json
from pathlib import Path
from typing import Final

import pytest

from lamplighter.cli.check_config import check_config
from lamplighter.config import load_config
from lamplighter.devtools.check import Kind, check_subject, subject_in_file
from tests.docs.commands import ROOT, commands, named_files, typed
from tests.interop.processes import reserved_port

#: The guides that have a module.
GUIDES: Final = [
    page
    for page in sorted(str(it.relative_to(ROOT)) for it in (ROOT / "docs/guides").glob("*.md"))
    if named_files(page, "python")
]


def _write(page: str, folder: Path) -> None:
    for name, content in named_files(page, "python", "yaml").items():
        (folder / name).write_text(content)
    (folder / "chart.json").write_text(json.dumps({"@bob:demo": "@alice:demo"}))


@pytest.mark.processes
def test_modules_pass_their_tests(tmp_path: Path) -> None:
    """Every module passes the tests on its page, run as the page says, all in one go."""
    for page in GUIDES:
        _write(page, tmp_path)
    typed_there = [command for page in GUIDES for command in commands(page)]
    [how] = {command.rpartition(" ")[0] for command in typed_there}
    files = [command.rpartition(" ")[2] for command in typed_there]

    printed = typed(f"{how} {' '.join(files)}", tmp_path).stdout

    assert len(files) == len(GUIDES)
    assert f"{_count_of_tests(tmp_path, files)} passed" in printed


def _count_of_tests(folder: Path, files: list[str]) -> int:
    return sum((folder / file).read_text().count("\ndef test_") for file in files)


@pytest.mark.parametrize("page", GUIDES)
def test_configurations_load_their_modules(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration on the page names the module on the page, in a form that it takes."""
    _write(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    with reserved_port() as port:
        config = Path("lamplighter.yaml")
        config.write_text(f"listen: 127.0.0.1:{port}\n{config.read_text()}")
        lines = list(check_config(config))

    assert lines[1:]
    assert all(line.endswith("can be loaded") for line in lines[1:])


@pytest.mark.parametrize("page", GUIDES)
def test_nothing_is_wrong_with_them(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`module check` finds nothing wrong with the module on the page, as the page configures it."""
    _write(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "lamplighter.yaml"
    modules = [entry.module for entry in load_config(file).modules]

    reports = [check_subject(subject_in_file(it, file), stopwatch=lambda: 0) for it in modules]

    # The allow list is in the module's own database, which is empty in a check: it says so.
    unsaid = [Kind.HARDLY_RUN] if page.endswith("allow-list.md") else []
    assert modules
    assert [it.kind for report in reports for it in report.findings] == unsaid

"""Importing code anew."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamplighter.modules.fresh import FreshImports, source_files
from tests.compat.rules_in_files import Folder, folder_of_modules


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder from which things are imported."""
    with folder_of_modules(tmp_path) as folder:
        yield folder


def value_of(name: str) -> object:
    """Return VALUE of the Python module with this name."""
    return importlib.import_module(name).VALUE


def test_a_package_and_what_is_beside_it(folder: Folder) -> None:
    """The package and a file beside it are imported anew; other imports stay."""
    (folder.path / "fresh_package").mkdir()
    folder.write("fresh_beside.py", "VALUE = 1")
    folder.write("fresh_package/__init__.py", "from fresh_package.part import VALUE")
    folder.write("fresh_package/part.py", "import yaml; from fresh_beside import VALUE")
    assert value_of("fresh_package") == 1
    old, library = sys.modules["fresh_package"], sys.modules["yaml"]
    folder.write("fresh_beside.py", "VALUE = 2")
    with FreshImports(["fresh_package.part.Class"]):
        assert value_of("fresh_package") == 2
    assert (old.VALUE, sys.modules["yaml"]) == (1, library)
    assert sys.modules["fresh_package"] is not old


def test_the_file_counts(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source counts, even if the compiled file has the same time and size."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder.write("fresh_module.py", "VALUE = 1")
    assert value_of("fresh_module") == 1
    before = (folder.path / "fresh_module.py").stat()
    folder.write("fresh_module.py", "VALUE = 2")
    os.utime(folder.path / "fresh_module.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    with FreshImports(["fresh_module.Class"]):
        assert value_of("fresh_module") == 2


def test_undo(folder: Folder) -> None:
    """`undo` puts the earlier imports back, and removes modules that only the new code has."""
    folder.write("fresh_module.py", "VALUE = 1")
    assert value_of("fresh_module") == 1
    old = sys.modules["fresh_module"]
    folder.write("fresh_module.py", "import fresh_other; VALUE = 2")
    folder.write("fresh_other.py", "")
    imports = FreshImports(["fresh_module.Class"])
    with imports:
        assert value_of("fresh_module") == 2
    imports.undo()
    assert sys.modules["fresh_module"] is old
    assert "fresh_other" not in sys.modules


def test_what_is_never_new() -> None:
    """The server's own code is never imported anew."""
    before = sys.modules["lamplighter.config"]
    with FreshImports(["lamplighter.devtools.Some", "synapse.module_api.Some"]):
        assert importlib.import_module("lamplighter.config") is before


def test_source_files(folder: Folder) -> None:
    """The files to watch are those of the package, imported or not, and those beside it."""
    (folder.path / "fresh_package").mkdir()
    for name in ("fresh_package/__init__.py", "fresh_package/part.py", "fresh_beside.py"):
        folder.write(name, "VALUE = 1")
    (folder.path / "elsewhere").mkdir()
    folder.write("elsewhere/other.py", "")
    assert value_of("fresh_package") == 1
    files = {
        path for path in source_files(["fresh_package.Class"]) if path.is_relative_to(folder.path)
    }
    assert {str(path.relative_to(folder.path)) for path in files} == {
        "fresh_package/__init__.py",
        "fresh_package/part.py",
        "fresh_beside.py",
    }

"""Modules as others write them import from `synapse`, also when a test names their classes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamplighter.modules import synapse_paths
from tests.compat.rules_in_files import Folder, folder_of_modules

synapse_paths.install()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder of modules."""
    with folder_of_modules(tmp_path) as folder:
        yield folder

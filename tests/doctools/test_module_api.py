"""The reference of the module API."""

import re

from doctools.module_api import module_api_reference
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.synapse_paths import SynapsePaths


def test_nothing_is_missing() -> None:
    """Every public name of the API has a section."""
    sections = re.findall(r"^### (\w+)$", module_api_reference(), re.MULTILINE)

    names = {name for name in dir(ModuleApi) if not name.startswith("_")}
    assert names - set(sections) == set()


def test_paths() -> None:
    """Every import path with names in it has a row."""
    rows = re.findall(r"^\| `(synapse[\w.]*)` \|", module_api_reference(), re.MULTILINE)

    assert set(SynapsePaths().paths) - set(rows) == {
        "synapse",
        "synapse.handlers",
        "synapse.logging",
    }

"""Providing `synapse.…` from its first import on."""

import importlib
import sys
from collections.abc import Iterator

import pytest

from lamplighter.modules import synapse_paths
from lamplighter.modules.synapse_on_demand import SynapseOnDemand, serve_on_demand


@pytest.fixture(autouse=True)
def served_on_demand() -> Iterator[None]:
    """Nothing is provided yet; after the test everything is, for the other tests."""
    synapse_paths.uninstall()
    serve_on_demand()
    yield
    synapse_paths.install()


def _waiting() -> int:
    return sum(isinstance(finder, SynapseOnDemand) for finder in sys.meta_path)


def test_the_first_import() -> None:
    """The first import installs the paths and removes the finder."""
    assert (synapse_paths.installed(), _waiting()) == (None, 1)
    module = importlib.import_module("synapse.module_api")
    assert module.ModuleApi.__module__ == "lamplighter.modules.api"
    assert (synapse_paths.installed() is not None, _waiting()) == (True, 0)


def test_other_imports() -> None:
    """Other imports do not install the paths."""
    with pytest.raises(ModuleNotFoundError, match="No module named 'synapses'"):
        importlib.import_module("synapses")
    assert (synapse_paths.installed(), _waiting()) == (None, 1)


def test_what_is_not_served() -> None:
    """A path that is not provided raises an error that tells what to use instead."""
    with pytest.raises(ModuleNotFoundError, match="Lamplighter has no synapse"):
        importlib.import_module("synapse.handlers.sync")


def test_a_server_that_comes_first() -> None:
    """Installing the paths before the first import removes the finder."""
    synapse_paths.install()
    assert _waiting() == 0

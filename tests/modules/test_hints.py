"""Hints for missing names."""

import importlib

import pytest

from lamplighter.modules import synapse_paths
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.hints import NOT_IN_API, NOT_IN_MODULE_API, api_hint, import_hint
from lamplighter.modules.other_callbacks import OTHER_CALLBACKS


def test_what_is_said_not_to_be_in_the_api_is_not_there() -> None:
    """None of these names is an attribute of `ModuleApi`, or registers other callbacks."""
    assert [name for name in NOT_IN_API if hasattr(ModuleApi, name)] == []
    assert NOT_IN_API.keys() & OTHER_CALLBACKS.keys() == set()
    assert {name: api_hint(name) for name in NOT_IN_API} == NOT_IN_API


@pytest.mark.parametrize("name", NOT_IN_MODULE_API)
def test_what_is_said_not_to_be_served_is_not(name: str) -> None:
    """An import of such a name fails, and the error says what to use instead."""
    synapse_paths.install()
    served = importlib.import_module("synapse.module_api")
    with pytest.raises(AttributeError) as refused:
        getattr(served, name)
    path = f"synapse.module_api.{name}"
    assert str(refused.value) == f"Lamplighter has no {path}: {import_hint(path)}"


@pytest.mark.parametrize(
    "name",
    [
        *("AccountDataManager", "CachedFunction", "DomainSpecificString", "Requester", "RoomID"),
        *("SimpleHttpClient", "UserInfo"),
    ],
)
def test_types_that_modules_annotate_with(name: str) -> None:
    """These types can be imported from `synapse.module_api`, as in Synapse."""
    synapse_paths.install()
    assert isinstance(getattr(importlib.import_module("synapse.module_api"), name), type)

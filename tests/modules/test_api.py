"""The facts in every module's API, and its errors for missing names."""

import pytest

from lamplighter.modules.synapse.types import RoomAlias, UserID
from tests.modules.fakes import World


async def test_facts(world: World) -> None:
    """The API knows its server; there are no workers."""
    api = world.api()
    assert (api.server_name, api.public_baseurl) == ("example.com", "https://example.com/")
    assert (api.worker_name, api.worker_app) == (None, None)
    assert api.should_run_background_tasks() is True
    assert api.get_current_time_msec() == world.clock.now()


@pytest.mark.parametrize(
    ("identifier", "mine"),
    [
        ("@bob:example.com", True),
        ("@bob:example.com:8448", False),
        ("@bob:elsewhere.org", False),
        ("!room:example.com", True),
        ("nonsense", False),
        (UserID("bob", "example.com"), True),
        (RoomAlias("hall", "elsewhere.org"), False),
    ],
)
async def test_is_mine(world: World, identifier: str | UserID, mine: bool) -> None:
    """An identifier, as a string or an object, belongs to this server by its server name."""
    assert world.api().is_mine(identifier) is mine


async def test_qualified_user_id(world: World) -> None:
    """A localpart becomes a user ID; a user ID is returned unchanged."""
    api = world.api()
    assert api.get_qualified_user_id("bob") == "@bob:example.com"
    assert api.get_qualified_user_id("@bob:elsewhere.org") == "@bob:elsewhere.org"


async def test_logger(world: World) -> None:
    """A module's logger is named after it."""
    assert world.api("my_package.Router").logger.name == "my_package.Router"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("register_no_such_callbacks", "this server only serves presence modules"),
        ("register_user", "accounts are managed with `lamplighter register-user`"),
        ("_store", "use api.run_db_interaction: modules have a database of their own"),
        ("defer_to_threadpool", "use await api.defer_to_thread(f, ...)"),
        ("no_such_thing", "this server only serves presence modules; help(api) lists"),
    ],
)
async def test_what_is_not_there(world: World, name: str, hint: str) -> None:
    """A missing name raises an error with the name, the module and what to use instead."""
    api = world.api("MyModule")
    assert not hasattr(api, name)
    with pytest.raises(AttributeError) as raised:
        getattr(api, name)
    expected = f"module MyModule: Lamplighter's ModuleApi has no {name!r}: {hint}"
    assert str(raised.value).startswith(expected)

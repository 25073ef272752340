"""Registering callbacks, and reading and setting presence, through the API."""

from typing import Any

import pytest

from lamplighter.presence.state import Presence, UserPresenceState
from tests.modules.fakes import ALICE, BOB, World, state_of


async def states_callback(states: list[UserPresenceState]) -> object:
    """Route nothing."""
    return {}


async def interest_callback(user_id: str) -> object:
    """Name no users."""
    return set()


async def test_both_callbacks(world: World) -> None:
    """Both callbacks are registered under the module's name; another call adds to them, and one
    without callbacks does nothing.
    """
    api = world.api("MyModule")
    api.register_presence_router_callbacks()
    assert (world.router.registered, api.is_presence_router) == ([], False)
    callbacks: dict[str, Any] = {
        "get_users_for_states": states_callback,
        "get_interested_users": interest_callback,
    }
    api.register_presence_router_callbacks(**callbacks)
    api.register_presence_router_callbacks(**callbacks)
    assert world.router.registered == [("MyModule", states_callback, interest_callback)] * 2
    assert api.is_presence_router


async def test_one_callback(world: World) -> None:
    """One callback without the other is a RuntimeError that names the module."""
    message = (
        "module MyModule registers {} alone: "
        "get_users_for_states and get_interested_users go together"
    )
    with pytest.raises(RuntimeError, match=message.format("get_users_for_states")):
        world.api("MyModule").register_presence_router_callbacks(
            get_users_for_states=states_callback
        )
    with pytest.raises(RuntimeError, match=message.format("get_interested_users")):
        world.api("MyModule").register_presence_router_callbacks(
            get_interested_users=interest_callback
        )
    assert world.router.registered == []


async def test_send_local_online_presence_to(running: World) -> None:
    """The host gets each user once, local and remote ones."""
    remote = "@charlie:somewhere.org"
    await running.api().send_local_online_presence_to(iter([BOB, remote, BOB]))
    assert running.host.sent_to == [[BOB, remote]]


@pytest.mark.parametrize("users", [["@bob:example.com", "bob"], [None], "@bob:example.com"])
async def test_send_to_malformed_users(running: World, users: Any) -> None:
    """A malformed user ID, or one instead of several, is a ValueError; no user gets anything."""
    with pytest.raises(ValueError):
        await running.api().send_local_online_presence_to(users)
    assert running.host.sent_to == []


async def test_set_presence_for_users(running: World) -> None:
    """States and messages reach the host; a state is a string."""
    await running.api().set_presence_for_users({ALICE: ("online", "hi"), BOB: ("offline", None)})
    assert running.host.was_set == [{ALICE: (Presence.ONLINE, "hi"), BOB: (Presence.OFFLINE, None)}]


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ({"bob": ("online", None)}, "'bob' is not a user ID"),
        ({BOB: ("away", None)}, "'away' is not a presence state"),
        ({BOB: (["online"], None)}, r"\['online'\] is not a presence state"),
        ({BOB: ("online", 7)}, "the status message 7 is not a string"),
        ({BOB: ("online", "é" * 600)}, f"{BOB}: the status message is longer than 1024 bytes"),
        ({BOB: ("online", "a\0b")}, f"{BOB}: the status message holds a NUL"),
        ({BOB: ("online", "\ud800")}, "the status message holds half of a surrogate pair"),
        ({BOB: "online"}, "give \\(state, status message\\), not 'online'"),
        ({BOB: ("online",)}, "give \\(state, status message\\)"),
    ],
)
async def test_set_malformed_presence(running: World, users: Any, message: str) -> None:
    """A wrong entry is a ValueError; nothing is set, not even the valid entries."""
    with pytest.raises(ValueError, match=message):
        await running.api().set_presence_for_users({ALICE: ("online", None), **users})
    assert running.host.was_set == []


async def test_busy_where_it_is_off() -> None:
    """If busy is off, a module cannot set it."""
    world = World(presences=frozenset(Presence) - {Presence.BUSY})
    world.runtime.start()
    with pytest.raises(ValueError, match="is not a presence state"):
        await world.api().set_presence_for_users({BOB: (Presence.BUSY.value, None)})
    await world.runtime.stop()


async def test_get_presence_for_users(running: World) -> None:
    """The states of all given users are returned; an unknown user has the default state. A
    malformed user ID is a ValueError.
    """
    bob = running.host.presence[BOB] = state_of(BOB, state="online", status_msg="here")
    presence = await running.api().get_presence_for_users([ALICE, BOB])
    assert presence == {ALICE: UserPresenceState.default(ALICE), BOB: bob}
    with pytest.raises(ValueError, match="'bob' is not a user ID"):
        await running.api().get_presence_for_users(["bob"])


async def test_subscribe_to_presence(world: World) -> None:
    """A callback, async or not, gets each list of announced states until it unsubscribes."""
    heard: list[object] = []

    async def listen(states: object) -> None:
        heard.append(states)

    unsubscribe = world.api("Async").subscribe_to_presence(listen)
    world.api("Sync").subscribe_to_presence(heard.append)
    bob = state_of(BOB)
    for callback in world.host.listeners.values():
        await callback((bob,))
    assert heard == [[bob], [bob]]
    unsubscribe()
    assert list(world.host.listeners) == ["Sync"]

"""The example module, as its author would test it."""

from types import ModuleType
from typing import Any

import pytest

from lamplighter.devtools.server import running_server
from lamplighter.modules import synapse_paths
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, state

SHOWS = {ALICE: [BOB, DORA], CHARLIE: [BOB]}


@pytest.fixture
def example() -> ModuleType:
    """The example's file, imported as Lamplighter imports modules."""
    synapse_paths.install()
    import lamplighter_examples.custom_presence_router as example

    return example


class FakeApi:
    """A `ModuleApi` that keeps the callbacks."""

    def __init__(self) -> None:
        self.callbacks: dict[str, Any] = {}

    def register_presence_router_callbacks(self, **callbacks: Any) -> None:
        self.callbacks = callbacks


@pytest.fixture
def callbacks(example: ModuleType) -> dict[str, Any]:
    """The callbacks of the module, with bob and dora shown to alice, and bob to charlie."""
    api = FakeApi()
    kind = example.CustomPresenceRouter
    kind(kind.parse_config({"shows": SHOWS}), api)
    return api.callbacks


@pytest.mark.parametrize(
    "config", [{}, {"shows": None}, {"shows": [ALICE]}, {"shows": {ALICE: BOB}}]
)
def test_mistakes(example: ModuleType, config: dict[str, object]) -> None:
    """A value that is no mapping to lists is refused, with the place of the mistake."""
    with pytest.raises(example.ConfigError) as refused:
        example.CustomPresenceRouter.parse_config(config)
    assert (refused.value.msg, refused.value.path) == (
        "give a mapping from viewers to lists of users",
        ("shows",),
    )


async def test_telling(callbacks: dict[str, Any]) -> None:
    """Each viewer is told of the users that they are shown, and of nobody else."""
    bobs, doras, alices = state(BOB), state(DORA), state(ALICE)
    told = await callbacks["get_users_for_states"]([bobs, doras, alices])
    assert told == {ALICE: {bobs, doras}, CHARLIE: {bobs}}
    assert await callbacks["get_users_for_states"]([alices]) == {}


async def test_interest(callbacks: dict[str, Any]) -> None:
    """A viewer may ask about the users of whom the viewer is told."""
    interested = callbacks["get_interested_users"]
    assert [await interested(user) for user in (ALICE, CHARLIE, BOB)] == [{BOB, DORA}, {BOB}, set()]


async def test_in_a_server(example: ModuleType) -> None:
    """In a server, alice sees bob without a room, and charlie does not."""
    module = (example.CustomPresenceRouter, {"shows": {ALICE: [BOB]}})
    async with running_server([module]) as server:
        alice, bob, charlie = [await server.register(name) for name in ("alice", "bob", "charlie")]
        await bob.set_status("online", "brb")
        for viewer in (alice, charlie):
            await viewer.sync()
        assert (alice.reads(bob), charlie.sees(bob)) == ("brb", False)

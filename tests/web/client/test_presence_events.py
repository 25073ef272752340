"""`m.presence` as clients read it."""

from typing import Any

import msgspec
import pytest

from lamplighter.clock import Timestamp
from lamplighter.devtools.clock import FakeClock
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.web.client.presence_events import (
    PresenceEncoder,
    presence_content,
    presence_event,
)
from tests.routing.people import BOB, state

NOW = Timestamp(5_000)


def quiet(presence: str = Presence.ONLINE) -> UserPresenceState:
    """Return bob's presence, who did nothing for a while."""
    return state(BOB, presence=presence).copy_and_replace(currently_active=False)


@pytest.mark.parametrize(
    ("state", "content"),
    [
        (
            state(BOB, "brb"),
            {
                "presence": "online",
                "last_active_ago": 4_000,
                "currently_active": True,
                "status_msg": "brb",
            },
        ),
        (quiet(), {"presence": "online", "last_active_ago": 4_000, "currently_active": False}),
        (quiet(Presence.UNAVAILABLE), {"presence": "unavailable", "last_active_ago": 4_000}),
        (state(BOB, presence=Presence.BUSY), {"presence": Presence.BUSY, "last_active_ago": 4_000}),
        (
            state(BOB, "gone", presence=Presence.OFFLINE),
            {"presence": "offline", "last_active_ago": 4_000, "status_msg": "gone"},
        ),
        (state(BOB, "", active=0), {"presence": "online", "currently_active": True}),
        (UserPresenceState.default(BOB), {"presence": "offline"}),
        (
            state(BOB, active=9_000),
            {"presence": "online", "last_active_ago": 0, "currently_active": True},
        ),
    ],
)
def test_content(state: UserPresenceState, content: dict[str, Any]) -> None:
    """The content says how long ago, and what is set; whether active, of who is online only."""
    assert presence_content(state, NOW) == content
    assert presence_event(state, NOW) == {
        "type": "m.presence",
        "sender": BOB,
        "content": content,
    }


def test_encoding() -> None:
    """An event is encoded as JSON, as of now."""
    clock = FakeClock(NOW)
    event = {"type": "m.presence", "sender": BOB, "content": presence_content(state(BOB), NOW)}
    assert msgspec.json.decode(PresenceEncoder(clock).encode(state(BOB))) == event


def test_encoding_once() -> None:
    """Within a millisecond a state is encoded once, and anew once time has passed."""
    clock = FakeClock(NOW)
    encoder = PresenceEncoder(clock)
    bobs = state(BOB)
    first = encoder.encode(bobs)
    assert encoder.encode(bobs) is first
    clock.advance(milliseconds=1)
    assert msgspec.json.decode(encoder.encode(bobs))["content"]["last_active_ago"] == 4_001


def test_many_states_in_one_millisecond() -> None:
    """Each state has its own JSON, however short-lived the ones before it were."""
    encoder = PresenceEncoder(FakeClock(NOW))
    messages = [f"message {number}" for number in range(1_000)]
    encoded = [encoder.encode(state(BOB, message)) for message in messages]
    assert [msgspec.json.decode(it)["content"]["status_msg"] for it in encoded] == messages

"""`m.presence` as clients read it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.clock import Timestamp
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.web.client import presence_events
from lamplighter.web.client.presence_events import (
    PresenceEncoder,
    presence_content,
    presence_event,
)
from tests.routing.people import ALICE, BOB, state

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
    """The content says how long ago, and what is set; whether active, of online users only."""
    assert presence_content(state, NOW) == content
    assert presence_event(state, NOW) == {
        "type": "m.presence",
        "sender": BOB,
        "content": content,
    }


def decoded(encoded: bytes) -> Any:
    """Return the events that were encoded."""
    return msgspec.json.decode(b"[" + encoded + b"]")


strange = st.sampled_from([None, "", "brb", "100 %d%%", '"last_active_ago":0', "\\", "é\n\u2028"])
states = st.builds(
    UserPresenceState,
    st.sampled_from([BOB, ALICE, '@%"last_active_ago":0:demo']),
    st.sampled_from(Presence),
    st.sampled_from([0, 1, 4_999, 5_000, 9_000]),
    st.just(0),
    st.just(0),
    strange,
    st.booleans(),
)


@given(st.lists(states), st.lists(states))
def test_encoding(before: list[UserPresenceState], told: list[UserPresenceState]) -> None:
    """Events are encoded as of now, also those that were encoded before."""
    encoder = PresenceEncoder()
    encoder.encode(before, Timestamp(1))
    encoder.encode(told, Timestamp(1))
    assert decoded(encoder.encode(told, NOW)) == [presence_event(state, NOW) for state in told]


def test_encoding_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state is encoded once; later only the number that changes with time is written."""
    encoder = PresenceEncoder()
    bobs = state(BOB)
    encoder.encode([bobs], NOW)
    monkeypatch.delattr(presence_events, "presence_event")
    events = decoded(encoder.encode([bobs, bobs], Timestamp(NOW + 1)))
    ages = [it["content"]["last_active_ago"] for it in events]
    assert ages == [4_001, 4_001]


def test_many_states_of_one_user() -> None:
    """Each state has its own JSON, however short-lived the ones before it were."""
    encoder = PresenceEncoder()
    messages = [f"message {number}" for number in range(1_000)]
    encoded = [decoded(encoder.encode([state(BOB, message)], NOW))[0] for message in messages]
    assert [event["content"]["status_msg"] for event in encoded] == messages

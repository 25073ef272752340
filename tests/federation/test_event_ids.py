"""The IDs of room events."""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.federation.event_ids import event_id_of

BASE: Final[dict[str, Any]] = {
    "room_id": "!r:domain",
    "sender": "@u:domain",
    "origin_server_ts": 1_000_000,
    "hashes": {"sha256": "onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g"},
    "depth": 3,
    "prev_events": ["$a"],
    "auth_events": ["$b"],
    "signatures": {"domain": {"ed25519:1": "x"}},
    "unsigned": {"age_ts": 1},
}


@pytest.mark.parametrize(
    ("kind", "state_key", "content", "event_id"),
    [
        (
            "message",
            None,
            {"body": "Here is the message content"},
            "$ywnOn_waOjwfPNuu8F2EVoPxwUnyANYkYSUZVSY_D2o",
        ),
        (
            "member",
            "@v:domain",
            {"membership": "invite", "displayname": "V"}
            | {"third_party_invite": {"display_name": "v", "signed": {"token": "t"}}},
            "$5U5QoF42bQSg52jm_3WTWy146dPB_wnb5VY7R48y7LE",
        ),
        (
            "power_levels",
            "",
            {"ban": 50, "invite": 0, "x": 1, "users": {"@u:domain": 100}},
            "$EqGEOckdjpqwwgDf1Q7DlzwtfApuo7ohxJrTN40wcl4",
        ),
        (
            "create",
            "",
            {"room_version": "11", "x": 1},
            "$IGN9ba6jEHnYAJzDWlCCswLYfpCS3Cql3MH0-mD8V2w",
        ),
        (
            "join_rules",
            "",
            {"join_rule": "restricted", "allow": [], "x": 1},
            "$4EZM-yLPl1z2PyPNeApV9rqhDk4sYWvGZ17_1SSdW8Y",
        ),
        (
            "redaction",
            None,
            {"redacts": "$z", "reason": "no"},
            "$ZW2HPE22jvnGlTqtEp-DNNDnKlRylsw7D-x2eSgi2Fo",
        ),
        (
            "history_visibility",
            "",
            {"history_visibility": "shared", "q": 1},
            "$uluueI0BgEU5qH6f5PjWqDJwQafjIOykFvWa9utdzn0",
        ),
    ],
)
def test_the_hash(kind: str, state_key: str | None, content: dict[str, Any], event_id: str) -> None:
    """The ID of an event is the one that Synapse computes in a room of version 11."""
    event = BASE | {"type": f"m.room.{kind}", "content": content}
    in_state = {} if state_key is None else {"state_key": state_key}
    assert event_id_of(event | in_state) == event_id


@pytest.mark.parametrize("invite", [None, 1, "signed", ["signed"], {}])
def test_an_invite_of_another_shape(invite: object) -> None:
    """A malformed third-party invite is not part of the hash."""
    event = BASE | {"type": "m.room.member", "content": {"membership": "invite"}}
    content = {"membership": "invite", "third_party_invite": invite}
    assert event_id_of(event | {"content": content}) == event_id_of(event)


@pytest.mark.parametrize(
    ("given_id", "event_id"),
    [
        ("$1:domain", "$1:domain"),
        ("1:domain", None),
        ("", None),
        ("$", None),
        ("$a\n", None),
        ("$" + "a" * 254, "$" + "a" * 254),
        ("$" + "a" * 255, None),
    ],
)
def test_a_given_id(given_id: str, event_id: str | None) -> None:
    """An event of an old room has its ID; a malformed ID is None."""
    assert event_id_of(BASE | {"event_id": given_id}) == event_id


@given(
    st.dictionaries(
        st.sampled_from(["type", "content", "event_id", "depth", "x"]),
        st.none()
        | st.text(st.characters())
        | st.floats()
        | st.lists(st.integers())
        | st.sampled_from(["m.room.member", {"third_party_invite": 1}, {"membership": "\ud800"}]),
    )
)
def test_any_event(event: dict[str, Any]) -> None:
    """No event raises an exception: the result is an ID or None."""
    event_id = event_id_of(event)
    assert event_id is None or event_id.startswith("$")

"""The value that stands for a user's presence."""

import pytest

from lamplighter.presence.state import PRESENCE_RANK, Presence, UserPresenceState

STATE = UserPresenceState("@alice:here", Presence.ONLINE, 1, 2, 3, "at lunch", True)


def test_presences_equal_their_string_on_the_wire() -> None:
    """Each presence equals the string that the specification, or MSC3026, gives it."""
    assert list(Presence) == ["offline", "unavailable", "online", "org.matrix.msc3026.busy"]


def test_rank_covers_every_presence_once() -> None:
    """Busy beats online beats unavailable beats offline, and no presence lacks a rank."""
    assert sorted(Presence, key=PRESENCE_RANK.__getitem__, reverse=True) == [
        Presence.BUSY,
        Presence.ONLINE,
        Presence.UNAVAILABLE,
        Presence.OFFLINE,
    ]
    assert sorted(PRESENCE_RANK.values()) == list(range(len(Presence)))


def test_fields_stand_in_the_module_api_s_order() -> None:
    """A state's fields have the names and the order that modules rely on."""
    assert list(STATE.as_dict().items()) == [
        ("user_id", "@alice:here"),
        ("state", "online"),
        ("last_active_ts", 1),
        ("last_federation_update_ts", 2),
        ("last_user_sync_ts", 3),
        ("status_msg", "at lunch"),
        ("currently_active", True),
    ]


def test_default_is_offline_and_never_seen() -> None:
    """Of a user of whom nothing is known it is said: offline, never seen, no message."""
    expected = UserPresenceState("@alice:here", "offline", 0, 0, 0, None, False)

    assert UserPresenceState.default("@alice:here") == expected


def test_copy_and_replace_leaves_the_original_alone() -> None:
    """A copy differs in the given fields only, and the original does not change."""
    original = UserPresenceState("@alice:here", "online", 1, 2, 3, "at lunch", True)
    copy = original.copy_and_replace(status_msg=None, state="offline")

    assert copy == UserPresenceState("@alice:here", "offline", 1, 2, 3, None, True)
    assert original == STATE


def test_a_misspelt_field_is_an_error() -> None:
    """A misspelt field raises instead of silently wiping something."""
    with pytest.raises(TypeError, match="status_message"):
        STATE.copy_and_replace(status_message="oops")


def test_a_state_is_immutable() -> None:
    """A module cannot change a state that others hold too."""
    with pytest.raises(AttributeError, match="immutable"):
        STATE.status_msg = "changed"  # type: ignore[misc]


@pytest.mark.parametrize(
    "field",
    [
        {"user_id": "@bob:here"},
        {"state": "offline"},
        {"last_active_ts": 9},
        {"last_federation_update_ts": 9},
        {"last_user_sync_ts": 9},
        {"status_msg": None},
        {"currently_active": False},
    ],
    ids=lambda field: next(iter(field)),
)
def test_every_field_counts_in_a_set(field: dict[str, object]) -> None:
    """States are one element of a set exactly if all their fields are equal."""
    assert len({STATE, STATE.copy_and_replace(), STATE.copy_and_replace(**field)}) == 2

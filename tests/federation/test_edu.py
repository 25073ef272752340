"""Presence EDUs: made and parsed."""

from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.clock import Timestamp, milliseconds
from lamplighter.federation.edu import ParsedEdu, parse_presence_edu, presence_edu
from lamplighter.ids import ServerName, UserId, server_of
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence, UserPresenceState
from tests.federation.values import json_values

NOW: Final = Timestamp(1_704_067_200_000)
THERE: Final = ServerName("there.example:8448")
DAVE: Final = UserId("@dave:there.example:8448")
ERIN: Final = UserId("@erin:there.example:8448")
GOOD: Final[dict[str, Any]] = {
    "user_id": DAVE,
    "presence": "online",
    "last_active_ago": 5000,
    "currently_active": True,
    "status_msg": "Making cupcakes",
    "a field that nobody knows": [1],
}
BELIEVED: Final = RemoteUpdate(
    DAVE, Presence.ONLINE, "Making cupcakes", timedelta(seconds=5), currently_active=True
)

user_ids = st.sampled_from([DAVE, ERIN, "@dave:there.example", "@x:here.example", "dave", ""])
#: Entries in which any field may be wrong.
entries = st.fixed_dictionaries(
    {},
    optional={
        "user_id": user_ids | json_values,
        "presence": st.sampled_from([*map(str, Presence), "Online", ""]) | json_values,
        "last_active_ago": st.integers() | json_values,
        "status_msg": st.text() | json_values,
        "currently_active": st.booleans() | json_values,
        "other": json_values,
    },
)
states = st.builds(
    UserPresenceState,
    user_id=st.sampled_from([DAVE, ERIN]),
    state=st.sampled_from(Presence),
    last_active_ts=st.integers(0, NOW + 1000),
    last_federation_update_ts=st.just(0),
    last_user_sync_ts=st.just(0),
    status_msg=st.none()
    | st.text(max_size=256, alphabet=st.characters(exclude_characters="\0", codec="utf-8")),
    currently_active=st.booleans(),
)


def state(presence: Presence, **fields: Any) -> UserPresenceState:
    """Return Dave's presence."""
    return UserPresenceState.default(DAVE).copy_and_replace(state=presence, **fields)


def parse(*push: object, busy_allowed: bool = True) -> ParsedEdu:
    """Return the parsed content of an EDU with the entries *push*."""
    return parse_presence_edu({"push": list(push)}, THERE, NOW, busy_allowed=busy_allowed)


@pytest.mark.parametrize(
    ("told", "entry"),
    [
        (
            state(Presence.ONLINE, last_active_ts=NOW - 5, currently_active=True, status_msg="Hi"),
            {
                "presence": "online",
                "last_active_ago": 5,
                "status_msg": "Hi",
                "currently_active": True,
            },
        ),
        (
            state(Presence.ONLINE, status_msg=""),
            {"presence": "online", "last_active_ago": 0, "currently_active": False},
        ),
        (
            state(Presence.UNAVAILABLE, last_active_ts=NOW + 5, currently_active=True),
            {"presence": "unavailable", "last_active_ago": 1},
        ),
        (
            state(Presence.BUSY, last_active_ts=1),
            {"presence": "org.matrix.msc3026.busy", "last_active_ago": NOW - 1},
        ),
        (state(Presence.OFFLINE), {"presence": "offline", "last_active_ago": 0}),
    ],
)
def test_an_edu_of_ours(told: UserPresenceState, entry: dict[str, Any]) -> None:
    """An entry always has `last_active_ago`; empty fields are left out."""
    assert presence_edu([told], NOW) == {
        "edu_type": "m.presence",
        "content": {"push": [{"user_id": DAVE, **entry}]},
    }


def test_how_many_users_an_edu_holds() -> None:
    """An EDU holds at most 50 users, in the given order."""
    many = [UserPresenceState.default(f"@{number}:x") for number in range(51)]
    push = presence_edu(many[:50], NOW)["content"]["push"]
    assert [entry["user_id"] for entry in push] == [it.user_id for it in many[:50]]
    with pytest.raises(ValueError, match="51 users"):
        presence_edu(many, NOW)


@pytest.mark.parametrize(
    ("entry", "update"),
    [
        ({"presence": "offline"}, RemoteUpdate(DAVE, Presence.OFFLINE)),
        ({"presence": "online", "status_msg": ""}, RemoteUpdate(DAVE, Presence.ONLINE)),
        ({"presence": "online", "status_msg": None}, RemoteUpdate(DAVE, Presence.ONLINE)),
        (
            {"presence": "org.matrix.msc3026.busy", "last_active_ago": 0},
            RemoteUpdate(DAVE, Presence.BUSY),
        ),
        (
            {"presence": "unavailable", "last_active_ago": NOW, "status_msg": "é" * 512},
            RemoteUpdate(DAVE, Presence.UNAVAILABLE, "é" * 512, timedelta(milliseconds=NOW)),
        ),
    ],
)
def test_what_may_be_left_out(entry: dict[str, Any], update: RemoteUpdate) -> None:
    """All fields except user and presence may be missing: Synapse leaves out empty ones."""
    assert parse({"user_id": DAVE, **entry}) == ParsedEdu([update], [])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"user_id": None}, "user_id: missing, or not a user ID"),
        ({"user_id": 1}, "user_id: missing, or not a user ID"),
        ({"user_id": "dave"}, "user_id: missing, or not a user ID"),
        ({"user_id": "@d\0:there.example:8448"}, "user_id: missing, or not a user ID"),
        ({"user_id": f"@{'d' * 255}:there.example:8448"}, "user_id: missing, or not a user ID"),
        ({"user_id": "@a:b"}, "user_id: @a:b is not a user of there.example:8448"),
        (
            {"user_id": "@dave:there.example"},
            "user_id: @dave:there.example is not a user of there.example:8448",
        ),
        ({"presence": None}, "presence: missing, or unknown"),
        ({"presence": ["online"]}, "presence: missing, or unknown"),
        ({"presence": "Online"}, "presence: missing, or unknown"),
        ({"presence": "free_for_chat"}, "presence: missing, or unknown"),
    ],
)
def test_each_entry_is_judged_alone(change: dict[str, Any], fault: str) -> None:
    """A wrong user ID or presence costs its entry, and no other; unknown fields are ignored."""
    other = RemoteUpdate(ERIN, Presence.OFFLINE)
    parsed = parse(GOOD, GOOD | change, {"user_id": ERIN, "presence": "offline"})
    assert parsed == ParsedEdu([BELIEVED, other], [f"push[1]: {fault}"])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"last_active_ago": None}, "last_active_ago: not an integer"),
        ({"last_active_ago": "5"}, "last_active_ago: not an integer"),
        ({"last_active_ago": 5.0}, "last_active_ago: not an integer"),
        ({"last_active_ago": True}, "last_active_ago: not an integer"),
        ({"last_active_ago": -1}, "last_active_ago: in the future, or from before the epoch"),
        ({"last_active_ago": NOW + 1}, "last_active_ago: in the future, or from before the epoch"),
        ({"last_active_ago": 10**400}, "last_active_ago: in the future, or from before the epoch"),
        ({"status_msg": 1}, "status_msg: not text"),
        ({"status_msg": ["x"]}, "status_msg: not text"),
        ({"status_msg": "a\0b"}, "status_msg: holds a NUL"),
        ({"status_msg": "\ud800"}, "status_msg: holds half of a surrogate pair"),
        ({"status_msg": "é" * 512 + "a"}, "status_msg: is longer than 1024 bytes"),
        ({"currently_active": None}, "currently_active: not a boolean"),
        ({"currently_active": 1}, "currently_active: not a boolean"),
        ({"last_active_ago": 1e300}, "last_active_ago: not an integer"),
        ({"last_active_ago": {}}, "last_active_ago: not an integer"),
        ({"status_msg": {"a": 1}}, "status_msg: not text"),
        ({"currently_active": "true"}, "currently_active: not a boolean"),
    ],
)
def test_a_field_that_is_wrong_costs_that_field_only(change: dict[str, Any], fault: str) -> None:
    """A wrong optional field is left out; the rest of the entry counts."""
    [name] = change
    without = {key: value for key, value in GOOD.items() if key != name}
    [believed] = parse(without).updates
    assert parse(GOOD | change, GOOD) == ParsedEdu(
        [believed, BELIEVED], [f"push[0]: {fault}; left out"]
    )


def test_busy_where_it_is_not_allowed() -> None:
    """Where busy is not allowed, it counts as unavailable."""
    busy = GOOD | {"presence": "org.matrix.msc3026.busy"}
    away = GOOD | {"presence": "unavailable"}
    assert parse(busy, busy_allowed=False) == parse(away) == ParsedEdu(parse(away).updates, [])


@pytest.mark.parametrize("content", [None, 1, "push", [], {}, {"push": None}, {"push": GOOD}])
def test_what_is_not_a_presence_edu(content: object) -> None:
    """Content without an array of entries is one fault and no updates."""
    parsed = parse_presence_edu(content, THERE, NOW, busy_allowed=True)
    assert parsed == ParsedEdu([], ["push: not an array"])


def test_too_many_entries() -> None:
    """The first thousand entries are read; all others are one fault."""
    assert parse(*[GOOD] * 1000) == ParsedEdu([BELIEVED] * 1000, [])
    assert parse(*[GOOD] * 1000, None, GOOD) == ParsedEdu(
        [BELIEVED] * 1000, ["push: 1002 entries, of which 1000 were read"]
    )


@given(st.lists(states, max_size=50))
def test_an_edu_is_parsed_as_it_was_made(told: list[UserPresenceState]) -> None:
    """The parser reads back every EDU that this server makes."""
    parsed = parse_presence_edu(presence_edu(told, NOW)["content"], THERE, NOW, busy_allowed=True)
    assert parsed == ParsedEdu([_as_update(state) for state in told], [])


@given(
    json_values
    | st.fixed_dictionaries({"push": json_values | st.lists(entries | json_values, max_size=5)}),
    st.booleans(),
)
def test_any_content(content: object, busy_allowed: bool) -> None:
    """No content raises an exception, each entry is either an update or a fault, and each update is
    about a user of the origin.
    """
    parsed = parse_presence_edu(content, THERE, NOW, busy_allowed=busy_allowed)
    assert {server_of(update.user_id) for update in parsed.updates} <= {THERE}
    push = content.get("push") if isinstance(content, dict) else None
    expected = len(push) if isinstance(push, list) else 1
    whole = [fault for fault in parsed.faults if not fault.endswith("left out")]
    assert len(parsed.updates) + len(whole) == expected
    for update in parsed.updates:
        ago = update.last_active_ago
        assert ago is None or 0 <= milliseconds(ago) <= NOW
        assert busy_allowed or update.presence is not Presence.BUSY
        assert len((update.status_msg or "").encode()) <= 1024


def _as_update(told: UserPresenceState) -> RemoteUpdate:
    ago = timedelta(milliseconds=max(1, NOW - told.last_active_ts))
    return RemoteUpdate(
        UserId(told.user_id),
        Presence(told.state),
        told.status_msg or None,
        ago if told.last_active_ts else None,
        currently_active=told.currently_active and told.state == Presence.ONLINE,
    )

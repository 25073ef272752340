"""Which presences a client may name."""

import pytest

from lamplighter.errors import InvalidParam
from lamplighter.presence.state import Presence
from lamplighter.web.client.presence_names import PresenceNames

PLAIN = PresenceNames(busy=False)
WITH_BUSY = PresenceNames(busy=True)


@pytest.mark.parametrize("name", ["online", "unavailable", "offline"])
def test_names(name: str) -> None:
    """The names of the specification name presences, with busy and without."""
    assert PLAIN.parse("presence", name) is Presence(name)
    assert WITH_BUSY.parse("presence", name) is Presence(name)


def test_busy() -> None:
    """`busy` has the name of its MSC, and only where the operator allows it."""
    assert WITH_BUSY.parse("presence", "org.matrix.msc3026.busy") is Presence.BUSY
    with pytest.raises(InvalidParam):
        PLAIN.parse("presence", "org.matrix.msc3026.busy")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "''"),
        ("Online", "'Online'"),
        ("online ", "'online '"),
        ("busy", "'busy'"),
        ("x" * 61, f"'{'x' * 60}'"),
        ("a\nb", r"'a\nb'"),
    ],
)
def test_other_names(name: str, shown: str) -> None:
    """Anything else is refused, with the field, a part of the value, and what is allowed."""
    with pytest.raises(InvalidParam) as refused:
        PLAIN.parse("set_presence", name)
    assert str(refused.value) == f"set_presence: {shown} is none of offline, unavailable, online"
    with pytest.raises(InvalidParam) as refused:
        WITH_BUSY.parse("presence", name)
    allowed = "offline, unavailable, online, org.matrix.msc3026.busy"
    assert str(refused.value) == f"presence: {shown} is none of {allowed}"

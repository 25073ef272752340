"""The alteration of a state."""

from lamplighter.recording.events import AS_THEY_ARE, alteration
from tests.routing.people import BOB, state


def test_alterations() -> None:
    """An alteration has the fields that clients see, and not those that only servers know."""
    base = state(BOB, "brb")
    assert alteration(base, base) == AS_THEY_ARE
    assert alteration(base.copy_and_replace(last_user_sync_ts=7), base) == AS_THEY_ARE
    shown = base.copy_and_replace(status_msg=None, state="unavailable")
    assert alteration(shown, base) == (("state", "unavailable"), ("status_msg", None))

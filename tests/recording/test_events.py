"""What is told otherwise than it is."""

from lamplighter.recording.events import AS_THEY_ARE, alteration
from tests.routing.people import BOB, state


def test_alterations() -> None:
    """What a client is shown counts, field by field; what only servers know does not."""
    base = state(BOB, "brb")
    assert alteration(base, base) == AS_THEY_ARE
    assert alteration(base.copy_and_replace(last_user_sync_ts=7), base) == AS_THEY_ARE
    shown = base.copy_and_replace(status_msg=None, state="unavailable")
    assert alteration(shown, base) == (("state", "unavailable"), ("status_msg", None))

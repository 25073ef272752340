"""The picture of a phone over some minutes."""

from datetime import timedelta

from doctools.timeline import draw_timeline, tell_story


def _at(minutes: int, seconds: int = 30) -> timedelta:
    return timedelta(minutes=minutes, seconds=seconds)


def test_the_story() -> None:
    """Activity holds for a minute, online without it for five, a client that stops for 30 s."""
    told = [(it.at, it.change.new.state, it.change.new.currently_active) for it in tell_story()]

    assert told == [
        (_at(0), "online", True),
        (_at(1), "online", False),
        (_at(5), "unavailable", False),
        (_at(7), "online", True),
        (_at(8), "online", False),
        (_at(9), "online", True),
        (_at(10), "online", False),
        (_at(11), "offline", False),
    ]


def test_it_says_what_is_told() -> None:
    """Each change is a line of text in the picture, with its reason."""
    picture = draw_timeline()

    assert "0:30 online, currently active: the state differs" in picture
    assert "9:30 online, currently active: the status message differs" in picture
    assert "11:30 offline: the state differs" in picture

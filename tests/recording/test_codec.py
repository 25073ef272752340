"""Events as lines, and back."""

import pytest

from lamplighter.errors import RecordUnreadable
from lamplighter.recording.codec import Decoder, Encoder
from lamplighter.recording.events import Away
from tests.recording.samples import EVENTS, at
from tests.routing.people import ALICE, BOB


def test_there_and_back() -> None:
    """What is written is what is read."""
    encoder, decoder = Encoder(), Decoder()
    text = b"".join(map(encoder.encode, EVENTS))
    events = [decoder.decode(line) for line in text.splitlines()]
    assert [event for event in events if event is not None] == list(EVENTS)


def test_numbers_for_names() -> None:
    """A user is named once, and a number from then on."""
    encoder = Encoder()
    assert encoder.encode(Away(at(0), [ALICE, BOB])) == (
        b'["user","@alice:demo"]\n["user","@bob:demo"]\n["away",1700000000000,[0,1]]\n'
    )
    assert encoder.encode(Away(at(1), [BOB])) == b'["away",1700000001000,[1]]\n'


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{}", b'["other",1]', b'["away","soon",[0]]', b'["away",1,[7]]',
        b'["began",1,99,"demo",5000]', b"\xff",
    ],
)  # fmt: skip
def test_no_line_of_a_record(line: bytes) -> None:
    """What no encoder wrote is refused, with no other error."""
    with pytest.raises(RecordUnreadable):
        Decoder().decode(line)

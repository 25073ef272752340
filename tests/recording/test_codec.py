"""Events as lines of JSON."""

import pytest

from lamplighter.errors import RecordUnreadable
from lamplighter.recording.codec import Decoder, Encoder
from lamplighter.recording.events import VERSION, Away
from tests.recording.samples import EVENTS, at
from tests.routing.people import ALICE, BOB


def test_numbers_for_ids() -> None:
    """A user ID stands in a line of its own, once; after that its number stands for it."""
    encoder = Encoder()
    assert encoder.encode(Away(at(0), [ALICE, BOB])) == (
        b'["name","@alice:demo"]\n["name","@bob:demo"]\n["away",1700000000000,[0,1]]\n'
    )
    assert encoder.encode(Away(at(1), [BOB])) == b'["away",1700000001000,[1]]\n'


def test_every_user_and_room_is_a_number() -> None:
    """No other line has a user or room ID."""
    lines = b"".join(map(Encoder().encode, EVENTS)).splitlines()
    ids = [line for line in lines if b'"@' in line or b'"!' in line]
    assert ids == [line for line in lines if line.startswith(b'["name"')]
    assert len(ids) == len(set(ids)) == 6


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{}", b"[]", b"7", b'["other",1]', b'["name",7]', b'["away","soon",[0]]',
        b'["away",1,[7]]', b'["away",1,[-1]]', b'["away",1,["@alice:demo"]]', b'["away",1,0]',
        b'["known",1,[{"user":0}]]', b'["late",1,7,[[0,[[[["why"]],[0]]]]]]', b"\xff",
    ],
)  # fmt: skip
def test_no_line_of_a_record(line: bytes) -> None:
    """A line that no encoder has written is a `RecordUnreadable`, and no other error."""
    decoder = Decoder()
    decoder.decode(b'["name","@alice:demo"]')
    with pytest.raises(RecordUnreadable, match="no line of a record"):
        decoder.decode(line)


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_another_form(version: int) -> None:
    """A record of an older or newer form is refused, and the error names both forms."""
    line = b'["began",1700000000000,%d,"demo",5000]' % version
    with pytest.raises(RecordUnreadable, match=f"form {version} .* form {VERSION}"):
        Decoder().decode(line)

"""The picture of the table of transitions."""

import xml.etree.ElementTree as ET

from doctools.device_states import draw_device_states
from lamplighter.presence.state import Presence
from lamplighter.presence.transitions import DEVICE_TRANSITIONS, Signal, Table

SVG = "{http://www.w3.org/2000/svg}"


def _texts(picture: str, style: str) -> list[str]:
    drawn = ET.fromstring(picture).iter(f"{SVG}text")
    return sorted(it.text or "" for it in drawn if style in it.get("class", "").split())


def _entries(table: Table, *targets: type | None) -> list[str]:
    return sorted(
        signal.value
        for entries in table.values()
        for signal, target in entries.items()
        if (None if target is None else type(target)) in targets
    )


def test_every_entry_is_drawn() -> None:
    """Each entry of the table is written once, in the colour of where it leads."""
    picture = draw_device_states(DEVICE_TRANSITIONS)

    named = _texts(picture, "say")
    named.remove("the presence that the signal names")
    dropped = _texts(picture, "drop")
    dropped.remove("the device is dropped")
    kinds = {type(it) for row in DEVICE_TRANSITIONS.values() for it in row.values()}
    [other] = kinds - {Presence, type(None)}
    assert named == _entries(DEVICE_TRANSITIONS, other)
    assert dropped == _entries(DEVICE_TRANSITIONS, None)
    assert _texts(picture, "time") == _entries(DEVICE_TRANSITIONS, Presence)


def test_another_table_is_another_picture() -> None:
    """Arrows go where the table says: to a neighbour, or past others below them."""
    online, busy = Presence.ONLINE, Presence.BUSY
    table: Table = {
        None: {Signal.ACTS: busy},
        online: {Signal.ACTS: busy, Signal.LEAVES: None},
        busy: {Signal.IDLES: online},
    }

    picture = draw_device_states(table)

    assert _texts(picture, "time") == ["acts", "acts", "idles"]
    assert _texts(picture, "drop") == ["leaves", "the device is dropped"]
    assert picture.count('class="halo"') == 1
    assert "not there: acts to busy. online: acts to busy, leaves to not there." in picture

"""The transition table, cell by cell."""

import pytest

from lamplighter.presence.state import Presence
from lamplighter.presence.transitions import DEVICE_TRANSITIONS, Signal, next_presence
from tests.presence.people import BUSY, OFFLINE, ONLINE, UNAVAILABLE

#: Rows: the presence of the device ("gone": there is none). Columns: signals.
TABLE = """
               set_presence  puts    acts    idles        lapses  leaves
  gone         named         named   gone    gone         gone    gone
  offline      named         named   offline offline      gone    gone
  unavailable  named         named   online  unavailable  gone    gone
  online       named         named   online  unavailable  gone    gone
  busy         busy          named   busy    busy         gone    gone
"""
WORDS: dict[str, Presence | None] = {
    "gone": None,
    "offline": OFFLINE,
    "unavailable": UNAVAILABLE,
    "online": ONLINE,
    "busy": BUSY,
}
HEAD, *ROWS = (line.split() for line in TABLE.strip().splitlines())
CELLS = [(row[0], *cell) for row in ROWS for cell in zip(HEAD, row[1:], strict=True)]


@pytest.mark.parametrize("named", list(Presence))
@pytest.mark.parametrize(("before", "signal", "after"), CELLS)
def test_cell(before: str, signal: str, after: str, named: Presence) -> None:
    """A device in each state becomes by each signal as in the table above."""
    expected = named if after == "named" else WORDS[after]

    assert next_presence(WORDS[before], Signal(signal), named) is expected


def test_the_table_above_is_complete() -> None:
    """Every state and every signal has its row and column."""
    assert [Signal(name) for name in HEAD] == list(Signal)
    assert {WORDS[row[0]] for row in ROWS} == {None, *Presence} == DEVICE_TRANSITIONS.keys()

"""The picture of what a device's presence becomes, drawn from the table of transitions.

Every entry of the table is in the picture, by its result: the presence that the signal names (the
rail above), another presence (an arrow between two boxes), or the end of the device (the line
below).
"""

from collections.abc import Mapping
from typing import Final

from doctools.svg import Drawing
from lamplighter.presence.state import Presence
from lamplighter.presence.transitions import Requested, Signal, Table

__all__ = ["draw_device_states"]

_BOX: Final = (132, 46)
_GAP: Final = 62
_EDGE: Final = 28
_RAIL_Y: Final = 24
_BOX_Y: Final = 128
_LANE_Y: Final = 200
_LANE: Final = 30
#: How far an entry that leads up or down is from the middle of its box.
_ASIDE: Final = 26

State = Presence | None


class _Picture:
    """The boxes and their places."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._columns: Mapping[State, int] = {state: place for place, state in enumerate(table)}
        self._lanes = [
            edge
            for edge in self._direct()
            if abs(self._columns[edge[0]] - self._columns[edge[1]]) != 1
        ]
        self._ground_y = _LANE_Y + _LANE * len(self._lanes) + 36
        width = 2 * _EDGE + len(table) * _BOX[0] + (len(table) - 1) * _GAP
        self._drawing = Drawing(
            width, self._ground_y + 44, "What a device's presence becomes", _in_words(table)
        )

    def render(self) -> str:
        self._draw_drops()
        self._draw_named()
        for edge, signals in self._direct().items():
            if edge in self._lanes:
                self._draw_lane(*edge, _names(signals))
            else:
                self._draw_neighbours(*edge, _names(signals))
        for state in self._table:
            self._draw_box(state)
        right = self._left(list(self._table)[-1]) + _BOX[0]
        words = "what is not drawn changes nothing"
        self._drawing.text(right, self._ground_y + 22, words, "small end soft")
        return self._drawing.render()

    def _draw_box(self, state: State) -> None:
        left, middle = self._left(state), _BOX_Y + _BOX[1] / 2
        style = "box" if state else "box absent"
        self._drawing.box(left, _BOX_Y, *_BOX, style)
        if state is None:
            self._drawing.text(left + _BOX[0] / 2, middle + 5, "not there", "strong middle soft")
        else:
            self._drawing.dot(left + 20, middle, 6, state.name.lower())
            self._drawing.text(left + 35, middle + 5, state.name.lower(), "strong")

    def _draw_named(self) -> None:
        """Draw the signals that name a presence: up from each state they apply to, down to it."""
        speaking = {
            state: _names(self._leading_to(state, Requested.PRESENCE)) for state in self._table
        }
        bottom = _RAIL_Y + 32
        left, right = self._left(next(iter(self._table))), self._left(list(self._table)[-1])
        for state, names in speaking.items():
            middle = self._left(state) + _BOX[0] / 2
            if names:
                x = middle - _ASIDE
                self._drawing.arrow([(x, _BOX_Y), (x, bottom)], "say")
                for row, name in enumerate(reversed(names)):
                    self._drawing.text(x - 8, _BOX_Y - 26 - 16 * row, name, "small end say")
            if state is not None:
                x = middle + _ASIDE
                self._drawing.arrow([(x, bottom), (x, _BOX_Y)], "say")
        self._drawing.box(left, _RAIL_Y, right - left + _BOX[0], 32, "rail", radius=16)
        words = "the presence that the signal names"
        self._drawing.text((left + right + _BOX[0]) / 2, _RAIL_Y + 21, words, "strong middle say")

    def _draw_drops(self) -> None:
        """Draw the line from each state that can be dropped to the box of dropped devices."""
        dropped = {state: _names(self._leading_to(state, None)) for state in self._table}
        target = self._left(None) + _BOX[0] / 2 - _ASIDE
        bottom = _BOX_Y + _BOX[1]
        for state, names in dropped.items():
            if not names:
                continue
            x = self._left(state) + _BOX[0] / 2 - _ASIDE
            self._drawing.line([(x, bottom), (x, self._ground_y)], "edge drop")
            for row, name in enumerate(reversed(names)):
                self._drawing.text(x + 8, self._ground_y - 10 - 16 * row, name, "small drop")
        last = max((state for state, names in dropped.items() if names), key=self._left)
        end = self._left(last) + _BOX[0] / 2 - _ASIDE
        self._drawing.arrow(
            [(end, self._ground_y), (target, self._ground_y), (target, bottom)], "drop"
        )
        self._drawing.text(target, self._ground_y + 22, "the device is dropped", "small drop")

    def _draw_neighbours(self, start: State, end: State, names: list[str]) -> None:
        """Draw an arrow between neighbours: to the right above, to the left below."""
        rightward = self._columns[end] > self._columns[start]
        near = self._left(start) + (_BOX[0] if rightward else 0)
        far = self._left(end) + (0 if rightward else _BOX[0])
        y = _BOX_Y + (15 if rightward else _BOX[1] - 15)
        self._drawing.arrow([(near, y), (far, y)], "time")
        self._drawing.text(
            (near + far) / 2, y - 7 if rightward else y + 17, ", ".join(names), "small middle time"
        )

    def _draw_lane(self, start: State, end: Presence, names: list[str]) -> None:
        """Draw an arrow below the boxes between its ends, over the lines that it crosses."""
        y = _LANE_Y + _LANE * self._lanes.index((start, end))
        bottom = _BOX_Y + _BOX[1]
        first = self._left(start) + _BOX[0] / 2 + _ASIDE
        last = self._left(end) + _BOX[0] / 2 + _ASIDE
        self._drawing.arrow(
            [(first, bottom), (first, y), (last, y), (last, bottom)], "time", crosses=True
        )
        self._drawing.text(first + 8, y - 7, ", ".join(names), "small time")

    def _direct(self) -> dict[tuple[State, Presence], list[Signal]]:
        edges: dict[tuple[State, Presence], list[Signal]] = {}
        for state, entries in self._table.items():
            for signal, target in entries.items():
                if isinstance(target, Presence):
                    edges.setdefault((state, target), []).append(signal)
        return edges

    def _leading_to(self, state: State, target: Requested | None) -> list[Signal]:
        return [signal for signal, entry in self._table[state].items() if entry is target]

    def _left(self, state: State) -> float:
        return _EDGE + self._columns[state] * (_BOX[0] + _GAP)


def draw_device_states(table: Table) -> str:
    """Return the picture of *table* as SVG."""
    return _Picture(table).render()


def _names(signals: list[Signal]) -> list[str]:
    return [signal.value for signal in signals]


def _in_words(table: Table) -> str:
    """Describe the picture, for readers who cannot see it."""
    return " ".join(
        f"{_word(state)}: {', '.join(f'{s.value} to {_word(to)}' for s, to in entries.items())}."
        for state, entries in table.items()
    )


def _word(target: Presence | Requested | None) -> str:
    if isinstance(target, Requested):
        return target.value
    return target.name.lower() if target else "not there"

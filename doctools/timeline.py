"""The picture of one device over some minutes: its actions, and the changes that it announces.

Only the actions are written here. The state machine, with the default timers, returns the changes.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from doctools.svg import Drawing
from lamplighter.clock import Timestamp, after
from lamplighter.config.values import Duration
from lamplighter.ids import DeviceId, ServerName, UserId
from lamplighter.presence.changes import Change, ChangeReason
from lamplighter.presence.events import Activity, Event, StatusSet, SyncEnded, Syncing
from lamplighter.presence.machine import Rules
from lamplighter.presence.state import Presence
from lamplighter.presence.tracker import PresenceTracker

__all__ = ["Told", "draw_timeline", "tell_story"]

_ALICE: Final = UserId("@alice:example.org")
_PHONE: Final = DeviceId("PHONE")
_TIMERS: Final = Rules().timers

_LEFT: Final = 128
_MINUTE: Final = 64
_END: Final = timedelta(minutes=12, seconds=30)
_PHONE_Y: Final = 58
_PRESENCE_Y: Final = 96
_BAR: Final = 34
_TIMERS_Y: Final = 156
_LIST_Y: Final = 258
_ROW: Final = 22
_SIZE: Final = (_LEFT + 12.5 * _MINUTE + 28, 352)


@dataclass(frozen=True, slots=True)
class _Scene:
    """The actions of the phone and their times."""

    at: timedelta
    words: str
    event: Event


@dataclass(frozen=True, slots=True)
class Told:
    """An announced change and its time in the story."""

    at: timedelta
    change: Change


_STORY: Final = (
    _Scene(timedelta(seconds=30), "begins to poll", Syncing(_ALICE, _PHONE)),
    _Scene(timedelta(seconds=450), "sends a message", Activity(_ALICE, _PHONE)),
    _Scene(
        timedelta(seconds=570),
        "sets a status",
        StatusSet(_ALICE, _PHONE, Presence.ONLINE, "in a meeting"),
    ),
    _Scene(timedelta(seconds=660), "stops polling", SyncEnded(_ALICE, _PHONE)),
)


def tell_story() -> list[Told]:
    """Return the changes that the state machine announces, without those for other servers only."""
    tracker = PresenceTracker(ServerName("example.org"), Rules())
    start = Timestamp(0)
    told: list[Told] = []
    scenes = [(scene.at, scene.event) for scene in _STORY]
    for at, event in [*scenes, (_END, None)]:
        now = after(start, at)
        while (due := tracker.next_deadline()) is not None and due < now:
            told += [Told(timedelta(milliseconds=due), it) for it in tracker.expire(due)]
        if event is not None:
            told += [Told(at, change) for change in tracker.feed(event, now)]
    return [it for it in told if it.change.reason is not ChangeReason.FEDERATION_PING]


def draw_timeline() -> str:
    """Return the picture as SVG."""
    told = tell_story()
    drawing = Drawing(
        int(_SIZE[0]), _SIZE[1], "Twelve minutes of a phone", " ".join(map(_sentence, told))
    )
    _draw_minutes(drawing)
    _draw_phone(drawing)
    _draw_presence(drawing, told)
    _draw_timers(drawing)
    _draw_list(drawing, told)
    return drawing.render()


def _draw_minutes(drawing: Drawing) -> None:
    for minute in range(_END // timedelta(minutes=1) + 1):
        x = _x(timedelta(minutes=minute))
        drawing.line([(x, _PHONE_Y + 14), (x, _TIMERS_Y - 18)], "rule")
        drawing.text(x, _TIMERS_Y - 4, f"{minute} min" if minute else "0", "small middle soft")


def _draw_phone(drawing: Drawing) -> None:
    drawing.text(24, _PHONE_Y + 5, "alice's phone", "soft")
    first, last = _x(_STORY[0].at), _x(_STORY[-1].at)
    drawing.box(first, _PHONE_Y - 3, last - first, 6, "rail", radius=3)
    for scene in _STORY:
        drawing.dot(_x(scene.at), _PHONE_Y, 5, "tip say")
        drawing.text(_x(scene.at), _PHONE_Y - 16, scene.words, "small middle say")


def _draw_presence(drawing: Drawing, told: list[Told]) -> None:
    drawing.text(24, _PRESENCE_Y + 22, "she is seen as", "soft")
    drawing.box(_LEFT, _PRESENCE_Y, _x(told[0].at) - _LEFT, _BAR, "offline faint", radius=0)
    ends = [it.at for it in told[1:]] + [_END]
    for number, (it, end) in enumerate(zip(told, ends, strict=True), 1):
        state, x = it.change.new, _x(it.at)
        faint = "" if state.currently_active else " faint"
        drawing.box(x, _PRESENCE_Y, _x(end) - x, _BAR, f"{state.state}{faint}", radius=0)
        _draw_number(drawing, x, _PRESENCE_Y + _BAR / 2, number)
        if _x(end) - x > _MINUTE:
            drawing.text((x + _x(end)) / 2, _PRESENCE_Y + 22, state.state, "middle strong")


def _draw_timers(drawing: Drawing) -> None:
    """Draw the configured durations that the story makes visible."""
    begins, acts, stops = _STORY[0].at, _STORY[1].at, _STORY[-1].at
    _draw_span(drawing, 0, begins, _TIMERS.idle_timeout, "idle_timeout")
    _draw_span(drawing, 1, begins, _TIMERS.last_active_granularity, "last_active_granularity")
    _draw_span(drawing, 1, acts, _TIMERS.last_active_granularity, "last_active_granularity")
    _draw_span(drawing, 0, stops, _TIMERS.sync_online_timeout, "sync_online_timeout")


def _draw_span(
    drawing: Drawing, row: int, start: timedelta, duration: timedelta, name: str
) -> None:
    first, last, y = _x(start), _x(start + duration), _TIMERS_Y + 16 + 36 * row
    drawing.line([(first, y - 6), (first, y), (last, y), (last, y - 6)], "edge time")
    words = f"{name} {Duration(seconds=duration.total_seconds())}"
    if last - first > 2 * _MINUTE:
        drawing.text((first + last) / 2, y + 15, words, "small middle time")
    elif last > _x(_END * 0.8):
        drawing.text(last, y + 15, words, "small end time")
    else:
        drawing.text(last + 8, y + 4, words, "small time")


def _draw_list(drawing: Drawing, told: list[Told]) -> None:
    drawing.line([(24, _LIST_Y - 20), (_SIZE[0] - 24, _LIST_Y - 20)], "rule")
    drawing.text(24, _LIST_Y + 5, "others hear", "soft")
    rows = -(-len(told) // 2)
    for index, it in enumerate(told):
        column, row = divmod(index, rows)
        x, y = _LEFT + 10 + column * 410, _LIST_Y + row * _ROW
        _draw_number(drawing, x, y, index + 1)
        drawing.text(x + 18, y + 5, _sentence(it), "small")


def _draw_number(drawing: Drawing, x: float, y: float, number: int) -> None:
    drawing.dot(x, y, 9, "badge")
    drawing.text(x, y + 4, str(number), "small middle strong")


def _sentence(told: Told) -> str:
    state = told.change.new
    minutes, seconds = divmod(int(told.at.total_seconds()), 60)
    active = ", currently active" if state.currently_active else ""
    return f"{minutes}:{seconds:02} {state.state}{active}: {told.change.reason.value}"


def _x(at: timedelta) -> float:
    return _LEFT + _MINUTE * (at / timedelta(minutes=1))

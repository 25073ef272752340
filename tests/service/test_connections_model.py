"""What the machine hears of a device's polls, against a model of tabs that poll at random."""

from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from lamplighter.clock import Timestamp
from lamplighter.presence.events import Event, SyncEnded, Syncing
from lamplighter.presence.machine import Rules, SyncIsActivity
from lamplighter.presence.state import Presence
from lamplighter.service.connections import Polls
from tests.effort import EXAMPLES
from tests.service.polling import BOB, PHONE, WHO, PollingWorld

ORDER = (Presence.UNAVAILABLE, Presence.ONLINE, Presence.BUSY)
#: Sweeps come once in the two seconds for which polls count on: so what ends is told after four.
LATEST = 4_000

sayings = st.sampled_from(ORDER)
#: Which tab does it, by a number that is taken modulo how many there are.
numbers = st.integers(0, 5)
#: Shorter than what a poll counts on; a client's next poll is here by then.
pauses = st.integers(0, 900)


@dataclass
class Tab:
    """A client that polls; all tabs here share one access token."""

    says: Presence
    polls: Polls | None = None


class Tabs:
    """Tabs of one device, and what is told of them."""

    def __init__(self) -> None:
        # What is activity is told besides, and is another matter.
        self.world = PollingWorld(Rules(sync_is_activity=SyncIsActivity.NEVER))
        self.tabs: list[Tab] = []
        self.swept = self.world.clock.now()

    def open(self, says: Presence) -> None:
        """Open a tab, which begins to poll."""
        tab = Tab(says)
        self.tabs.append(tab)
        tab.polls = self.world.connections.begin(WHO, says)

    def close(self, number: int) -> None:
        """Close a tab: its poll ends, and no other follows."""
        if self.tabs:
            tab = self.tabs.pop(number % len(self.tabs))
            assert tab.polls is not None
            self.world.connections.end(tab.polls, self.world.clock.now())

    def answer(self, numbers: list[int], pause: int, says: Presence | None = None) -> None:
        """Answer the polls of some tabs; after a while they poll again, one after the other."""
        some = {number % len(self.tabs): None for number in numbers} if self.tabs else {}
        for number in some:
            polls = self.tabs[number].polls
            assert polls is not None
            self.world.connections.end(polls, self.world.clock.now())
        for number in sorted(some, key=lambda it: (it * 7 + pause) % 5):
            self.pass_time(pause // len(some))
            tab = self.tabs[number]
            tab.says = says or tab.says
            tab.polls = self.world.connections.begin(WHO, tab.says)

    def pass_time(self, milliseconds: int) -> None:
        """Let time pass, sweeping whenever it is time."""
        end = self.world.clock.now() + milliseconds
        while self.swept + 2_000 <= end:
            self.swept = Timestamp(self.swept + 2_000)
            self.world.clock.advance(milliseconds=self.swept - self.world.clock.now())
            self.world.connections.sweep()
        self.world.clock.advance(milliseconds=end - self.world.clock.now())

    def poll_on(self, rounds: list[tuple[list[int], int]]) -> list[Event]:
        """Let the tabs poll on, all saying what they said; return what is told of it."""
        self.world.take_told()
        for numbers, pause in rounds:
            self.answer(numbers, pause)
            self.pass_time(pause)
        return self.world.take_told()

    @property
    def highest(self) -> Presence | None:
        """The presence that the open tabs say together."""
        return max((tab.says for tab in self.tabs), key=ORDER.index, default=None)

    @property
    def believed(self) -> Presence | None:
        """The presence of the polls, as the state machine has it."""
        device = self.world.tracker.device(BOB, PHONE)
        return device.set_presence if device is not None and device.is_polling else None


steps = st.one_of(
    st.tuples(st.just("open"), sayings),
    st.tuples(st.just("close"), numbers),
    st.tuples(st.just("change"), st.tuples(numbers, sayings, pauses)),
    st.tuples(st.just("pause"), st.integers(0, 3_000)),
)
rounds = st.lists(st.tuples(st.lists(numbers, min_size=1, max_size=6), pauses), max_size=12)


@settings(max_examples=5 * EXAMPLES)
@given(st.lists(st.tuples(st.lists(steps, max_size=4), rounds), max_size=6))
def test_what_is_told_is_what_the_tabs_say(
    story: list[tuple[list[tuple[str, Any]], list[tuple[list[int], int]]]],
) -> None:
    """Once the tabs have polled on for four seconds the highest of what they say is believed; and
    however they poll on, in whatever order they come back, nothing more is told.
    """
    tabs = Tabs()
    for changes, polling in story:
        for name, value in changes:
            if name == "open":
                tabs.open(value)
            elif name == "close":
                tabs.close(value)
            elif name == "change":
                number, says, pause = value
                tabs.answer([number], pause, says)
            else:
                tabs.pass_time(value)
        tabs.pass_time(LATEST)
        assert tabs.believed == tabs.highest
        assert tabs.poll_on(polling) == []
        assert tabs.believed == tabs.highest


@settings(max_examples=5 * EXAMPLES)
@given(st.lists(sayings, min_size=1, max_size=4), rounds, numbers)
def test_a_tab_that_closes(
    opened: list[Presence], polling: list[tuple[list[int], int]], number: int
) -> None:
    """When one of several tabs closes, that is one change if it was the highest, and else none."""
    tabs = Tabs()
    for says in opened:
        tabs.open(says)
    tabs.poll_on(polling)
    tabs.close(number)
    before, after = tabs.believed, tabs.highest
    tabs.pass_time(LATEST)
    told = tabs.world.take_told()
    if after is None:
        assert [type(event) for event in told] == [SyncEnded]
    else:
        assert told == ([] if after is before else [Syncing(BOB, PHONE, after)])
